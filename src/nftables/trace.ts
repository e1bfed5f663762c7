/** Which rules a marked packet (`meta nftrace set 1`) meets, as the kernel announces it; nft(8), NFNLGRP_NFTRACE. */
import { attrs, nested } from '../netlink/attributes.ts'
import { be32, be64, bytes, str } from '../netlink/codec.ts'
import { Reader, type Received, type Socket } from '../netlink/index.ts'
import { familyName, NFNL_SUBSYS_NFTABLES } from './attributes.ts'
import type { Family } from './objects.ts'

const NFNLGRP_NFTRACE = 9
const NFT_MSG_TRACE = 17
const NFGENMSG = 4

const traceAttrs = attrs({
  table: [1, str],
  chain: [2, str],
  handle: [3, be64],
  type: [4, be32],
  verdict: [5, nested(attrs({ code: [1, be32], chain: [2, str] }))],
  id: [6, be32],
  network: [8, bytes],
  transport: [9, bytes],
  iif: [10, be32],
  oif: [12, be32],
  mark: [14, be32],
  policy: [16, be32],
})

/** NFT_TRACETYPE_* */
const types = ['unspec', 'policy', 'return', 'rule'] as const
const verdicts: Readonly<Record<number, string>> = { 0: 'drop', 1: 'accept', 3: 'queue', 4: 'repeat' }
const jumps: Readonly<Record<number, string>> = {
  4294967295: 'continue',
  4294967294: 'break',
  4294967293: 'jump',
  4294967292: 'goto',
  4294967291: 'return',
}

export interface TraceEvent {
  /** the same for all rules that one packet meets in one pass */
  readonly id: number
  readonly family: Family
  readonly table: string
  readonly chain: string
  readonly type: (typeof types)[number]
  /** of the rule; absent for a policy */
  readonly handle?: bigint
  /** `accept`, `drop`, `continue`, `jump`, … */
  readonly verdict: string
  /** indices of devices */
  readonly in?: number
  readonly out?: number
}

/** After this, `socket.events` gives messages for `decodeTrace`. Throws SysError. */
export function subscribeTraces(socket: Socket): void {
  socket.subscribe(NFNLGRP_NFTRACE)
}

/** Undefined for any other message. */
export function decodeTrace({ type, payload }: Received): TraceEvent | undefined {
  if (type >> 8 !== NFNL_SUBSYS_NFTABLES || (type & 0xff) !== NFT_MSG_TRACE || payload.length < NFGENMSG)
    return undefined
  const family = familyName(payload.u8())
  if (!family) return undefined
  const a = traceAttrs.decode(new Reader(payload.bytes.subarray(NFGENMSG)))
  const code = a.verdict?.code ?? a.policy ?? 0xffffffff
  return {
    id: a.id ?? 0,
    family,
    table: a.table ?? '',
    chain: a.chain ?? '',
    type: types[a.type ?? 0] ?? 'unspec',
    ...(a.handle === undefined ? {} : { handle: a.handle }),
    verdict: jumps[code >>> 0] ?? verdicts[code & 0xff] ?? String(code),
    ...(a.iif === undefined ? {} : { in: a.iif }),
    ...(a.oif === undefined ? {} : { out: a.oif }),
  }
}
