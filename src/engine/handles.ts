/** Open namespaces: for each a descriptor, its netlink sockets and the indices of its links. */
import { NETLINK_NETFILTER, NETLINK_ROUTE, type Socket } from '../netlink/index.ts'
import { createNetns, currentNetns, inNetns, type Netns, openNetns, openSocketIn } from '../netns/index.ts'
import type { Place } from '../plan/operations.ts'
import { getLink, type Link, listLinks } from '../rtnetlink/index.ts'

/** Enough that small topologies never close one; far below what a process may open. */
const MOST_OPEN = 400

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
  /** Indices may be stale after this: a link was removed or renamed. */
  readonly forget: (name: string) => void
  readonly close: () => void
}

function openHandle(netns: Netns): Handle {
  const route = openSocketIn(netns.fd, NETLINK_ROUTE)
  let nft: Socket | undefined
  const indices = new Map<string, number>()
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
      const link = getLink(route, { name })
      if (!link) throw new Error(`there is no link ${name}`)
      indices.set(name, link.index)
      return link.index
    },
    links: () => {
      const links = listLinks(route)
      for (const link of links) indices.set(link.name, link.index)
      return links
    },
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
  const keep = (place: Place, netns: Netns): Handle => {
    const handle = openHandle(netns)
    open.set(key(place), handle)
    // the namespace that hardway runs in stays: it is part of nearly every operation
    const oldest = open.size > MOST_OPEN ? [...open.keys()].find((k) => k !== '') : undefined
    if (oldest !== undefined) {
      open.get(oldest)?.close()
      open.delete(oldest)
    }
    return handle
  }
  return {
    at: (place) => {
      const known = open.get(key(place))
      if (!known) return keep(place, place.netns === undefined ? currentNetns() : openNetns(place.netns))
      // moved to the end: the map's order is the order of use
      open.delete(key(place))
      open.set(key(place), known)
      return known
    },
    create: (place, mark) => {
      keep(place, createNetns(place.netns, mark))
    },
    release,
    [Symbol.dispose]: () => {
      for (const handle of open.values()) handle.close()
      open.clear()
    },
  }
}
