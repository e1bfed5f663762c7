/** Matches of iptables: offsets are those of the structures in linux/netfilter/xt_*.h. */

import { parseAddress } from '../../ip/index.ts'
import type { Reader } from '../../netlink/index.ts'
import type { PacketDevice, Tuple } from '../packet.ts'
import { all, any, type Bits, compareBytes, equals, flip, known, type Maybe, networkNumber, within } from './bits.ts'
import { layers, macBytes, protocolNumbers, readFrame } from './frame.ts'
import { stateOf, statusOf } from './load-ct.ts'
import { packetType } from './load-meta.ts'
import { addressTypes } from './result.ts'
import { frameFor, type Run, trackingOf } from './run.ts'
import type { XtMatch } from './xt.ts'

/** Bytes of the transport header; undefined when the packet ends before. */
function transport(run: Run, offset: number, length: number): Bits | undefined {
  return readFrame(run.packet, frameFor(run), layers.transport, offset, length)
}

function portWithin(run: Run, offset: 0 | 2, from: number, to: number): Maybe {
  const port = transport(run, offset, 2)
  return port ? within(port, networkNumber(from, 2), networkNumber(to, 2)) : false
}

/** xt_tcp and xt_udp begin alike: two ranges of ports. */
function ports(run: Run, info: Reader, inverted: number): Maybe {
  return all(
    flip(portWithin(run, 0, info.u16(0), info.u16(2)), (inverted & 1) !== 0),
    flip(portWithin(run, 2, info.u16(4), info.u16(6)), (inverted & 2) !== 0),
  )
}

function tcp(run: Run, info: Reader): Maybe {
  if (run.packet.protocol !== 'tcp') return false
  const inverted = info.u8(11)
  const [option, mask, wanted] = [info.u8(8), info.u8(9), info.u8(10)]
  const header = transport(run, 13, 1)
  const flags = header && {
    value: header.value.map((byte) => byte & mask),
    unknown: header.unknown?.map((byte) => byte & mask),
  }
  return all(
    ports(run, info, inverted),
    flip(flags ? equals(flags, Uint8Array.of(wanted)) : false, (inverted & 4) !== 0),
    option === 0 ? true : undefined,
  )
}

const udp: XtMatch = (run, info) => run.packet.protocol === 'udp' && ports(run, info, info.u8(8))

function icmpType(run: Run, info: Reader, any255: boolean): Maybe {
  const [type, low, high] = [info.u8(0), info.u8(1), info.u8(2)]
  const isInverted = (info.u8(3) & 1) !== 0
  if (any255 && type === 255) return !isInverted
  const header = transport(run, 0, 1)
  const code = transport(run, 1, 1)
  if (!header || !code) return false
  const claim = all(equals(header, Uint8Array.of(type)), within(code, Uint8Array.of(low), Uint8Array.of(high)))
  return flip(claim, isInverted)
}

/** XT_MULTIPORT_SOURCE, _DESTINATION, _EITHER */
function multiport(run: Run, info: Reader, revision: number): Maybe {
  const [which, count] = [info.u8(0), info.u8(1)]
  const claims: Maybe[] = []
  for (let i = 0; i < count; i++) {
    const from = info.u16(2 + i * 2)
    const isRange = revision > 0 && info.u8(32 + i) !== 0
    const to = isRange ? info.u16(2 + ++i * 2) : from
    if (which !== 1) claims.push(portWithin(run, 0, from, to))
    if (which !== 0) claims.push(portWithin(run, 2, from, to))
  }
  return flip(any(...claims), revision > 0 && info.u8(47) !== 0)
}

/** XT_CONNTRACK_* and the offsets of the fields that go with them */
const conntrackFields = { state: 1, protocol: 2, status: 0x40, expires: 0x80, direction: 0x1000 } as const
const conntrackAddresses: readonly (readonly [bit: number, offset: number, (o: Tuple, r: Tuple) => string])[] = [
  [4, 0, (original) => original.source],
  [8, 32, (original) => original.destination],
  [0x10, 64, (_, reply) => reply.source],
  [0x20, 96, (_, reply) => reply.destination],
]
const conntrackPorts: readonly (readonly [bit: number, offset: number, (o: Tuple, r: Tuple) => number | undefined])[] =
  [
    [0x100, 0, (original) => original.sourcePort],
    [0x200, 2, (original) => original.destinationPort],
    [0x400, 4, (_, reply) => reply.sourcePort],
    [0x800, 6, (_, reply) => reply.destinationPort],
  ]
