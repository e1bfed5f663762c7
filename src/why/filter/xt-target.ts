/** Targets of iptables: offsets are those of the structures in linux/netfilter/xt_*.h and nf_nat.h. */
import { formatAddress } from '../../ip/index.ts'
import type { Reader } from '../../netlink/index.ts'
import { type Run, trackingOf, undecidable, type Verdict } from './run.ts'
import { noteLog, reject, setConnectionMark, setMark, untrack } from './statements.ts'
import { masquerade, type NatRange, natFlags, redirect, setUpNat } from './translate.ts'
import type { XtTarget } from './xt.ts'

/** Targets that let the packet go on and change nothing that decides about it here. */
export const silentTargets: ReadonlySet<string> = new Set([
  'AUDIT',
  'CHECKSUM',
  'CLASSIFY',
  'CONNSECMARK',
  'DSCP',
  'HL',
  'IDLETIMER',
  'LED',
  'NFLOG',
  'RATEEST',
  'SECMARK',
  'SET',
  'TCPMSS',
  'TCPOPTSTRIP',
  'TEE',
  'TOS',
  'TRACE',
  'TTL',
])

/** Older structures hold IPv4 ranges behind a count, newer ones addresses of 16 bytes. */
function rangeOf({ packet }: Run, info: Reader, isOlder: boolean): Omit<NatRange, 'kind'> {
  const [flags, addressAt, portAt] = isOlder ? [info.u32(4), 8, 16] : [info.u32(0), 4, 36]
  const [size, step] = packet.family === 4 ? [4, isOlder ? 4 : 16] : [16, 16]
  const address = (at: number): string => formatAddress(info.slice(at, at + size).copy())
  return {
    flags,
    ...(flags & natFlags.addresses ? { from: address(addressAt), to: address(addressAt + step) } : {}),
    ...(flags & natFlags.ports ? { portFrom: info.u16(portAt, false), portTo: info.u16(portAt + 2, false) } : {}),
  }
}

const isOlder = (run: Run, revision: number): boolean => revision === 0 && run.packet.family === 4

function netmap(run: Run, info: Reader, revision: number): Verdict {
  const range = rangeOf(run, info, isOlder(run, revision))
  const kind = run.point.hook === 'prerouting' || run.point.hook === 'output' ? 'dnat' : 'snat'
  return setUpNat(run, { ...range, flags: range.flags | natFlags.netmap, kind })
}

/** MARK of revision 2 */
function mark(run: Run, info: Reader, revision: number): Verdict {
  if (revision !== 2) return undecidable(run, `MARK of revision ${revision}`)
  setMark(run, ((run.packet.mark & ~info.u32(4)) ^ info.u32(0)) >>> 0)
  return 'continue'
}

/** XT_CONNMARK_SET, _SAVE, _RESTORE */
const connmarkModes = { set: 0, save: 1, restore: 2 } as const

function connmark(run: Run, info: Reader, revision: number): Verdict {
  const tracking = trackingOf(run)
  if (typeof tracking === 'string') return 'continue'
  const [ctmark, ctmask, nfmask] = [info.u32(0), info.u32(4), info.u32(8)]
  const mode = info.u8(revision >= 2 ? 14 : 12)
  const [direction, bits] = revision >= 2 ? [info.u8(12), info.u8(13)] : [0, 0]
  const shift = (value: number): number => (direction ? value >>> bits : value << bits) >>> 0
  switch (mode) {
    case connmarkModes.set:
      setConnectionMark(run, shift((tracking.mark & ~ctmask) ^ ctmark))
      return 'continue'
    case connmarkModes.save:
      setConnectionMark(run, ((tracking.mark & ~ctmask) ^ shift(run.packet.mark & nfmask)) >>> 0)
      return 'continue'
    case connmarkModes.restore:
      setMark(run, ((run.packet.mark & ~nfmask) ^ shift(tracking.mark & ctmask)) >>> 0)
      return 'continue'
    default:
      return undecidable(run, `CONNMARK of mode ${mode}`)
  }
}

/** XT_CT_NOTRACK; other flags choose helpers, time-outs and zones */
const NOTRACK = 1

/** IPT_TCP_RESET, IP6T_TCP_RESET */
const resets = { 4: 7, 6: 6 } as const

export const targets: Readonly<Record<string, XtTarget>> = {
  DNAT: (run, info, revision) => setUpNat(run, { ...rangeOf(run, info, isOlder(run, revision)), kind: 'dnat' }),
  SNAT: (run, info, revision) => setUpNat(run, { ...rangeOf(run, info, isOlder(run, revision)), kind: 'snat' }),
  MASQUERADE: (run, info, revision) => masquerade(run, rangeOf(run, info, isOlder(run, revision))),
  REDIRECT: (run, info, revision) => redirect(run, rangeOf(run, info, isOlder(run, revision))),
  NETMAP: netmap,
  MARK: mark,
  CONNMARK: connmark,
  REJECT: (run, info) => reject(run, info.u32(0) === resets[run.packet.family]),
  LOG: (run, info) => noteLog(run, info.slice(2).text()),
  CT: (run, info) => (info.u16(0) & NOTRACK ? untrack(run) : 'continue'),
  NOTRACK: (run) => untrack(run),
  ACCEPT: () => 'accept',
  DROP: () => 'drop',
}
