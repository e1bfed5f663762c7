/** Address translation: what a rule asks for, and what connection tracking then does to packets; net/netfilter/nf_nat_core.c. */
import { addressToInteger, integerToAddress } from '../../ip/index.ts'
import type { Packet, Tracking } from '../packet.ts'
import type { Translation } from './result.ts'
import { noteStep, type Run, setPacket, setTracking, trackingOf, undecidable, type Verdict } from './run.ts'

export type Side = 'source' | 'destination'

/** What a rule asks for. */
export interface NatRange {
  readonly kind: Translation['kind']
  /** both absent: the address stays */
  readonly from?: string
  readonly to?: string
  /** both absent: the port stays where it can */
  readonly portFrom?: number
  readonly portTo?: number
  /** NF_NAT_RANGE_* */
  readonly flags: number
}

/** linux/netfilter/nf_nat.h */
export const natFlags = { addresses: 1, ports: 2, random: 4, fullyRandom: 16, offset: 32, netmap: 64 } as const

/** So many addresses of a range are looked at one by one. */
const MANY = 32

export function sideOf(kind: Translation['kind']): Side {
  return kind === 'dnat' || kind === 'redirect' ? 'destination' : 'source'
}

function addressOf(run: Run, range: NatRange, now: string): string {
  if (range.from === undefined) return now
  const { family } = run.packet
  const [low, high] = [addressToInteger(range.from), addressToInteger(range.to ?? range.from)]
  if (range.flags & natFlags.netmap) {
    // the bits in which both ends differ are kept
    const kept = low ^ high
    return integerToAddress((low & ~kept) | (addressToInteger(now) & kept), family)
  }
  if (low === high) return range.from
  const count = Number(high - low) + 1
  const what = `which address of ${range.from} to ${range.to}`
  if (count < 1 || count > MANY) return undecidable(run, what)
  return integerToAddress(low + BigInt(run.choose(count, { rule: run.at, what })), family)
}

/** Undefined: the kernel chooses one. */
function portOf(run: Run, range: NatRange, now: number | undefined): number | undefined {
  const { portFrom: low, portTo: high = low, flags } = range
  if (flags & natFlags.offset) return undecidable(run, 'the port, which is shifted')
  const isRandom = (flags & (natFlags.random | natFlags.fullyRandom)) !== 0
  if (low === undefined || high === undefined) return isRandom ? undefined : now
  if (low === high) return low
  return !isRandom && now !== undefined && now >= low && now <= high ? now : undefined
}

const hasPorts = ({ protocol }: Packet): boolean => protocol !== 'icmp' && protocol !== 'icmpv6'

function withPort<K extends string>(key: K, port: number | undefined): { readonly [P in K]?: number } {
  return (port === undefined ? {} : { [key]: port }) as { readonly [P in K]?: number }
}

/** A nat rule that matches: the flow is translated from now on. Only the first rule for a flow's side counts. */
export function setUpNat(run: Run, range: NatRange): Verdict {
  const tracking = trackingOf(run)
  if (typeof tracking === 'string') return 'accept'
  const { packet } = run
  run.isNatDone = true
  const side = sideOf(range.kind)
  // what connection tracking saw counts: a rule may have changed the header since
  const { reply } = tracking
  const [oldAddress, oldPort] =
    side === 'destination' ? [reply.source, reply.sourcePort] : [reply.destination, reply.destinationPort]
  const address = addressOf(run, range, oldAddress)
  const port = hasPorts(packet) ? portOf(run, range, oldPort) : undefined
  if (address === oldAddress && port === oldPort) return 'accept'
  setTracking(run, translated(tracking, side, address, port))
  const shown = port === oldPort ? {} : withPort('port', port)
  run.translations.push({ kind: range.kind, address, ...shown, rule: run.at })
  noteStep(run, 'translate', `${range.kind} to ${address}${shown.port === undefined ? '' : ` port ${shown.port}`}`)
  return 'accept'
}

/** Answers will come from the new destination, or go to the new source. */
function translated(tracking: Tracking, side: Side, address: string, port: number | undefined): Partial<Tracking> {
  const { source, destination, sourcePort, destinationPort } = tracking.reply
  return side === 'destination'
    ? {
        reply: {
          destination,
          ...withPort('destinationPort', destinationPort),
          source: address,
          ...withPort('sourcePort', port),
        },
        isDestinationTranslated: true,
      }
    : {
        reply: {
          source,
          ...withPort('sourcePort', sourcePort),
          destination: address,
          ...withPort('destinationPort', port),
        },
        isSourceTranslated: true,
      }
}

/** Whether the flow is translated on that side of packets of its direction. */
function isTranslated(tracking: Tracking, side: Side): boolean {
  const isOriginal = tracking.direction === 'original'
  return (side === 'destination') === isOriginal ? tracking.isDestinationTranslated : tracking.isSourceTranslated
}

/** Rewrites the packet as its flow says: towards what the other direction comes from. */
export function applyTracking(run: Run, side: Side): void {
  const { packet } = run
  const tracking = trackingOf(run)
  if (typeof tracking === 'string' || !isTranslated(tracking, side)) return
  const other = tracking.direction === 'original' ? tracking.reply : tracking.original
  const { sourcePort, destinationPort, ...rest } = packet
  const [address, port, was] =
    side === 'destination'
      ? [other.source, other.sourcePort, packet.destination]
      : [other.destination, other.destinationPort, packet.source]
  const changed: Packet =
    side === 'destination'
      ? { ...rest, ...withPort('sourcePort', sourcePort), destination: address, ...withPort('destinationPort', port) }
      : { ...rest, ...withPort('destinationPort', destinationPort), source: address, ...withPort('sourcePort', port) }
  const isSame = was === address && port === (side === 'destination' ? destinationPort : sourcePort)
  setPacket(run, changed)
  if (isSame || run.translations.some(({ kind }) => sideOf(kind) === side)) return
  const shown = hasPorts(packet) ? withPort('port', port) : {}
  run.translations.push({ kind: side === 'destination' ? 'dnat' : 'snat', address, ...shown })
}

/** `masquerade`: the address of the device by which the packet leaves. */
export function masquerade(run: Run, range: Omit<NatRange, 'kind'>): Verdict {
  const { out, destination } = run.packet
  const address = out && run.world.sourceAddress(out, destination)
  if (address === undefined) return undecidable(run, `the address of ${out?.name ?? 'the device by which it leaves'}`)
  return address === null ? 'drop' : setUpNat(run, { ...range, kind: 'masquerade', from: address, to: address })
}

/** `redirect`: to this host, by the address of the device by which the packet came, or the loopback address. */
export function redirect(run: Run, range: Omit<NatRange, 'kind'>): Verdict {
  const { family, in: from } = run.packet
  const loopback = family === 4 ? '127.0.0.1' : '::1'
  const address = run.point.hook === 'output' ? loopback : from && run.world.deviceAddress(from, family)
  if (address === undefined) return undecidable(run, `the address of ${from?.name ?? 'the device by which it came'}`)
  return address === null ? 'drop' : setUpNat(run, { ...range, kind: 'redirect', from: address, to: address })
}
