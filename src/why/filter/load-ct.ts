/** What connection tracking knows of the packet, NFT_CT_*; net/netfilter/nft_ct.c. Pure. */
import { parseAddress } from '../../ip/index.ts'
import { typeOf } from '../../nftables/datatypes.ts'
import { ctKeys } from '../../nftables/selectors.ts'
import type { Tracking, Tuple } from '../packet.ts'
import { type Bits, hostNumber, known, networkNumber, unknownBits } from './bits.ts'
import { protocolNumbers } from './frame.ts'
import type { Loaded } from './load-meta.ts'
import { isLoopbackDevice, type Run, trackingOf } from './run.ts'

/** NF_CT_STATE_*_BIT */
export const stateBits = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 } as const

/** IPS_*, linux/netfilter/nf_conntrack_common.h */
const status = { expected: 1, seenReply: 2, assured: 4, confirmed: 8, sourceNat: 0x10, destinationNat: 0x20 } as const

/** The state as its bit, before connection tracking `invalid`. */
export function stateOf(run: Run): keyof typeof stateBits {
  const tracking = trackingOf(run)
  return tracking === 'none' ? 'invalid' : tracking === 'untracked' ? 'untracked' : tracking.state
}

/** Bits that the state and the translation tell; the others are unknown. */
export function statusOf(run: Run, tracking: Tracking): Bits {
  const { state } = tracking
  // it is confirmed when it leaves the first host, and then comes back over the loopback device
  const isFirst = state === 'new' && !(run.packet.in && isLoopbackDevice(run.packet.in))
  const translated =
    (tracking.isSourceTranslated ? status.sourceNat : 0) |
    (tracking.isDestinationTranslated ? status.destinationNat : 0)
  const answered = state === 'established' ? status.seenReply : 0
  const confirmed = state === 'new' && isFirst ? 0 : status.confirmed
  const sure =
    status.sourceNat |
    status.destinationNat |
    status.confirmed |
    (state === 'new' ? status.expected | status.seenReply | status.assured : 0) |
    (state === 'established' ? status.seenReply : 0)
  return { value: hostNumber(translated | answered | confirmed, 4), unknown: hostNumber(~sure >>> 0, 4) }
}

function address(text: string, size: 4 | 16): Loaded {
  const bytes = parseAddress(text)
  return bytes?.length === size ? known(bytes) : 'absent'
}

const port = (value: number | undefined): Bits =>
  value === undefined ? unknownBits(2) : known(networkNumber(value, 2))

/** NFT_CT_SRC and the like: what belongs to one direction. */
const ofTuple: Readonly<Record<string, (tuple: Tuple) => Loaded>> = {
  'proto-src': (tuple) => port(tuple.sourcePort),
  'proto-dst': (tuple) => port(tuple.destinationPort),
  'ip saddr': (tuple) => address(tuple.source, 4),
  'ip daddr': (tuple) => address(tuple.destination, 4),
  'ip6 saddr': (tuple) => address(tuple.source, 16),
  'ip6 daddr': (tuple) => address(tuple.destination, 16),
}

const ofFlow: Readonly<Record<string, (run: Run, tracking: Tracking) => Loaded>> = {
  direction: (_, { direction }) => known(Uint8Array.of(direction === 'reply' ? 1 : 0)),
  status: statusOf,
  mark: (_, { mark }) => known(hostNumber(mark, 4)),
  l3proto: ({ packet }) => known(Uint8Array.of(packet.family === 4 ? 2 : 10)),
  protocol: ({ packet }) => known(Uint8Array.of(protocolNumbers[packet.protocol])),
}

/** NFT_CT_SRC, NFT_CT_DST: the address of whichever family, as older programs ask for it */
const older: Readonly<Record<number, 'source' | 'destination'>> = { 8: 'source', 9: 'destination' }

const byNumber = new Map(Object.entries(ctKeys).map(([called, [key]]) => [key, called]))

/** The name of a key, for messages. */
export function ctName(key: number | undefined): string {
  return `ct ${(key !== undefined && byNumber.get(key)) || `key ${key}`}`
}

/** NFT_CT_HELPER and _LABELS, which have no name here, are 16 bytes long. */
const WIDE: ReadonlySet<number> = new Set([6, 13])

export function loadCt(run: Run, key: number | undefined, direction: number | undefined): Loaded {
  const called = key === undefined ? '' : (byNumber.get(key) ?? '')
  if (called === 'state') return known(hostNumber(stateBits[stateOf(run)], 4))
  const tracking = trackingOf(run)
  if (typeof tracking === 'string') return 'absent'
  const tuple = direction === 1 ? tracking.reply : tracking.original
  const side = key === undefined ? undefined : older[key]
  if (side) return address(tuple[side], run.packet.family === 4 ? 4 : 16)
  const loader = Object.hasOwn(ofTuple, called) ? ofTuple[called] : undefined
  if (loader) return loader(tuple)
  if (Object.hasOwn(ofFlow, called)) return ofFlow[called]?.(run, tracking) ?? 'absent'
  const type = ctKeys[called]?.[1]
  return unknownBits(type ? typeOf(type).bytes : WIDE.has(key ?? 0) ? 16 : 4)
}
