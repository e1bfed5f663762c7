/** Expressions that do something to the packet or end the rule. */
import { formatAddress } from '../../ip/index.ts'
import { familyNumbers } from '../../nftables/attributes.ts'
import type { VmData } from '../../nftables/attributes-expressions.ts'
import { ctKeys, metaKeys } from '../../nftables/selectors.ts'
import { type Bits, isKnown, readNetwork } from './bits.ts'
import { read } from './compute.ts'
import { packetFrom, writeFrame } from './frame.ts'
import { whatOf } from './registers.ts'
import {
  commit,
  frameFor,
  noteStep,
  type Run,
  setPacket,
  setTracking,
  trackingOf,
  undecidable,
  type Verdict,
} from './run.ts'
import { masquerade, type NatRange, natFlags, redirect, setUpNat } from './translate.ts'

/** The register's bytes, which must be known for what follows. */
function knownBytes(run: Run, register: number | undefined, length: number): Uint8Array {
  const bits: Bits = read(run, register, length)
  if (!isKnown(bits)) undecidable(run, whatOf(run.registers, register, length) ?? 'a register')
  return bits.value.slice()
}

function hostWord(run: Run, register: number | undefined): number {
  return readNetwork(knownBytes(run, register, 4).reverse())
}

export function setMark(run: Run, mark: number): void {
  if (mark === run.packet.mark) return
  run.packet = { ...run.packet, mark }
  noteStep(run, 'mark', `sets the mark 0x${mark.toString(16)}`)
}

export function setConnectionMark(run: Run, mark: number): void {
  const tracking = trackingOf(run)
  if (typeof tracking === 'string' || tracking.mark === mark) return
  setTracking(run, { mark })
  noteStep(run, 'mark', `sets the mark 0x${mark.toString(16)} of the flow`)
}

/** Only the mark changes what becomes of the packet here. */
export function setMeta(run: Run, { key, sreg }: VmData<'meta'>): Verdict {
  if (key !== metaKeys.mark?.[0]) return 'continue'
  if (!commit(run)) return 'break'
  setMark(run, hostWord(run, sreg))
  return 'continue'
}

export function setCt(run: Run, { key, sreg }: VmData<'ct'>): Verdict {
  if (key === ctKeys.zone?.[0]) {
    if (!commit(run)) return 'break'
    noteStep(run, 'change', 'sets the zone of connection tracking')
    return 'continue'
  }
  if (key !== ctKeys.mark?.[0]) return 'continue'
  if (!commit(run)) return 'break'
  if (typeof trackingOf(run) !== 'string') setConnectionMark(run, hostWord(run, sreg))
  return 'continue'
}

/** The packet is not tracked; without effect once it is. */
export function untrack(run: Run): Verdict {
  if (!commit(run)) return 'break'
  if (trackingOf(run) !== 'none') return 'continue'
  setTracking(run, { state: 'untracked' })
  noteStep(run, 'untrack', 'takes the packet out of connection tracking')
  return 'continue'
}

export function setPayload(run: Run, { base = -1, offset = 0, len = 0, sreg }: VmData<'payload'>): Verdict {
  if (!commit(run)) return 'break'
  if (base !== 0 && base !== 1 && base !== 2) return undecidable(run, 'the changed payload')
  const { value, unknown } = read(run, sreg, len)
  const frame = writeFrame(frameFor(run), base, offset, { value: value.slice(), unknown: unknown?.slice() })
  setPacket(
    run,
    packetFrom(run.packet, frame) ?? undecidable(run, whatOf(run.registers, sreg, len) ?? 'the changed header'),
  )
  run.frame = frame
  noteStep(run, 'change', 'changes a header')
  return 'continue'
}

/** NFT_NAT_SNAT */
const SNAT = 0

interface Ports {
  readonly protoMin?: number | undefined
  readonly protoMax?: number | undefined
  readonly flags?: number | undefined
}

function portsOf(run: Run, { protoMin, protoMax, flags = 0 }: Ports): Omit<NatRange, 'kind'> {
  if (protoMin === undefined) return { flags }
  const port = (register: number): number => readNetwork(knownBytes(run, register, 2))
  return { flags, portFrom: port(protoMin), portTo: port(protoMax ?? protoMin) }
}

export function runNat(run: Run, data: VmData<'nat'>): Verdict {
  const { family } = run.packet
  // in a table of inet a rule may be for the other family
  if (data.family !== familyNumbers[family === 4 ? 'ip' : 'ip6']) return 'continue'
  if (!commit(run)) return 'break'
  const address = (register: number): string => formatAddress(knownBytes(run, register, family === 4 ? 4 : 16))
  const addresses =
    data.addrMin === undefined ? {} : { from: address(data.addrMin), to: address(data.addrMax ?? data.addrMin) }
  return setUpNat(run, { kind: data.type === SNAT ? 'snat' : 'dnat', ...addresses, ...portsOf(run, data) })
}

export function runMasq(run: Run, data: VmData<'masq'>): Verdict {
  return commit(run) ? masquerade(run, portsOf(run, data)) : 'break'
}

export function runRedir(run: Run, data: VmData<'redir'>): Verdict {
  if (!commit(run)) return 'break'
  const { flags, ...ports } = portsOf(run, data)
  return redirect(run, { ...ports, flags: flags & ~natFlags.addresses })
}

/** NFT_REJECT_TCP_RST */
const RESET = 1

export function reject(run: Run, isReset: boolean): Verdict {
  if (!commit(run)) return 'break'
  noteStep(run, 'reject', isReset ? 'answers with a TCP reset' : 'answers with an ICMP error')
  return 'reject'
}

export function runReject(run: Run, { type }: VmData<'reject'>): Verdict {
  return reject(run, type === RESET)
}

/** A rule that may not match logs nothing that is sure. */
export function noteLog(run: Run, prefix: string | undefined): Verdict {
  if (run.doubt === undefined)
    noteStep(run, 'log', prefix ? `logs the packet with "${prefix.trim()}"` : 'logs the packet')
  return 'continue'
}

/** What takes the packet away, or asks a program. */
export function giveAway(run: Run, what: string): Verdict {
  return commit(run) ? undecidable(run, what) : 'break'
}
