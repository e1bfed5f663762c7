/** The short form: a network is a bridge, a veth pair for each member, addresses and default routes. */
import {
  canonicalAddress,
  familyOf,
  formatPrefix,
  networkOf,
  nthAddress,
  type Prefix,
  prefixContains,
  prefixesOverlap,
} from '../ip/index.ts'
import { eachOf } from './check.ts'
import {
  type Draft,
  type DraftInterface,
  type DraftNamespace,
  type DraftNetwork,
  type DraftSubnet,
  findNamespace,
  proposeName,
} from './draft.ts'
import { addInterface } from './interfaces.ts'
import { interfaceNameFor } from './names.ts'
import type { Path } from './problems.ts'
import { readPrefix } from './values.ts'

/** Every prefix that the file names, so that a chosen network overlaps none of them. */
function usedPrefixes(draft: Draft): Prefix[] {
  const used: Prefix[] = []
  for (const namespace of draft.namespaces.values()) {
    for (const device of namespace.interfaces.values()) for (const a of device.addresses) used.push(a.prefix)
  }
  for (const network of Object.values(draft.input.networks ?? {})) {
    for (const [text] of eachOf(network?.subnet, [])) used.push(readPrefix(text))
  }
  return used
}

/** 10.77.0.0/24, 10.77.1.0/24, … */
function chooseSubnet(used: Prefix[]): Prefix | undefined {
  for (let n = 0; n < 256; n++) {
    const prefix: Prefix = { address: `10.77.${n}.0`, length: 24, family: 4 }
    if (!used.some((other) => prefixesOverlap(prefix, other))) {
      used.push(prefix)
      return prefix
    }
  }
  return undefined
}

type Body = NonNullable<NonNullable<Draft['input']['networks']>[string]>

function subnetsOf(draft: Draft, name: string, body: Body | null, path: Path, used: Prefix[]): DraftSubnet[] {
  const prefixes = [...eachOf(body?.subnet, [...path, 'subnet'])].map(([text]) => networkOf(readPrefix(text)))
  if (prefixes.length === 0) {
    const chosen = chooseSubnet(used)
    if (chosen) prefixes.push(chosen)
    else draft.problems.add(path, `no free network is left for ${name}`, 'give it a subnet', { onKey: true })
  }
  const given = body?.gateway
  if (given === false) return prefixes.map((prefix) => ({ prefix }))
  const gateways = new Map<Prefix, string>()
  for (const [text, at] of eachOf(given === undefined ? undefined : given, [...path, 'gateway'])) {
    const address = canonicalAddress(text) ?? text
    const subnet = prefixes.find((prefix) => prefixContains(prefix, address))
    const before = subnet && gateways.get(subnet)
    if (subnet && before !== undefined) {
      const what = `${formatPrefix(subnet)} of ${name} has two gateways, ${before} and ${address}`
      draft.problems.add(at, what, 'one of each subnet; a route under namespaces can lead through another')
    } else if (subnet) gateways.set(subnet, address)
    else {
      const first = prefixes[0]
      const hint = first ? `an address of ${prefixes.map(formatPrefix).join(' or ')}, like ${nthAddress(first, 1)}` : ''
      draft.problems.add(at, `gateway ${text} is outside the subnet of ${name}`, hint)
    }
  }
  return prefixes.map((prefix) => ({ prefix, gateway: gateways.get(prefix) ?? nthAddress(prefix, 1) }))
}

export function addNetworks(draft: Draft): void {
  const used = usedPrefixes(draft)
  for (const [name, body] of Object.entries(draft.input.networks ?? {})) {
    const path = ['networks', name]
    const namespace = findNamespace(draft, body?.in ?? 'host', [...path, 'in'])
    if (!namespace) continue
    const subnets = subnetsOf(draft, name, body, path, used)
    const bridge = addInterface(draft, namespace, name, path, { kind: 'bridge' }, { mtu: body?.mtu })
    if (!bridge) continue
    for (const { prefix, gateway } of subnets) {
      if (gateway !== undefined) bridge.addresses.push({ prefix: { ...prefix, address: gateway }, path })
    }
    draft.networks.set(name, { name, path, subnets, bridge, ...(body?.mtu === undefined ? {} : { mtu: body.mtu }) })
  }
  for (const namespace of draft.namespaces.values()) addMemberships(draft, namespace)
}

