/** One network namespace as `why` sees it: everything read once, when it is first asked for. Nothing is changed. */
import { readFileSync } from 'node:fs'
import { codeOf } from '../engine/errors.ts'
import { sysctlPath } from '../engine/observe.ts'
import { NETLINK_NETFILTER, NETLINK_ROUTE, type Socket } from '../netlink/index.ts'
import { inNetns, type Netns, openSocketIn } from '../netns/index.ts'
import { type ListeningSocket, listListening, openSockDiag } from '../packet/index.ts'
import {
  type Address,
  type ForwardingEntry,
  getRoute,
  type Link,
  listAddresses,
  listForwarding,
  listLinks,
  listNeighbours,
  listRoutes,
  listRules,
  type Neighbour,
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
  readonly netns: Netns
  readonly socket: Socket
  readonly nft: () => Socket
  readonly inside: <T>(work: () => T) => T
  readonly links: () => readonly Link[]
  readonly link: (index: number | undefined) => Link | undefined
  readonly addresses: () => readonly Address[]
  readonly rules: () => readonly Rule[]
  readonly routes: () => readonly Route[]
  readonly neighbours: () => readonly Neighbour[]
  /** addresses that it answers ARP or NDP for, though it does not have them */
  readonly proxies: () => readonly Neighbour[]
  readonly forwarding: () => readonly ForwardingEntry[]
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

/** Takes the descriptor over. */
export function openSpace(name: string, inode: number, netns: Netns): Space {
  const socket = openSocketIn(netns.fd, NETLINK_ROUTE)
  let nft: Socket | undefined
  const inside = <T>(work: () => T): T => inNetns(netns.fd, work)
  const links = once(() => listLinks(socket))
  const byIndex = once(() => new Map(links().map((link) => [link.index, link])))
  const sysctls = new Map<string, string | undefined>()
  return {
    inode,
    name,
    netns,
    socket,
    nft: () => {
      nft ??= openSocketIn(netns.fd, NETLINK_NETFILTER)
      return nft
    },
    inside,
    links,
    link: (index) => (index === undefined ? undefined : byIndex().get(index)),
    addresses: once(() => listAddresses(socket)),
    rules: once(() => listRules(socket)),
    routes: once(() => listRoutes(socket)),
    neighbours: once(() => listNeighbours(socket)),
    proxies: once(() => listNeighbours(socket, { proxy: true })),
    forwarding: once(() => listForwarding(socket)),
    listening: once(() => {
      using diag = inside(openSockDiag)
      return listListening(diag)
    }),
    route: (query) => {
      try {
        return { route: getRoute(socket, query) }
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
      socket.close()
      nft?.close()
      netns.close()
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
