/** What all parts of a comparison look at: both states, what is removed, what is shaken by a removal. */
import type { Route } from '../topology/model.ts'
import type { Place } from './operations.ts'
import type { KeeperState, LinkState, NamespaceState, State, Surroundings } from './state.ts'

/** Devices by namespace that a plan removes; what is on them goes with them and is not removed one by one. */
export type Gone = Map<string, Set<string>>

export interface Context {
  readonly current: State
  readonly wanted: State
  readonly around: Surroundings
  /** namespaces of ours that end */
  readonly ending: ReadonlySet<string>
  readonly gone: Gone
  /** devices that lose an address: the kernel drops routes that lean on it, so they are taken down and set again */
  readonly shaken: Gone
}

export function placeOf(state: NamespaceState): Place {
  return state.netns === undefined ? { name: state.name } : { name: state.name, netns: state.netns }
}

export function* removed<T>(
  current: ReadonlyMap<string, T> | undefined,
  wanted: ReadonlyMap<string, T> | undefined,
): Generator<T> {
  for (const [key, item] of current ?? []) if (!wanted?.has(key)) yield item
}

export function added<T>(current: ReadonlyMap<string, T> | undefined, wanted: ReadonlyMap<string, T>): T[] {
  return [...wanted].filter(([key]) => !current?.has(key)).map(([, item]) => item)
}

/** The same link still serves: same kind with the same parameters, and for a veth the same other end. */
function isSameLink(a: LinkState | undefined, b: LinkState | undefined): boolean {
  return a !== undefined && b !== undefined && JSON.stringify(a.link) === JSON.stringify(b.link)
}

/** A veth is whole when its other end names it back. */
export function isWhole(state: State, link: LinkState, namespace: string): boolean {
  if (link.link.kind !== 'veth') return true
  const { peer } = link.link
  const other = state.namespaces.get(peer.namespace)?.links.get(peer.interface)
  return (
    other?.link.kind === 'veth' && other.link.peer.namespace === namespace && other.link.peer.interface === link.name
  )
}

export function* linksOf(state: State): Generator<{ namespace: NamespaceState; link: LinkState }> {
  for (const namespace of state.namespaces.values()) {
    for (const link of namespace.links.values()) yield { namespace, link }
  }
}

export function findGone(current: State, wanted: State): Gone {
  const gone: Gone = new Map()
  const add = (namespace: string, name: string): void => {
    const names = gone.get(namespace) ?? new Set()
    gone.set(namespace, names.add(name))
  }
  for (const { namespace, link } of linksOf(current)) {
    if (link.link.kind === 'existing') continue
    const kept = isSameLink(link, wanted.namespaces.get(namespace.name)?.links.get(link.name))
    if (kept && isWhole(current, link, namespace.name)) continue
    add(namespace.name, link.name)
    if (link.link.kind === 'veth') add(link.link.peer.namespace, link.link.peer.interface)
  }
  return gone
}

export function findShaken(current: State, wanted: State): Gone {
  const shaken: Gone = new Map()
  for (const state of current.namespaces.values()) {
    const next = wanted.namespaces.get(state.name)
    if (!next) continue
    const devices = new Set([...removed(state.addresses, next.addresses)].map((a) => a.dev))
    if (devices.size > 0) shaken.set(state.name, devices)
  }
  return shaken
}

export function isOn(route: Route, devices: ReadonlySet<string> | undefined): boolean {
  if (!devices) return false
  return [route.dev, ...(route.nexthops ?? []).map((hop) => hop.dev)].some(
    (dev) => dev !== undefined && devices.has(dev),
  )
}

export function without<T>(
  items: ReadonlyMap<string, T> | undefined,
  isGone: (item: T) => boolean,
): ReadonlyMap<string, T> {
  return new Map([...(items ?? [])].filter(([, item]) => !isGone(item)))
}

export function keepsTheSame(a: KeeperState, b: KeeperState | undefined): boolean {
  return b !== undefined && JSON.stringify(a.services) === JSON.stringify(b.services)
}
