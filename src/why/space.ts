/** One network namespace as `why` sees it: everything read once, when it is first asked for. Nothing is changed. */
import { readFileSync } from 'node:fs'
import { codeOf } from '../engine/errors.ts'
import { sysctlPath } from '../engine/observe.ts'
import { NETLINK_NETFILTER, NETLINK_ROUTE, openSocket, type Socket } from '../netlink/index.ts'
import { inNetns, type Netns, openSocketIn } from '../netns/index.ts'
import {
  type Flow,
  type FlowFilter,
  type ListeningSocket,
  listFlows,
  listListening,
  openConntrack,
  openSockDiag,
} from '../packet/index.ts'
import {
  type Address,
  countFilters,
  type ForwardingEntry,
  getLink,
  getLinkBriefly,
  getRoute,
  type Link,
  listAddresses,
  listForwarding,
  listLinksBriefly,
  listNeighbours,
  listQdiscs,
  listRoutes,
  listRules,
  type Neighbour,
  type Qdisc,
  type Route,
  type Rule,
} from '../rtnetlink/index.ts'

export type RouteQuery = Parameters<typeof getRoute>[1]
/** What the kernel says to a route query: a route, or the name of an errno. */
export type RouteAnswer = { readonly route: Route } | { readonly errno: string }

export interface Space extends Disposable {
  /** inode on nsfs: what makes it this one, whatever names it has */
  readonly inode: number
  /** as `exec` takes it */
  readonly name: string
  /** an open descriptor of it */
  readonly fd: () => number
  readonly socket: () => Socket
  readonly nft: () => Socket
  readonly inside: <T>(work: () => T) => T
  /** every link, without what its kind says of it */
  readonly links: () => readonly Link[]
  /** the same link with all that the kernel tells */
  readonly detail: (link: Link) => Link
  readonly link: (index: number | undefined) => Link | undefined
  readonly addresses: () => readonly Address[]
  readonly rules: () => readonly Rule[]
  readonly routes: () => readonly Route[]
  readonly neighbours: () => readonly Neighbour[]
  /** addresses that it answers ARP or NDP for, though it does not have them */
  readonly proxies: () => readonly Neighbour[]
  readonly forwarding: () => readonly ForwardingEntry[]
  readonly qdiscs: () => readonly Qdisc[]
  /** how many filters hang on the clsact or ingress qdisc of a device */
  readonly filters: (index: number) => number
  /** what connection tracking remembers */
  readonly flows: (filter: FlowFilter) => readonly Flow[]
  readonly listening: () => readonly ListeningSocket[]
  /** the kernel's own choice */
  readonly route: (query: RouteQuery) => RouteAnswer
  /** undefined where the kernel has no such key */
  readonly sysctl: (key: string) => string | undefined
}

function once<T>(read: () => T): () => T {
  let value: { readonly it: T } | undefined
  return () => {
    value ??= { it: read() }
    return value.it
  }
}

/** Where a namespace can be asked without entering it: from another, by the number that it has there. */
export interface From {
  readonly socket: Socket
  readonly nsid: number
}

/**
 * A namespace, which is opened when it must be: of the many behind a bridge most are asked for one link and their
 * addresses only, and that can be done `from` the bridge's.
 */
export function openSpace(name: string, inode: number, open: () => Netns, from?: From): Space {
  const known = new Map<number, Link | undefined>()
  let opened: { readonly netns: Netns; readonly socket: Socket } | undefined
  const own = (): { readonly netns: Netns; readonly socket: Socket } => {
    if (opened) return opened
    const netns = open()
    opened = { netns, socket: openSocketIn(netns.fd, NETLINK_ROUTE) }
    // asked from elsewhere, a link tells the number that its peer's namespace has there
    known.clear()
    return opened
  }
  const socket = (): Socket => own().socket
  const inside = <T>(work: () => T): T => inNetns(own().netns.fd, work)
  let nft: Socket | undefined
  const details = new Map<number, Link>()
  const links = once(() => {
    const all = listLinksBriefly(socket())
    for (const link of all) known.set(link.index, link)
    return all
  })
  const oneLink = (index: number): Link | undefined =>
    from && !opened ? getLinkBriefly(from.socket, index, from.nsid) : getLinkBriefly(socket(), index)
  const sysctls = new Map<string, string | undefined>()
  return {
    inode,
    name,
    fd: () => own().netns.fd,
    socket,
    nft: () => {
      nft ??= inside(() => openSocket(NETLINK_NETFILTER))
      return nft
    },
    inside,
    links,
    link: (index) => {
      if (index === undefined) return undefined
      if (!known.has(index)) known.set(index, oneLink(index))
      return known.get(index)
    },
    detail: (link) => {
      const detail = details.get(link.index) ?? getLink(socket(), { index: link.index }) ?? link
      details.set(link.index, detail)
      return detail
    },
    addresses: once(() =>
      from && !opened ? listAddresses(from.socket, { nsid: from.nsid }) : listAddresses(socket()),
    ),
    rules: once(() => listRules(socket())),
    routes: once(() => listRoutes(socket())),
    neighbours: once(() => listNeighbours(socket())),
    proxies: once(() => listNeighbours(socket(), { proxy: true })),
    forwarding: once(() => listForwarding(socket())),
    qdiscs: once(() => listQdiscs(socket())),
    filters: (index) => countFilters(socket(), index),
    listening: once(() => {
      using diag = inside(openSockDiag)
      return listListening(diag)
    }),
    flows: (filter) => {
      using conntrack = inside(openConntrack)
      return listFlows(conntrack, filter)
    },
    route: (query) => {
      try {
        return { route: getRoute(socket(), query) }
      } catch (error) {
        const errno = codeOf(error)
        if (errno === undefined) throw error
        return { errno }
      }
    },
    sysctl: (key) => {
      if (!sysctls.has(key))
        sysctls.set(
          key,
          inside(() => readSysctl(key)),
        )
      return sysctls.get(key)
    },
    [Symbol.dispose]: () => {
      nft?.close()
      opened?.socket.close()
      opened?.netns.close()
    },
  }
}

function readSysctl(key: string): string | undefined {
  try {
    return readFileSync(sysctlPath(key), 'utf8').trim()
  } catch {
    return undefined
  }
}
