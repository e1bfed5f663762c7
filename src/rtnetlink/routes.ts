/** Routes; rtnetlink(7), linux/rtnetlink.h, ip-route(8). */
import { bitsOf, type Family, type Prefix } from '../ip/index.ts'
import {
  align,
  attrs,
  type Codec,
  ip,
  type Message,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  type Request,
  request,
  type Socket,
  shape,
  struct,
  u8,
  u32,
} from '../netlink/index.ts'
import { type Scope, scopes } from './addresses.ts'

const RTM_NEWROUTE = 24
const RTM_DELROUTE = 25
const RTM_GETROUTE = 26

const AF_INET = 2
const AF_INET6 = 10

const RTNH_F_ONLINK = 4
const RTM_F_CLONED = 0x200
const RTM_F_FIB_MATCH = 0x2000

export const TABLE_MAIN = 254
export const TABLE_LOCAL = 255

export const protocols = { redirect: 1, kernel: 2, boot: 3, static: 4, ra: 9 } as const

export const routeTypes = {
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
} as const
export type RouteType = keyof typeof routeTypes

const rtmsgFields = {
  family: 'u8',
  dstLength: 'u8',
  srcLength: 'u8',
  tos: 'u8',
  table: 'u8',
  protocol: 'u8',
  scope: 'u8',
  type: 'u8',
  flags: 'u32',
} as const
const rtmsg = struct(rtmsgFields)

/** RTAX_* */
const metricAttrs = attrs({
  /** bits, by number of a metric: path MTU discovery does not change it */
  lock: [1, u32],
  mtu: [2, u32],
  window: [3, u32],
  rtt: [4, u32],
  ssthresh: [6, u32],
  cwnd: [7, u32],
  advmss: [8, u32],
  reordering: [9, u32],
  hoplimit: [10, u32],
  initcwnd: [11, u32],
  features: [12, u32],
  initrwnd: [14, u32],
  quickack: [15, u32],
})
export type RouteMetrics = Parameters<typeof metricAttrs.encode>[0]

export interface Nexthop {
  readonly via?: string
  readonly index: number
  /** 1 to 256 */
  readonly weight: number
  readonly onlink?: boolean
}

/** RTA_MULTIPATH: a list of struct rtnexthop, each with its gateway as an attribute. */
const RTNEXTHOP = 8
const hopAttrs = attrs({ gateway: [5, ip] })
const multipath: Codec<Nexthop[]> = {
  encode: (hops, to) => {
    for (const hop of hops) {
      const at = to.length
      to.u16(0)
      to.u8(hop.onlink ? RTNH_F_ONLINK : 0)
      to.u8(hop.weight - 1)
      to.s32(hop.index)
      if (hop.via !== undefined) hopAttrs.encode({ gateway: hop.via }, to)
      to.setU16(at, to.length - at)
    }
  },
  decode: (from) => {
    const hops: Nexthop[] = []
    for (let at = 0; at + RTNEXTHOP <= from.length; ) {
      const length = from.u16(at)
      if (length < RTNEXTHOP || at + length > from.length) break
      const { gateway } = hopAttrs.decode(from.slice(at + RTNEXTHOP, at + length))
      hops.push({
        ...(gateway === undefined ? {} : { via: gateway }),
        index: from.s32(at + 4),
        weight: from.u8(at + 3) + 1,
        ...(from.u8(at + 2) & RTNH_F_ONLINK ? { onlink: true } : {}),
      })
      at += align(length)
    }
    return hops
  },
}

const routeAttrs = attrs({
  dst: [1, ip],
  src: [2, ip],
  iif: [3, u32],
  oif: [4, u32],
  gateway: [5, ip],
  priority: [6, u32],
  prefsrc: [7, ip],
  metrics: [8, metricAttrs],
  multipath: [9, multipath],
  table: [15, u32],
  mark: [16, u32],
  pref: [20, u8],
  uid: [25, u32],
  ipProto: [27, u8],
})
const routeShape = shape(rtmsg, routeAttrs)

export interface NewRoute {
  readonly to: Prefix
  readonly type: RouteType
  readonly via?: string
  /** of the device */
  readonly index?: number
  /** preferred source address */
  readonly src?: string
  readonly scope?: Scope
  readonly metric?: number
  readonly table: number
  /** who made it; boot when absent */
  readonly protocol?: number
  readonly onlink?: boolean
  readonly metrics?: RouteMetrics
  readonly nexthops?: readonly Nexthop[]
}

/** iproute2's choice: a route without gateway reaches the link only; IPv6 knows no scopes. */
function scopeOf(route: NewRoute): number {
  if (route.scope) return scopes[route.scope]
  if (route.to.family === 6) return scopes.global
  if (route.type === 'local') return scopes.host
  const isDirect = route.via === undefined && !route.nexthops
  return isDirect && ['unicast', 'broadcast', 'multicast', 'anycast'].includes(route.type) ? scopes.link : scopes.global
}

