/** Namespaces, bridges, links and interfaces of the file become draft interfaces. */
import { parsePrefix } from '../ip/index.ts'
import { each, eachOf } from './check.ts'
import {
  checkDevice,
  type Draft,
  type DraftInterface,
  type DraftNamespace,
  endKey,
  findNamespace,
  mayHaveOthers,
  placed,
  proposeName,
} from './draft.ts'
import { readEnd } from './endpoints.ts'
import type { LinkKind } from './model.ts'
import type { Path } from './problems.ts'
import type { InterfaceBody, NamespaceBody } from './schema.ts'
import { explainInterfaceName, explainNamespaceName } from './values.ts'

const NO_BODY = Object.freeze({}) as NamespaceBody

export function addNamespaces(draft: Draft): void {
  addNamespace(draft, 'host', ['host'], draft.input.host ?? NO_BODY)
  for (const [name, body] of Object.entries(draft.input.namespaces ?? {})) {
    const path = ['namespaces', name]
    if (name === 'host') {
      draft.problems.add(
        path,
        '"host" is the namespace that hardway runs in',
        'write it at the top of the file, or choose another name',
        { onKey: true },
      )
      continue
    }
    addNamespace(draft, name, path, body ?? NO_BODY)
  }
}

function addNamespace(draft: Draft, name: string, path: Path, body: NamespaceBody): void {
  const at = draft.input.host === undefined && name === 'host' ? {} : placed(draft, path, { onKey: true })
  const empty = { routes: [], rules: [], neighbours: [], run: [], interfaces: new Map(), sysctls: new Map() }
  draft.namespaces.set(name, { name, path, body, ...at, ...empty })
}

/** One interface; a name that is taken is a problem. */
export function addInterface(
  draft: Draft,
  namespace: DraftNamespace,
  name: string,
  path: Path,
  link: LinkKind,
  body: { readonly [K in 'mac' | 'mtu' | 'bridge']?: InterfaceBody[K] | undefined } & { readonly up?: boolean } = {},
): DraftInterface | undefined {
  const other = namespace.interfaces.get(name)
  if (other) {
    draft.problems.add(path, `${namespace.name} has two interfaces "${name}"`, whereIs(draft, other), { onKey: true })
    return undefined
  }
  const device: DraftInterface = {
    namespace: namespace.name,
    name,
    path,
    ...placed(draft, path, { onKey: true }),
    link,
    ...(body.bridge === undefined ? {} : { master: body.bridge }),
    ...(body.mac === undefined ? {} : { mac: body.mac.toLowerCase() }),
    ...(body.mtu === undefined ? {} : { mtu: body.mtu }),
    up: body.up ?? true,
    addresses: [],
    isAuto: false,
    segment: -1,
  }
  namespace.interfaces.set(name, device)
  return device
}

function whereIs(draft: Draft, device: DraftInterface): string {
  const at = draft.locate(device.path, { onKey: true })
  const kind = device.link.kind === 'bridge' ? 'a bridge' : 'an interface'
  return `the other is ${kind}${at ? ` on line ${at.line}` : ''}; rename one of them`
}

/** Reads `addresses` of an interface or a bridge. */
export function addAddresses(
  device: DraftInterface,
  addresses: string | readonly string[] | undefined,
  path: Path,
): void {
  for (const [text, at] of eachOf(addresses, path)) {
    if (text === 'auto') device.isAuto = true
    else {
      const prefix = parsePrefix(text)
      if (prefix) device.addresses.push({ prefix, path: at })
    }
  }
}

export function addBridges(draft: Draft): void {
  for (const [name, given] of Object.entries(draft.input.bridges ?? {})) {
    const path = ['bridges', name]
    const namespace = findNamespace(draft, given?.in ?? 'host', [...path, 'in'])
    if (!namespace) continue
    if (name === 'lo') {
      draft.problems.add(path, '"lo" cannot name a bridge', 'every namespace has a lo of its own; for example br0', {
        onKey: true,
      })
      continue
    }
    const device = addInterface(draft, namespace, name, path, { kind: 'bridge' }, { mac: given?.mac, mtu: given?.mtu })
    if (device) addAddresses(device, given?.addresses, [...path, 'addresses'])
  }
}

/** Reads `links` into ends by name; the interfaces are made later, in the order of the file. */
export function readLinks(draft: Draft): void {
  for (const [link, path] of each(draft.input.links, ['links'])) {
    const isList = Array.isArray(link)
    const texts: readonly string[] = isList ? link : link.ends
    const at = isList ? path : [...path, 'ends']
    const mtu = isList ? undefined : link.mtu
    const a = readEnd(texts[0] ?? '')
    const b = readEnd(texts[1] ?? '')
    if (!a || !b) continue
    if (endKey(a.namespace, a.interface) === endKey(b.namespace, b.interface)) {
      draft.problems.add([...at, 1], `both ends of the link are ${texts[0]}`, 'a link joins two different interfaces')
      continue
    }
    for (const [i, end, peer] of [
      [0, a, b],
      [1, b, a],
    ] as const) {
      const endPath = [...at, i]
      if (!findNamespace(draft, end.namespace, endPath)) continue
      const key = endKey(end.namespace, end.interface)
      const other = draft.linkEnds.get(key)
      if (other) {
        const line = draft.locate(other.path)?.line
        const where = line === undefined ? 'in another link' : `in the link on line ${line}`
        draft.problems.add(
          endPath,
          `interface ${key} is used twice, first ${where}`,
          `a link has its own two ends; use a new name, or a bridge to join more than two`,
        )
        continue
      }
      draft.linkEnds.set(key, { peer, path: endPath, ...(mtu === undefined ? {} : { mtu }) })
    }
  }
}

