/** What leads out of a topology and into it: masquerade, published ports, forwarding. */
import { canonicalAddress, type Family, familyOf, formatPrefix, networkOf, type Prefix } from '../ip/index.ts'
import { each } from './check.ts'
import { checkDevice, type Draft, type DraftNamespace, findNamespace, placed } from './draft.ts'
import { isComplaint, readHostPort, readListen } from './endpoints.ts'
import type { Masquerade, Publish } from './model.ts'
import type { Path } from './problems.ts'
import { readPrefix } from './values.ts'

export function readMasquerades(draft: Draft): Masquerade[] {
  const found: Masquerade[] = []
  for (const network of draft.networks.values()) {
    if (!draft.input.networks?.[network.name]?.masquerade) continue
    for (const { prefix } of network.subnets)
      found.push({ namespace: network.bridge.namespace, from: prefix, ...placed(draft, network.path) })
  }
  for (const [m, path] of each(draft.input.masquerade, ['masquerade'])) {
    const namespace = findNamespace(draft, m.in, [...path, 'in'])
    if (!namespace) continue
    const from = readPrefix(m.from)
    if (m.out !== undefined && m.out !== 'default' && !checkDevice(draft, namespace, m.out, [...path, 'out'])) continue
    if (m.out === 'default' && (draft.isolated || namespace.name !== 'host')) {
      const hasDefault = namespace.routes.some((r) => r.to.length === 0 && r.to.family === from.family)
      if (!hasDefault) {
        draft.problems.add(
          [...path, 'out'],
          `${namespace.name} has no default route for IPv${from.family}`,
          'name the device, or give it a default route',
        )
        continue
      }
    }
    found.push({
      namespace: namespace.name,
      from,
      ...(m.out === undefined ? {} : { out: m.out }),
      ...placed(draft, path),
    })
  }
  return found
}

interface Target {
  readonly namespace: string
  readonly prefix: Prefix
}

/** Addresses of a published service: those of a namespace, one of each family, or the one that was written. */
function targetsOf(draft: Draft, host: string, isAddress: boolean, path: Path): Target[] {
  const owned: Target[] = []
  const spaces = isAddress ? [...draft.namespaces.values()] : [findNamespace(draft, host, path)]
  for (const space of spaces) {
    for (const device of space?.interfaces.values() ?? []) {
      if (device.name === 'lo') continue
      for (const { prefix } of device.addresses) {
        if (!isAddress || prefix.address === host) owned.push({ namespace: space?.name ?? '', prefix })
      }
    }
  }
  if (isAddress) {
    if (owned.length === 0) {
      const length = familyOf(host) === 4 ? 32 : 128
      return [{ namespace: '', prefix: { address: host, length, family: familyOf(host) } }]
    }
    return owned.slice(0, 1)
  }
  const first = (family: Family): Target[] => owned.filter((t) => t.prefix.family === family).slice(0, 1)
  if (owned.length === 0 && spaces[0])
    draft.problems.add(path, `${host} has no address to publish`, 'give one of its interfaces an address')
  return [...first(4), ...first(6)]
}

export function readPublishes(draft: Draft): Publish[] {
  const found: Publish[] = []
  const seen = new Map<string, Path>()
  for (const [p, path] of each(draft.input.publish, ['publish'])) {
    const listen = readListen(p.listen)
    const to = readHostPort(p.to)
    if (isComplaint(listen) || isComplaint(to)) continue
    const namespace = findNamespace(draft, p.in, [...path, 'in'])
    if (!namespace) continue
    const all = targetsOf(draft, to.host, to.isAddress, [...path, 'to'])
    const family = listen.address === undefined ? undefined : familyOf(listen.address)
    const targets = all.filter((t) => family === undefined || t.prefix.family === family)
    if (targets.length === 0 && all.length > 0) {
      draft.problems.add(
        [...path, 'to'],
        `${p.to} has no IPv${family} address, ${p.listen} is IPv${family}`,
        'publish on an address of the other family, or give it one',
      )
    }
    for (const target of targets) {
      if (isTaken(draft, seen, p.in, listen, target.prefix.family, path)) continue
      found.push({
        namespace: namespace.name,
        protocol: listen.protocol,
        ...(listen.address === undefined ? {} : { address: canonicalAddress(listen.address) ?? listen.address }),
        family: target.prefix.family,
        port: listen.port,
        to: { namespace: target.namespace, address: target.prefix.address, port: to.port },
        network: networkOf(target.prefix),
        ...placed(draft, path),
      })
    }
  }
  return found
}

