/**
 * Connection tracking over ctnetlink: what the kernel remembers of flows and their translations, and how to make it
 * forget. linux/netfilter/nfnetlink_conntrack.h. A socket sees the namespace in which it was opened.
 */
import type { Family } from '../ip/index.ts'
import {
  attrs,
  be16,
  be32,
  bits,
  type Infer,
  ip,
  NETLINK_NETFILTER,
  NetlinkError,
  nested,
  openSocket,
  request,
  type Socket,
  shape,
  struct,
  u8,
} from '../netlink/index.ts'
import { AF_INET, AF_INET6 } from '../sys/index.ts'

const NFNL_SUBSYS_CTNETLINK = 1 << 8
const CT_GET = NFNL_SUBSYS_CTNETLINK | 1
const CT_DELETE = NFNL_SUBSYS_CTNETLINK | 2
const ENOENT = 2

/** `struct nfgenmsg` */
const nfgenmsg = struct({ family: 'u8', version: 'u8', resId: 'be16' })

const tupleIp = attrs({ source4: [1, ip], destination4: [2, ip], source6: [3, ip], destination6: [4, ip] })

const tupleProtocol = attrs({
  number: [1, u8],
  sourcePort: [2, be16],
  destinationPort: [3, be16],
  icmpId: [4, be16],
  icmpType: [5, u8],
  icmpCode: [6, u8],
  icmpv6Id: [7, be16],
  icmpv6Type: [8, u8],
  icmpv6Code: [9, u8],
})

const tuple = nested(attrs({ ip: [1, nested(tupleIp)], protocol: [2, nested(tupleProtocol)], zone: [3, be16] }))

/** `enum ip_conntrack_status`, linux/netfilter/nf_conntrack_common.h */
const status = bits(be32, {
  expected: 1 << 0,
  seenReply: 1 << 1,
  assured: 1 << 2,
  confirmed: 1 << 3,
  sourceNat: 1 << 4,
  destinationNat: 1 << 5,
  sequenceAdjust: 1 << 6,
  sourceNatDone: 1 << 7,
  destinationNatDone: 1 << 8,
  dying: 1 << 9,
  fixedTimeout: 1 << 10,
  template: 1 << 11,
  untracked: 1 << 12,
  helper: 1 << 13,
  offload: 1 << 14,
  hardwareOffload: 1 << 15,
})

const conntrackAttrs = attrs({
  original: [1, tuple],
  reply: [2, tuple],
  status: [3, status],
  timeout: [7, be32],
  mark: [8, be32],
  id: [12, be32],
  zone: [18, be16],
})

const conntrackShape = shape(nfgenmsg, conntrackAttrs)

/** One direction of a flow. */
export interface FlowTuple {
  readonly source: string
  readonly destination: string
  /** absent for protocols without ports */
  readonly sourcePort?: number
  readonly destinationPort?: number
  /** of an ICMP echo and its like */
  readonly icmp?: { readonly id: number; readonly type: number; readonly code: number }
}

export interface Flow {
  readonly family: Family
  /** IP protocol number: 6 is TCP, 17 is UDP */
  readonly protocol: number
  /** as the first packet was sent */
  readonly original: FlowTuple
  /** as answers are expected; it differs from the reverse of `original` where NAT is at work */
  readonly reply: FlowTuple
  readonly status: Infer<typeof status>
  /** seconds until it is forgotten */
  readonly timeout: number
  readonly mark: number
  readonly zone: number
}

/** What a flow must be; whatever is absent does not count. Addresses as canonical text. */
export interface FlowFilter {
  readonly family?: Family
  /** IP protocol number */
  readonly protocol?: number
  readonly original?: Partial<Omit<FlowTuple, 'icmp'>>
  readonly reply?: Partial<Omit<FlowTuple, 'icmp'>>
}

type WireTuple = Infer<typeof tuple>
type Wire = Infer<typeof conntrackAttrs>

function readTuple({ ip: addresses = {}, protocol = {} }: WireTuple): FlowTuple {
  const { sourcePort, destinationPort } = protocol
  const id = protocol.icmpId ?? protocol.icmpv6Id
  const [type = 0, code = 0] = [protocol.icmpType ?? protocol.icmpv6Type, protocol.icmpCode ?? protocol.icmpv6Code]
  return {
    source: addresses.source4 ?? addresses.source6 ?? '',
    destination: addresses.destination4 ?? addresses.destination6 ?? '',
    ...(sourcePort === undefined ? {} : { sourcePort }),
    ...(destinationPort === undefined ? {} : { destinationPort }),
    ...(id === undefined ? {} : { icmp: { id, type, code } }),
  }
}

function readFlow(family: number, wire: Wire): Flow {
  return {
    family: family === AF_INET6 ? 6 : 4,
    protocol: wire.original?.protocol?.number ?? 0,
    original: readTuple(wire.original ?? {}),
    reply: readTuple(wire.reply ?? {}),
    status: wire.status ?? [],
    timeout: wire.timeout ?? 0,
    mark: wire.mark ?? 0,
    zone: wire.zone ?? 0,
  }
}

function isLike(flow: FlowTuple, wanted: FlowFilter['original'] = {}): boolean {
  const keys = ['source', 'destination', 'sourcePort', 'destinationPort'] as const
  return keys.every((key) => wanted[key] === undefined || wanted[key] === flow[key])
}

/** Whether a flow is what the filter says. */
export function matchesFlow(flow: Flow, filter: FlowFilter): boolean {
  if (filter.family !== undefined && filter.family !== flow.family) return false
  if (filter.protocol !== undefined && filter.protocol !== flow.protocol) return false
  return isLike(flow.original, filter.original) && isLike(flow.reply, filter.reply)
}

/** Opens a socket for this file's functions in the thread's present namespace. Throws SysError. */
export function openConntrack(): Socket {
  return openSocket(NETLINK_NETFILTER)
}

function dump(socket: Socket, filter: FlowFilter): { flow: Flow; wire: Wire; family: number }[] {
  const family = filter.family === undefined ? 0 : filter.family === 4 ? AF_INET : AF_INET6
  return socket
    .dump(request(CT_GET, 0, conntrackShape, { family }), conntrackShape)
    .map(({ header, attrs: wire }) => ({ flow: readFlow(header.family, wire), wire, family: header.family }))
    .filter(({ flow }) => matchesFlow(flow, filter))
}

/** The flows that match. Throws NetlinkError, as where the kernel has no nf_conntrack_netlink. */
export function listFlows(socket: Socket, filter: FlowFilter = {}): Flow[] {
  return dump(socket, filter).map(({ flow }) => flow)
}

/**
 * Forgets the flows that match, and returns how many there were: UDP flows keep the translation of their first packet
 * for as long as they are busy, so it must go when its rule goes. Throws NetlinkError.
 */
export function deleteFlows(socket: Socket, filter: FlowFilter): number {
  const requests = dump(socket, filter).map(({ wire: { original = {}, id, zone }, family }) => {
    const attributes: Wire = { original }
    // the id keeps a new flow with the same addresses from being hit
    if (id !== undefined) attributes.id = id
    if (zone !== undefined) attributes.zone = zone
    return request(CT_DELETE, 0, conntrackShape, { family }, attributes)
  })
  let count = 0
  for (const error of socket.batch(requests)) {
    if (!error) count++
    // it ended by itself in between
    else if (!(error instanceof NetlinkError) || error.errno !== ENOENT) throw error
  }
  return count
}