/** Memberships as written: a list of names, or names with addresses. */
function* membershipsOf(
  namespace: DraftNamespace,
): Generator<{ name: string; path: Path; addresses: Iterable<[string, Path]> }> {
  const body = namespace.body as {
    readonly networks?: readonly string[] | Readonly<Record<string, string | readonly string[] | null>>
  }
  const path = [...namespace.path, 'networks']
  const given = body.networks
  if (Array.isArray(given)) {
    for (const [i, name] of (given as readonly (string | undefined)[]).entries()) {
      if (name !== undefined) yield { name, path: [...path, i], addresses: [] }
    }
    return
  }
  for (const [name, value] of Object.entries(
    (given ?? {}) as Readonly<Record<string, string | readonly string[] | null>>,
  )) {
    yield { name, path: [...path, name], addresses: eachOf(value ?? undefined, [...path, name]) }
  }
}

function freeName(namespace: DraftNamespace): string {
  for (let n = 0; ; n++) if (!namespace.interfaces.has(`eth${n}`)) return `eth${n}`
}

function addMemberships(draft: Draft, namespace: DraftNamespace): void {
  let isFirst = true
  for (const { name, path, addresses } of membershipsOf(namespace)) {
    const network = draft.networks.get(name)
    if (!network) {
      if (!Object.hasOwn(draft.input.networks ?? {}, name)) {
        draft.problems.add(
          path,
          `there is no network "${name}"`,
          proposeName(name, Object.keys(draft.input.networks ?? {}), 'add it under networks'),
        )
      }
      continue
    }
    const device = addMember(draft, namespace, network, path)
    if (!device) continue
    for (const [text, at] of addresses) addMemberAddress(draft, device, network, text, at)
    // an address of one family leaves the other to us
    const has = new Set(device.addresses.map(({ prefix }) => prefix.family))
    if (network.subnets.some(({ prefix }) => !has.has(prefix.family))) device.isAuto = true
    if (isFirst) addDefaultRoutes(namespace, network, device)
    isFirst = false
  }
}

function addMember(
  draft: Draft,
  namespace: DraftNamespace,
  network: DraftNetwork,
  path: Path,
): DraftInterface | undefined {
  const host = draft.namespaces.get(network.bridge.namespace)
  if (!host) return undefined
  const inside = freeName(namespace)
  const outside = interfaceNameFor(`${namespace.name}-${inside}`, (taken) => host.interfaces.has(taken))
  const mtu = network.mtu
  const device = addInterface(
    draft,
    namespace,
    inside,
    path,
    { kind: 'veth', peer: { namespace: host.name, interface: outside } },
    { mtu },
  )
  addInterface(
    draft,
    host,
    outside,
    path,
    { kind: 'veth', peer: { namespace: namespace.name, interface: inside } },
    { mtu, bridge: network.name },
  )
  return device
}

function addMemberAddress(draft: Draft, device: DraftInterface, network: DraftNetwork, text: string, path: Path): void {
  if (text === 'auto') {
    device.isAuto = true
    return
  }
  const given = readPrefix(text)
  const subnet = network.subnets.find(({ prefix }) => prefixContains(prefix, given.address))
  if (!subnet) {
    const hint = `an address of ${network.subnets.map((s) => formatPrefix(s.prefix)).join(' or ')}`
    draft.problems.add(path, `${given.address} is not in network ${network.name}`, hint)
    return
  }
  device.addresses.push({ prefix: { ...subnet.prefix, address: given.address }, path })
}

function addDefaultRoutes(namespace: DraftNamespace, network: DraftNetwork, device: DraftInterface): void {
  for (const { gateway } of network.subnets) {
    if (gateway === undefined) continue
    const family = familyOf(gateway)
    const hasOwn = (namespace.body.routes ?? []).some(
      (r) => r?.to === 'default' && (r.via === undefined ? family === 4 : familyOf(r.via) === family),
    )
    if (hasOwn) continue
    namespace.routes.push({
      to: { address: family === 4 ? '0.0.0.0' : '::', length: 0, family },
      type: 'unicast',
      via: gateway,
      dev: device.name,
      table: 254,
      onlink: false,
    })
  }
}