function isTaken(
  draft: Draft,
  seen: Map<string, Path>,
  where: string,
  listen: { address?: string; port: number; protocol: string },
  family: Family,
  path: Path,
): boolean {
  const key = (address: string): string => `${where} ${listen.protocol} ${listen.port} ${family} ${address}`
  const any = key('*')
  const own = key(listen.address ?? '*')
  // one that stands for all that have an address
  const some = key('some')
  const clash = seen.get(own) ?? seen.get(any) ?? (listen.address === undefined ? seen.get(some) : undefined)
  if (clash) {
    const at = draft.locate(clash)
    draft.problems.add(
      [...path, 'listen'],
      `port ${listen.port}/${listen.protocol} is published twice`,
      at ? `the other is on line ${at.line}; use another port or address` : 'use another port or address',
    )
    return true
  }
  seen.set(own, path)
  if (!seen.has(some)) seen.set(some, path)
  return false
}

/** Networks for which FORWARD is held open. */
export function readForward(draft: Draft): Prefix[] {
  const { forward } = draft.input
  if (forward === undefined) return []
  const prefixes: Prefix[] = []
  if (forward === 'accept') {
    for (const namespace of draft.namespaces.values()) {
      for (const device of namespace.interfaces.values()) {
        if (device.link.kind === 'existing') continue
        for (const { prefix } of device.addresses) prefixes.push(networkOf(prefix))
      }
    }
  } else {
    for (const [text] of each(forward, ['forward'])) prefixes.push(networkOf(readPrefix(text)))
  }
  return [...new Map(prefixes.map((p) => [formatPrefix(p), p])).values()]
}

const KEYS = { 4: 'net.ipv4.ip_forward', 6: 'net.ipv6.conf.all.forwarding' } as const

/** Who owns an address, by text. */
function ownersOf(draft: Draft): Map<string, DraftNamespace[]> {
  const owners = new Map<string, DraftNamespace[]>()
  for (const namespace of draft.namespaces.values()) {
    for (const device of namespace.interfaces.values()) {
      for (const { prefix } of device.addresses) {
        const known = owners.get(prefix.address)
        if (known) known.push(namespace)
        else owners.set(prefix.address, [namespace])
      }
    }
  }
  return owners
}

/** Turns forwarding on where packets of others must pass: gateways, address translation. */
export function turnForwardingOn(
  draft: Draft,
  masquerades: readonly Masquerade[],
  publishes: readonly Publish[],
): void {
  const set = (namespace: DraftNamespace | undefined, family: Family, because: string): void => {
    const key = KEYS[family]
    if (namespace && !namespace.sysctls.has(key)) namespace.sysctls.set(key, { key, value: '1', because })
  }
  const owners = ownersOf(draft)
  for (const namespace of draft.namespaces.values()) {
    for (const route of namespace.routes) {
      const gateways = [route.via, ...(route.nexthops ?? []).map((hop) => hop.via)]
      for (const via of gateways) {
        if (via === undefined) continue
        for (const owner of owners.get(via) ?? []) {
          if (owner !== namespace) set(owner, familyOf(via), `${namespace.name} routes through it`)
        }
      }
    }
  }
  for (const m of masquerades) set(draft.namespaces.get(m.namespace), m.from.family, 'it masquerades')
  for (const p of publishes) set(draft.namespaces.get(p.namespace), p.family, 'it publishes a port')
}
