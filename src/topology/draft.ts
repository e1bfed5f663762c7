/** The topology while it is worked out: names can be looked up, and interfaces fill step by step. */
import type { Prefix } from '../ip/index.ts'
import type { End, LinkKind, Neighbour, Position, Route, Rule, Service, Sysctl } from './model.ts'
import { nearest } from './names.ts'
import type { Locate, Path, Problems, Spot } from './problems.ts'
import type { NamespaceBody, Topology } from './schema.ts'

export interface DraftAddress {
  readonly prefix: Prefix
  /** where the file says it; absent when hardway chose it */
  readonly path?: Path
}

export interface DraftInterface {
  readonly namespace: string
  readonly name: string
  /** where problems with it are shown */
  readonly path: Path
  readonly at?: Position
  readonly link: LinkKind
  master?: string
  mac?: string
  mtu?: number
  up: boolean
  readonly addresses: DraftAddress[]
  /** wants the next free address of whatever network it is on */
  isAuto: boolean
  /** interfaces with the same number hear each other's broadcasts; set once all links are known */
  segment: number
}

export interface DraftNamespace {
  readonly name: string
  readonly path: Path
  readonly at?: Position
  readonly body: NamespaceBody
  readonly interfaces: Map<string, DraftInterface>
  readonly routes: Route[]
  readonly rules: Rule[]
  readonly neighbours: Neighbour[]
  readonly sysctls: Map<string, Sysctl>
  readonly run: Service[]
}

export interface DraftSubnet {
  readonly prefix: Prefix
  /** the bridge's address in it */
  readonly gateway?: string
}

export interface DraftNetwork {
  readonly name: string
  readonly path: Path
  readonly subnets: readonly DraftSubnet[]
  readonly bridge: DraftInterface
  readonly mtu?: number
}

export interface LinkEnd {
  readonly peer: End
  readonly path: Path
  readonly mtu?: number
}

export interface Draft {
  readonly isolated: boolean
  readonly input: Topology
  readonly problems: Problems
  readonly locate: Locate
  /** `host` first */
  readonly namespaces: Map<string, DraftNamespace>
  readonly networks: Map<string, DraftNetwork>
  /** by `endKey` */
  readonly linkEnds: Map<string, LinkEnd>
}

export const endKey = (namespace: string, name: string): string => `${namespace}:${name}`

/** `at` of the model: absent where there are no positions. */
export function placed(draft: Draft, path: Path, spot?: Spot): { at?: Position } {
  const at = draft.locate(path, spot)
  return at ? { at } : {}
}

/** The namespace, or a problem at `path`. */
export function findNamespace(draft: Draft, name: string, path: Path, spot?: Spot): DraftNamespace | undefined {
  const found = draft.namespaces.get(name)
  if (!found)
    draft.problems.add(
      path,
      `there is no namespace "${name}"`,
      proposeName(name, draft.namespaces.keys(), 'add it under namespaces'),
      spot,
    )
  return found
}

/** `did you mean "br0"?`, else what there is, else what to do. */
export function proposeName(name: string, candidates: Iterable<string>, otherwise: string): string {
  const all = [...candidates]
  const better = nearest(name, all)
  if (better !== undefined) return `did you mean "${better}"?`
  return all.length === 0 || all.length > 8 ? otherwise : `${otherwise}; there are ${all.join(', ')}`
}

/** Whether a device that the file does not name may exist all the same: only the real host has some. */
export function mayHaveOthers(draft: Draft, namespace: DraftNamespace): boolean {
  return namespace.name === 'host' && !draft.isolated
}

/** Reports a device that is certainly not there. */
export function checkDevice(draft: Draft, namespace: DraftNamespace, name: string, path: Path): boolean {
  if (name === 'lo' || namespace.interfaces.has(name) || mayHaveOthers(draft, namespace)) return true
  draft.problems.add(
    path,
    `${namespace.name} has no interface "${name}"`,
    proposeName(name, namespace.interfaces.keys(), 'name one of its interfaces'),
  )
  return false
}

/** Whether any device of the namespace has an address of the family. */
export function hasFamily(namespace: DraftNamespace, family: 4 | 6): boolean {
  for (const device of namespace.interfaces.values()) {
    if (device.addresses.some((a) => a.prefix.family === family)) return true
  }
  return false
}