/** XT_CONNTRACK_STATE_*; differs from nf_tables in `untracked` */
const conntrackStates = { invalid: 1, established: 2, related: 4, new: 8, untracked: 256 } as const
const STATE_SNAT = 64
const STATE_DNAT = 128

/** net/netfilter/xt_conntrack.c; revisions 1 to 3 differ in the width of a field and in port ranges. */
function conntrack(run: Run, info: Reader, revision: number): Maybe {
  const [wanted, inverted] = [info.u16(146), info.u16(148)]
  const stateMask = revision === 1 ? info.u8(150) : info.u16(150)
  const statusMask = revision === 1 ? info.u8(151) : info.u16(152)
  const tracking = trackingOf(run)
  const test = (bit: number, claim: () => Maybe): Maybe => (wanted & bit ? flip(claim(), (inverted & bit) !== 0) : true)
  const translated =
    typeof tracking === 'string'
      ? 0
      : (tracking.isSourceTranslated ? STATE_SNAT : 0) | (tracking.isDestinationTranslated ? STATE_DNAT : 0)
  const state = test(conntrackFields.state, () => (stateMask & (conntrackStates[stateOf(run)] | translated)) !== 0)
  if (typeof tracking === 'string') return all(state, (wanted & conntrackFields.state) !== 0)
  const { original, reply } = tracking
  return all(
    state,
    test(conntrackFields.protocol, () => info.u16(136) === protocolNumbers[run.packet.protocol]),
    test(conntrackFields.direction, () => tracking.direction === 'original'),
    test(conntrackFields.expires, () => undefined),
    test(conntrackFields.status, () => anyBit(statusOf(run, tracking), statusMask)),
    ...conntrackAddresses.map(([bit, at, pick]) => test(bit, () => addressIn(pick(original, reply), info, at))),
    ...conntrackPorts.map(([bit, at, pick]) => test(bit, () => portIn(pick(original, reply), info, at, revision))),
  )
}

function anyBit({ value, unknown }: Bits, mask: number): Maybe {
  const bit = (bytes: Uint8Array): number => ((bytes[0] ?? 0) | ((bytes[1] ?? 0) << 8)) & mask
  return bit(value) !== 0 || (unknown && bit(unknown) !== 0 ? undefined : false)
}

/** An address and its mask, 16 bytes each. */
function addressIn(text: string, info: Reader, offset: number): boolean {
  const address = parseAddress(text) ?? new Uint8Array(0)
  return address.every((byte, i) => ((byte ^ info.u8(offset + i)) & info.u8(offset + 16 + i)) === 0)
}

function portIn(port: number | undefined, info: Reader, offset: number, revision: number): Maybe {
  if (port === undefined) return undefined
  if (revision < 3) return info.u16(138 + offset, false) === port
  return port >= info.u16(138 + offset) && port <= info.u16(154 + offset)
}

/** XT_ADDRTYPE_* */
const addrtypeFlags = { invertSource: 1, invertDestination: 2, byIn: 4, byOut: 8 } as const

function addrtype(run: Run, info: Reader, revision: number): Maybe {
  const { packet, world } = run
  const [source, destination] = [info.u16(0), info.u16(2)]
  // revision 0 has two words in place of flags
  const flags = revision === 0 ? (info.u32(4) ? 1 : 0) | (info.u32(8) ? 2 : 0) : info.u32(4)
  const device = flags & addrtypeFlags.byIn ? packet.in : flags & addrtypeFlags.byOut ? packet.out : undefined
  const isOf = (address: string, mask: number, isInverted: boolean): Maybe => {
    if (mask === 0) return true
    const type = world.addressType(address, device)
    return flip(type && (mask & (1 << addressTypes[type])) !== 0, isInverted)
  }
  return all(
    isOf(packet.source, source, (flags & addrtypeFlags.invertSource) !== 0),
    isOf(packet.destination, destination, (flags & addrtypeFlags.invertDestination) !== 0),
  )
}

const masked = (value: number, info: Reader): boolean => (value & info.u32(4)) >>> 0 === info.u32(0)

function connmark(run: Run, info: Reader): Maybe {
  const tracking = trackingOf(run)
  return typeof tracking !== 'string' && masked(tracking.mark, info) !== (info.u8(8) !== 0)
}

function iprange({ packet }: Run, info: Reader): Maybe {
  const flags = info.u8(64)
  const test = (text: string, bit: number, offset: number): boolean => {
    if (!(flags & bit)) return true
    const address = parseAddress(text) ?? new Uint8Array(0)
    const isIn =
      compareBytes(address, info.bytes.subarray(offset)) >= 0 &&
      compareBytes(address, info.bytes.subarray(offset + 16)) <= 0
    return isIn !== ((flags & (bit << 4)) !== 0)
  }
  return test(packet.source, 1, 0) && test(packet.destination, 2, 32)
}

