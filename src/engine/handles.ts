/** Open namespaces: for each a descriptor, its netlink sockets and the indices of its links. */
import { readFileSync } from 'node:fs'
import { NETLINK_NETFILTER, NETLINK_ROUTE, type Socket } from '../netlink/index.ts'
import { createNetns, currentNetns, inNetns, type Netns, openNetns, openSocketIn } from '../netns/index.ts'
import type { Place } from '../plan/operations.ts'
import { getLinkLabel, type Link, type LinkLabel, listLinkLabels, listLinks } from '../rtnetlink/index.ts'

/** A namespace has a descriptor of its own and up to two sockets; the rest of the process needs some, too. */
const DESCRIPTORS_EACH = 3
const DESCRIPTORS_ELSEWHERE = 100
const USUAL_LIMIT = 1024

/** How many namespaces may be open at once: as many as the process may have descriptors for (RLIMIT_NOFILE). */
function mostOpen(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8')
  const soft = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? USUAL_LIMIT)
  return Math.floor((soft - DESCRIPTORS_ELSEWHERE) / DESCRIPTORS_EACH)
}

export interface Handle {
  readonly fd: number
  readonly route: Socket
  /** opened when first asked for */
  readonly nft: () => Socket
  /** Runs synchronous work inside. */
  readonly inside: <T>(work: () => T) => T
  /** Index of a link; throws Error when there is none of that name. */
  readonly index: (name: string) => number
  readonly links: () => Link[]
  /** Which links there are, and whose; less work than `links`. */
  readonly labels: () => LinkLabel[]
  /** For the next link of a namespace that this process has just made: an index that is free there. */
  readonly freeIndex: () => number | undefined
  /** A new link's index, chosen from `freeIndex`. */
  readonly learn: (name: string, index: number) => void
  /** Indices may be stale after this: a link was removed or renamed. */
  readonly forget: (name: string) => void
  readonly close: () => void
}

/** `nextIndex` is that of a namespace which nobody else knows yet. */
function openHandle(netns: Netns, route = openSocketIn(netns.fd, NETLINK_ROUTE), nextIndex?: number): Handle {
  let next = nextIndex
  let nft: Socket | undefined
  const indices = new Map<string, number>()
  const note = <T extends LinkLabel>(link: T): T => {
    indices.set(link.name, link.index)
    return link
  }
  return {
    fd: netns.fd,
    route,
    nft: () => {
      nft ??= openSocketIn(netns.fd, NETLINK_NETFILTER)
      return nft
    },
    inside: (work) => inNetns(netns.fd, work),
    index: (name) => {
      const known = indices.get(name)
      if (known !== undefined) return known
      const link = getLinkLabel(route, { name })
      if (!link) throw new Error(`there is no link ${name}`)
      indices.set(name, link.index)
      return link.index
    },
    links: () => listLinks(route).map(note),
    labels: () => listLinkLabels(route).map(note),
    freeIndex: () => (next === undefined ? undefined : next++),
    learn: (name, index) => indices.set(name, index),
    forget: (name) => indices.delete(name),
    close: () => {
      route.close()
      nft?.close()
      netns.close()
    },
  }
}

export interface Handles extends Disposable {
  /** Throws SysError when the namespace does not exist. */
  readonly at: (place: Place) => Handle
  /** Makes the namespace, marked, and opens it. */
  readonly create: (place: Place & { readonly netns: string }, mark: string) => void
  readonly release: (place: Place) => void
}

/** Handles that are opened when needed; the one used longest ago is closed when there are too many. */
export function openHandles(): Handles {
  const open = new Map<string, Handle>()
  const key = (place: Place): string => place.netns ?? ''
  const release = (place: Place): void => {
    open.get(key(place))?.close()
    open.delete(key(place))
  }
  let most = Math.floor((USUAL_LIMIT - DESCRIPTORS_ELSEWHERE) / DESCRIPTORS_EACH)
  let isCounted = false
  const isFull = (): boolean => {
    if (open.size <= most || isCounted) return open.size > most
    isCounted = true
    most = mostOpen()
    return open.size > most
  }
  // new namespaces are all alike: some kernels put tunnels into each
  let firstFree: number | undefined
  const keep = (place: Place, handle: Handle): Handle => {
    open.set(key(place), handle)
    // the namespace that hardway runs in stays: it is part of nearly every operation
    const oldest = isFull() ? [...open.keys()].find((k) => k !== '') : undefined
    if (oldest !== undefined) {
      open.get(oldest)?.close()
      open.delete(oldest)
    }
    return handle
  }
  return {
    at: (place) => {
      const known = open.get(key(place))
      if (!known) return keep(place, openHandle(place.netns === undefined ? currentNetns() : openNetns(place.netns)))
      // moved to the end: the map's order is the order of use
      open.delete(key(place))
      open.set(key(place), known)
      return known
    },
    create: (place, mark) => {
      const { netns, route } = createNetns(place.netns, mark)
      firstFree ??= 1 + Math.max(...listLinkLabels(route).map((link) => link.index))
      keep(place, openHandle(netns, route, firstFree))
    },
    release,
    [Symbol.dispose]: () => {
      for (const handle of open.values()) handle.close()
      open.clear()
    },
  }
}
