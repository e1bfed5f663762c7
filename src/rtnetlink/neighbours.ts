/** Neighbours, proxies and forwarding databases; linux/neighbour.h, ip-neighbour(8), bridge(8). */
import {
  attrs,
  ip,
  type Message,
  mac,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_EXCL,
  type Request,
  request,
  type Socket,
  shape,
  struct,
  u8,
  u32,
} from '../netlink/index.ts'

const RTM_NEWNEIGH = 28
const RTM_DELNEIGH = 29
const RTM_GETNEIGH = 30

const AF_INET = 2
const AF_BRIDGE = 7
const AF_INET6 = 10
const NTF_SELF = 2
const NTF_PROXY = 8

const ndmsgFields = {
  family: 'u8',
  _pad1: 'u8',
  _pad2: 'u16',
  index: 's32',
  state: 'u16',
  flags: 'u8',
  type: 'u8',
} as const
const ndmsg = struct(ndmsgFields)
const neighbourAttrs = attrs({ ip: [1, ip], mac: [2, mac], ifindex: [8, u32], master: [9, u32], protocol: [12, u8] })
const neighbourShape = shape(ndmsg, neighbourAttrs)

export const neighbourStates = {
  none: 0,
  incomplete: 1,
  reachable: 2,
  stale: 4,
  delay: 8,
  probe: 0x10,
  failed: 0x20,
  noarp: 0x40,
  permanent: 0x80,
} as const
export type NeighbourState = keyof typeof neighbourStates

export interface NewNeighbour {
  readonly index: number
  readonly ip: string
  /** absent for a proxy */
  readonly mac?: string
  readonly state?: NeighbourState
  /** answer for this address on the link */
  readonly proxy?: boolean
  readonly protocol?: number
}

function neighbourRequest(type: number, flags: number, n: NewNeighbour): Request {
  return request(
    type,
    flags,
    neighbourShape,
    {
      family: n.ip.includes(':') ? AF_INET6 : AF_INET,
      index: n.index,
      state: neighbourStates[n.state ?? 'permanent'],
      flags: n.proxy ? NTF_PROXY : 0,
    },
    {
      ...(n.protocol === undefined ? {} : { protocol: n.protocol }),
      ip: n.ip,
      ...(n.mac === undefined ? {} : { mac: n.mac }),
    },
  )
}

export function addNeighbour(neighbour: NewNeighbour): Request {
  return neighbourRequest(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, neighbour)
}

export function deleteNeighbour(neighbour: NewNeighbour): Request {
  return neighbourRequest(RTM_DELNEIGH, 0, neighbour)
}

export interface Neighbour {
  readonly index: number
  readonly ip: string
  readonly mac?: string
  readonly state: NeighbourState
  readonly proxy: boolean
  readonly protocol: number
}

const stateNames = new Map(
  Object.entries(neighbourStates).map(([name, number]) => [number as number, name as NeighbourState]),
)

/** Entries of a forwarding database are permanent and noarp at once. */
function stateOf(bits: number): NeighbourState {
  return stateNames.get(bits) ?? (bits & neighbourStates.permanent ? 'permanent' : 'none')
}

function readNeighbour({ header, attrs: a }: Message<typeof ndmsgFields, typeof neighbourAttrs.fields>): Neighbour {
  return {
    index: header.index,
    ip: a.ip ?? '',
    ...(a.mac === undefined ? {} : { mac: a.mac }),
    state: stateOf(header.state),
    proxy: (header.flags & NTF_PROXY) !== 0,
    protocol: a.protocol ?? 0,
  }
}

/** Neighbour entries of both families; with `proxy` the addresses answered for instead. */
export function listNeighbours(socket: Socket, options: { readonly proxy?: boolean } = {}): Neighbour[] {
  return [AF_INET, AF_INET6].flatMap((family) =>
    socket
      .dump(request(RTM_GETNEIGH, 0, neighbourShape, { family, flags: options.proxy ? NTF_PROXY : 0 }), neighbourShape)
      .map(readNeighbour),
  )
}

export interface ForwardingEntry {
  readonly index: number
  readonly mac: string
  /** the bridge, for entries of its ports */
  readonly master?: number
  readonly state: NeighbourState
  /** the remote end, for vxlan */
  readonly ip?: string
}

/** Forwarding databases of bridges and vxlan links, as `bridge fdb`. */
export function listForwarding(socket: Socket): ForwardingEntry[] {
  return socket
    .dump(request(RTM_GETNEIGH, 0, neighbourShape, { family: AF_BRIDGE }), neighbourShape)
    .map(({ header, attrs: a }) => ({
      index: header.index,
      mac: a.mac ?? '',
      ...(a.master === undefined ? {} : { master: a.master }),
      ...(a.ip === undefined ? {} : { ip: a.ip }),
      state: stateOf(header.state),
    }))
}

/** One more remote of a vxlan for a MAC (all zero: for every other), as `bridge fdb append MAC dev LINK dst IP`. */
export function addForwarding(entry: { readonly index: number; readonly mac: string; readonly ip: string }): Request {
  return request(
    RTM_NEWNEIGH,
    NLM_F_CREATE | NLM_F_APPEND,
    neighbourShape,
    {
      family: AF_BRIDGE,
      index: entry.index,
      state: neighbourStates.permanent | neighbourStates.noarp,
      flags: NTF_SELF,
    },
    { mac: entry.mac, ip: entry.ip },
  )
}