function routeRequest(type: number, flags: number, route: NewRoute, scope: number): Request {
  return request(
    type,
    flags,
    routeShape,
    {
      family: route.to.family === 4 ? AF_INET : AF_INET6,
      dstLength: route.to.length,
      table: route.table < 256 ? route.table : 0,
      protocol: route.protocol ?? (type === RTM_DELROUTE ? 0 : protocols.boot),
      scope,
      type: routeTypes[route.type],
      flags: route.onlink && !route.nexthops ? RTNH_F_ONLINK : 0,
    },
    {
      ...(route.to.length === 0 ? {} : { dst: route.to.address }),
      ...(route.via === undefined ? {} : { gateway: route.via }),
      ...(route.src === undefined ? {} : { prefsrc: route.src }),
      ...(route.table < 256 ? {} : { table: route.table }),
      ...(route.metric === undefined ? {} : { priority: route.metric }),
      ...(route.index === undefined ? {} : { oif: route.index }),
      ...(route.metrics ? { metrics: route.metrics } : {}),
      ...(route.nexthops ? { multipath: [...route.nexthops] } : {}),
    },
  )
}

export function addRoute(route: NewRoute, options: { readonly replace?: boolean } = {}): Request {
  const flags = NLM_F_CREATE | (options.replace ? NLM_F_REPLACE : NLM_F_EXCL)
  return routeRequest(RTM_NEWROUTE, flags, route, scopeOf(route))
}

/** Removes the first route that agrees in all that is given. */
export function deleteRoute(route: NewRoute): Request {
  const anyScope = route.to.family === 6 ? scopes.global : scopes.nowhere
  return routeRequest(RTM_DELROUTE, 0, route, route.scope ? scopes[route.scope] : anyScope)
}

export interface Route {
  readonly to: Prefix
  readonly type: RouteType
  readonly via?: string
  readonly index?: number
  readonly src?: string
  readonly scope: Scope
  readonly metric?: number
  readonly table: number
  readonly protocol: number
  readonly onlink: boolean
  readonly metrics?: RouteMetrics
  readonly nexthops?: readonly Nexthop[]
}

const typeNames = new Map(Object.entries(routeTypes).map(([name, number]) => [number as number, name as RouteType]))
const scopeNames = new Map(Object.entries(scopes).map(([name, number]) => [number as number, name as Scope]))

function readRoute({ header, attrs: a }: Message<typeof rtmsgFields, typeof routeAttrs.fields>): Route {
  const family: Family = header.family === AF_INET ? 4 : 6
  const to = {
    address: a.dst ?? (family === 4 ? '0.0.0.0' : '::'),
    length: Math.min(header.dstLength, bitsOf(family)),
    family,
  }
  return {
    to,
    type: typeNames.get(header.type) ?? 'unicast',
    ...(a.gateway === undefined ? {} : { via: a.gateway }),
    ...(a.oif === undefined ? {} : { index: a.oif }),
    ...(a.prefsrc === undefined ? {} : { src: a.prefsrc }),
    scope: scopeNames.get(header.scope) ?? 'global',
    ...(a.priority === undefined ? {} : { metric: a.priority }),
    table: a.table ?? header.table,
    protocol: header.protocol,
    onlink: (header.flags & RTNH_F_ONLINK) !== 0,
    ...(a.metrics ? { metrics: a.metrics } : {}),
    ...(a.multipath ? { nexthops: a.multipath } : {}),
  }
}

/** Every route of the socket's namespace in all tables, without the cache of exceptions. */
export function listRoutes(
  socket: Socket,
  filter: { readonly family?: Family; readonly table?: number } = {},
): Route[] {
  const families = filter.family ? [filter.family] : ([4, 6] as const)
  return families.flatMap((family) => {
    const header = { family: family === 4 ? AF_INET : AF_INET6 }
    const attributes = filter.table === undefined ? {} : { table: filter.table }
    return socket
      .dump(request(RTM_GETROUTE, 0, routeShape, header, attributes), routeShape)
      .filter((m) => !(m.header.flags & RTM_F_CLONED))
      .map(readRoute)
  })
}

/** The kernel's own choice for a destination, as `ip route get`; `fibMatch` gives the entry of the table that decided. */
export function getRoute(
  socket: Socket,
  query: {
    readonly to: string
    readonly from?: string
    readonly iif?: number
    readonly oif?: number
    readonly mark?: number
    readonly fibMatch?: boolean
  },
): Route {
  const family: Family = query.to.includes(':') ? 6 : 4
  const header = {
    family: family === 4 ? AF_INET : AF_INET6,
    dstLength: bitsOf(family),
    srcLength: query.from === undefined ? 0 : bitsOf(family),
    flags: query.fibMatch ? RTM_F_FIB_MATCH : 0,
  }
  const attributes = {
    dst: query.to,
    ...(query.from === undefined ? {} : { src: query.from }),
    ...(query.iif === undefined ? {} : { iif: query.iif }),
    ...(query.oif === undefined ? {} : { oif: query.oif }),
    ...(query.mark === undefined ? {} : { mark: query.mark }),
  }
  return readRoute(socket.get(request(RTM_GETROUTE, 0, routeShape, header, attributes), routeShape))
}