/** A device by name and mask, as `eth+` becomes. */
export function isNamed(
  device: Pick<PacketDevice, 'name'> | undefined,
  info: Reader,
  nameAt: number,
  maskAt: number,
): boolean {
  const name = new Uint8Array(16)
  name.set(new TextEncoder().encode(device?.name ?? '').subarray(0, 15))
  return name.every((byte, i) => ((byte ^ info.u8(nameAt + i)) & info.u8(maskAt + i)) === 0)
}

/** XT_PHYSDEV_OP_* */
const physdevOps = { in: 1, out: 2, bridged: 4, isIn: 8, isOut: 16 } as const

/** Ports of a bridge, of packets that it passes to IP rules; others have none. net/netfilter/xt_physdev.c */
function physdev({ packet: { physicalIn, physicalOut } }: Run, info: Reader): Maybe {
  const [inverted, wanted] = [info.u8(64), info.u8(65)]
  const test = (bit: number, claim: boolean): boolean => !(wanted & bit) || claim !== ((inverted & bit) !== 0)
  return (
    test(physdevOps.bridged, physicalOut !== undefined && physicalIn !== undefined) &&
    test(physdevOps.isIn, physicalIn !== undefined) &&
    test(physdevOps.isOut, physicalOut !== undefined) &&
    test(physdevOps.in, physicalIn !== undefined && isNamed(physicalIn, info, 0, 16)) &&
    test(physdevOps.out, physicalOut !== undefined && isNamed(physicalOut, info, 32, 48))
  )
}

function mac(run: Run, info: Reader): Maybe {
  const { packet, point } = run
  if (point.hook === 'output' || packet.in?.mac === undefined) return false
  const source = macBytes(packet.sourceMac)
  return source ? flip(equals(known(source), info.bytes.subarray(0, 6)), info.u32(8) !== 0) : undefined
}

/** IPT_TTL_EQ and the following; IP6T_HL_* are the same */
function hops({ packet: { ttl } }: Run, info: Reader): Maybe {
  const than = info.u8(1)
  return [ttl === than, ttl !== than, ttl < than, ttl > than][info.u8(0)]
}

/** XT_DEVGROUP_MATCH_SRC and so on */
function devgroup({ packet }: Run, info: Reader): Maybe {
  const flags = info.u32(0)
  const test = (device: PacketDevice | undefined, bit: number, offset: number): boolean =>
    !(flags & bit) ||
    (((info.u32(offset) ^ (device?.group ?? 0)) & info.u32(offset + 4)) === 0) !== ((flags & (bit << 1)) !== 0)
  return test(packet.in, 1, 4) && test(packet.out, 4, 12)
}

/** Type of service, which frames hold as 0. */
function dscp(run: Run, info: Reader): Maybe {
  const { packet } = run
  const header = readFrame(packet, frameFor(run), layers.network, 0, 2)
  if (!header) return false
  const [first = 0, second = 0] = header.value
  const service = packet.family === 4 ? second : ((first << 4) | (second >> 4)) & 255
  return (service >> 2 === info.u8(0)) !== (info.u8(1) !== 0)
}

export const matches: Readonly<Record<string, XtMatch>> = {
  comment: () => true,
  tcp,
  udp,
  icmp: (run, info) => run.packet.protocol === 'icmp' && icmpType(run, info, true),
  icmp6: (run, info) => run.packet.protocol === 'icmpv6' && icmpType(run, info, false),
  multiport,
  conntrack,
  state: (run, info) => {
    const state = stateOf(run)
    return (info.u32(0) & (state === 'untracked' ? 64 : conntrackStates[state])) !== 0
  },
  addrtype,
  mark: ({ packet }, info) => masked(packet.mark, info) !== (info.u8(8) !== 0),
  connmark,
  iprange,
  length: ({ packet }, info) => (packet.length >= info.u16(0) && packet.length <= info.u16(2)) !== (info.u8(4) !== 0),
  pkttype: (run, info) => {
    const type = packetType(run)
    return flip(type === undefined ? undefined : type === info.u32(0), info.u32(4) !== 0)
  },
  physdev,
  mac,
  ttl: hops,
  hl: hops,
  devgroup,
  dscp,
  // a single packet is taken for one within the limit
  limit: () => true,
  tcpmss: ({ packet }) => (packet.protocol === 'tcp' ? undefined : false),
}