/** The interfaces under `interfaces`, in their order, then the ends of links that are not named there. */
export function addInterfaces(draft: Draft): void {
  const left = new Map(draft.linkEnds)
  for (const namespace of draft.namespaces.values()) {
    for (const [name, given] of Object.entries(namespace.body.interfaces ?? {})) {
      const key = endKey(namespace.name, name)
      const path = [...namespace.path, 'interfaces', name]
      const end = left.get(key)
      left.delete(key)
      const body = given ?? undefined
      const link = linkOf(draft, namespace, name, path, body, end && { kind: 'veth', peer: end.peer })
      if (!link) continue
      const device = addInterface(draft, namespace, name, path, link, { mtu: end?.mtu, ...withoutUndefined(body) })
      if (device) addAddresses(device, body?.addresses, [...path, 'addresses'])
    }
  }
  for (const [key, end] of left) {
    const cut = key.indexOf(':')
    const namespace = draft.namespaces.get(key.slice(0, cut))
    const name = key.slice(cut + 1)
    if (!namespace) continue
    if (namespace.interfaces.get(name)?.link.kind === 'bridge') {
      draft.problems.add(
        end.path,
        `${key} is a bridge, it cannot be the end of a link`,
        `name a new interface here and give it \`bridge: ${name}\` under interfaces`,
      )
      continue
    }
    addInterface(draft, namespace, name, end.path, { kind: 'veth', peer: end.peer }, { mtu: end.mtu })
  }
}

const endsByDraft = new WeakMap<Draft, Map<string, string[]>>()

/** Names of link ends by namespace. */
function endsIn(draft: Draft): Map<string, string[]> {
  const before = endsByDraft.get(draft)
  if (before) return before
  const ends = new Map<string, string[]>()
  for (const key of draft.linkEnds.keys()) {
    const cut = key.indexOf(':')
    const names = ends.get(key.slice(0, cut))
    if (names) names.push(key.slice(cut + 1))
    else ends.set(key.slice(0, cut), [key.slice(cut + 1)])
  }
  endsByDraft.set(draft, ends)
  return ends
}

/** The devices that tunnels and macvlans stand on are there. */
export function checkParents(draft: Draft): void {
  for (const namespace of draft.namespaces.values()) {
    for (const { link, name, path } of namespace.interfaces.values()) {
      const [parent, key] =
        link.kind === 'macvlan' ? [link.parent, 'parent'] : link.kind === 'vxlan' ? [link.dev, 'dev'] : []
      if (parent === undefined || key === undefined) continue
      const at = [...path, link.kind, key]
      if (parent !== name) checkDevice(draft, namespace, parent, at)
      else draft.problems.add(at, `${namespace.name}:${name} stands on itself`, 'name another interface')
    }
  }
}

function withoutUndefined(body: InterfaceBody | undefined): Partial<InterfaceBody> {
  return body ? Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)) : {}
}

/** What makes the interface: a link, its own keys, or the machine. Exactly one. */
function linkOf(
  draft: Draft,
  namespace: DraftNamespace,
  name: string,
  path: Path,
  body: InterfaceBody | undefined,
  veth: LinkKind | undefined,
): LinkKind | undefined {
  const { problems } = draft
  const kinds: LinkKind[] = veth ? [veth] : []
  if (body?.vxlan) kinds.push(withoutAbsent({ kind: 'vxlan', ...body.vxlan }))
  if (body?.macvlan) kinds.push({ kind: 'macvlan', parent: body.macvlan.parent, mode: body.macvlan.mode })
  const [kind, second] = kinds
  if (second) {
    problems.add(
      path,
      `${namespace.name}:${name} is ${kind?.kind} and ${second.kind} at once`,
      'an interface is one of a link end, vxlan or macvlan',
      { onKey: true },
    )
  }
  if (kind) return kind
  if (name === 'lo' || mayHaveOthers(draft, namespace)) return { kind: 'existing' }
  // a misspelt link or tunnel may be the one that makes it
  if (problems.touches(['links']) || problems.touches([...path, 'vxlan']) || problems.touches([...path, 'macvlan']))
    return { kind: 'existing' }
  if (draft.namespaces.get(namespace.name)?.interfaces.has(name)) return { kind: 'existing' }
  // the name itself is wrong, which has been told
  if (explainInterfaceName(name) || explainNamespaceName(namespace.name)) return { kind: 'existing' }
  const unused = (endsIn(draft).get(namespace.name) ?? []).filter(
    (n) => !Object.hasOwn(namespace.body.interfaces ?? {}, n),
  )
  const isolatedHost =
    namespace.name === 'host' ? ', and the host of an isolated topology has no devices of its own' : ''
  const hint = proposeName(name, unused, `add - [${namespace.name}:${name}, …] under links`)
  problems.add(path, `nothing makes ${namespace.name}:${name}: no link ends in it${isolatedHost}`, hint, {
    onKey: true,
  })
  return { kind: 'existing' }
}

function withoutAbsent(kind: {
  kind: 'vxlan'
  id: number
  port: number
  remote?: string | undefined
  local?: string | undefined
  dev?: string | undefined
}): LinkKind {
  const { remote, local, dev } = kind
  return {
    kind: 'vxlan',
    id: kind.id,
    port: kind.port,
    ...(remote === undefined ? {} : { remote: canonical(remote) }),
    ...(local === undefined ? {} : { local: canonical(local) }),
    ...(dev === undefined ? {} : { dev }),
  }
}

const canonical = (text: string): string => parsePrefix(text)?.address ?? text
