/** Queueing disciplines and classes; linux/pkt_sched.h, tc(8), tc-tbf(8), tc-htb(8). Rates in bytes per second. */
import { readFileSync } from 'node:fs'
import {
  attrs,
  type Codec,
  eachAttribute,
  type Message,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  type Reader,
  type Request,
  request,
  type Socket,
  shape,
  str,
  struct,
  type Writer,
  writeAttribute,
} from '../netlink/index.ts'

const RTM_NEWQDISC = 36
const RTM_DELQDISC = 37
const RTM_GETQDISC = 38
const RTM_NEWTCLASS = 40

/** TC_H_* */
export const ROOT = 0xffffffff
export const INGRESS = 0xfffffff1
const CLSACT_HANDLE = 0xffff0000

const tcmsgFields = {
  family: 'u8',
  _pad1: 'u8',
  _pad2: 'u16',
  index: 's32',
  handle: 'u32',
  parent: 'u32',
  info: 'u32',
} as const
const tcmsg = struct(tcmsgFields)

/** Ticks of the kernel's packet scheduler in a microsecond, from /proc/net/psched. */
function ticksPerMicrosecond(): number {
  try {
    const [t2us = 1, us2t = 1, clock = 1_000_000] = readFileSync('/proc/net/psched', 'utf8')
      .trim()
      .split(' ')
      .map((word) => Number.parseInt(word, 16))
    return (t2us / us2t) * (clock / 1_000_000)
  } catch {
    return 15.625
  }
}

/** Time to send `size` bytes at `rate`, in the kernel's ticks. */
function transmitTicks(rate: number, size: number, perMicrosecond: number): number {
  // divided first, as tc does: the other order rounds some sizes to a microsecond more
  return Math.floor(Math.floor(1_000_000 * (size / rate)) * perMicrosecond)
}

const RATE_TABLE_CELLS = 256

export interface Tbf {
  readonly kind: 'tbf'
  /** bytes per second */
  readonly rate: number
  /** bytes that may go at once */
  readonly burst: number
  /** bytes that may wait */
  readonly limit: number
}

export interface Htb {
  readonly kind: 'htb'
  /** minor number of the class for what no filter takes; 0 for none */
  readonly defaultClass: number
  readonly r2q?: number
}

export type QdiscSpec = Tbf | Htb | { readonly kind: 'ingress' | 'clsact' }

export interface NewQdisc {
  readonly index: number
  readonly qdisc: QdiscSpec
  /** ROOT when absent; ingress and clsact have their own */
  readonly parent?: number
  /** `1:` is 0x10000 */
  readonly handle?: number
}

interface RateSpec {
  readonly rate: number
  readonly cellLog: number
  readonly cellAlign: number
  readonly mpu: number
}

/** struct tc_ratespec, 12 bytes; linklayer 1 is Ethernet */
function writeRate(to: Writer, spec: RateSpec): void {
  to.u8(spec.cellLog)
  to.u8(1)
  to.u16(0)
  to.u16(spec.cellAlign & 0xffff)
  to.u16(spec.mpu)
  to.u32(Math.min(spec.rate, 0xffffffff))
}

/** The cell size at which 256 cells reach the MTU, as a power of two; tc_calc_rtable in iproute2. */
function rateTable(rate: number, mtu: number): { spec: RateSpec; cells: number[] } {
  let cellLog = 0
  while (mtu >> cellLog > 255) cellLog++
  const perMicrosecond = ticksPerMicrosecond()
  const cells = Array.from({ length: RATE_TABLE_CELLS }, (_, i) =>
    transmitTicks(rate, (i + 1) << cellLog, perMicrosecond),
  )
  return { spec: { rate, cellLog, cellAlign: -1, mpu: 0 }, cells }
}

function writeCells(to: Writer, cells: readonly number[]): void {
  for (const cell of cells) to.u32(cell)
}

const TBF = { parms: 1, rtab: 2, burst: 6 }
const DEFAULT_MTU = 2047

function writeTbf(to: Writer, { rate, burst, limit }: Tbf): void {
  const { spec, cells } = rateTable(rate, DEFAULT_MTU)
  // struct tc_tbf_qopt: rate, peakrate, limit, buffer in ticks, mtu in ticks
  writeAttribute(to, TBF.parms, () => {
    writeRate(to, spec)
    to.zeros(12)
    to.u32(limit)
    to.u32(transmitTicks(rate, burst, ticksPerMicrosecond()))
    to.u32(0)
  })
  writeAttribute(to, TBF.burst, () => to.u32(burst))
  writeAttribute(to, TBF.rtab, () => writeCells(to, cells))
}

const HTB = { parms: 1, init: 2, ctab: 3, rtab: 4 }

function writeHtb(to: Writer, { defaultClass, r2q = 10 }: Htb): void {
  // struct tc_htb_glob: version, rate2quantum, defcls, debug, direct_pkts
  writeAttribute(to, HTB.init, () => {
    to.u32(3)
    to.u32(r2q)
    to.u32(defaultClass)
    to.u32(0)
    to.u32(0)
  })
}

export interface QdiscOptions {
  readonly tbf?: Pick<Tbf, 'rate' | 'limit' | 'burst'>
  readonly defaultClass?: number
}

type Options = { readonly write: QdiscSpec } | { readonly read: QdiscOptions }

function readTbf(parms: Reader): NonNullable<QdiscOptions['tbf']> {
  const rate = parms.u32(8)
  // the bucket is told as the time that it takes to fill
  const burst = Math.round((rate * parms.u32(28)) / ticksPerMicrosecond() / 1_000_000)
  return { rate, limit: parms.u32(24), burst }
}

/** TCA_OPTIONS means something else for each kind: written from the spec, read as far as it is told. */
const options: Codec<Options> = {
  encode: (value, to) => {
    if (!('write' in value)) return
    const spec = value.write
    if (spec.kind === 'tbf') writeTbf(to, spec)
    if (spec.kind === 'htb') writeHtb(to, spec)
  },
  decode: (from) => {
    let read: QdiscOptions = {}
    eachAttribute(from, (type, payload) => {
      // tc_tbf_qopt is 36 bytes, tc_htb_glob 20
      if (type === TBF.parms && payload.length === 36) read = { tbf: readTbf(payload) }
      if (type === HTB.init && payload.length === 20) read = { defaultClass: payload.u32(8) }
    })
    return { read }
  },
}

const qdiscAttrs = attrs({ kind: [1, str], options: [2, options] })
const qdiscShape = shape(tcmsg, qdiscAttrs)

function placeOf({ qdisc, parent, handle }: NewQdisc): { parent: number; handle: number } {
  if (qdisc.kind === 'ingress' || qdisc.kind === 'clsact') return { parent: INGRESS, handle: CLSACT_HANDLE }
  return { parent: parent ?? ROOT, handle: handle ?? 0 }
}

/** Adds a queueing discipline, or puts it in place of what is there. */
export function addQdisc(qdisc: NewQdisc, how: { readonly replace?: boolean } = {}): Request {
  const flags = NLM_F_CREATE | (how.replace ? NLM_F_REPLACE : NLM_F_EXCL)
  const header = { index: qdisc.index, ...placeOf(qdisc) }
  const hasOptions = qdisc.qdisc.kind === 'tbf' || qdisc.qdisc.kind === 'htb'
  return request(RTM_NEWQDISC, flags, qdiscShape, header, {
    kind: qdisc.qdisc.kind,
    ...(hasOptions ? { options: { write: qdisc.qdisc } } : {}),
  })
}

export function deleteQdisc(qdisc: NewQdisc): Request {
  return request(RTM_DELQDISC, 0, qdiscShape, { index: qdisc.index, ...placeOf(qdisc) }, { kind: qdisc.qdisc.kind })
}

const classOptions: Codec<{ rate: number; ceil: number; burst: number }> = {
  encode: ({ rate, ceil, burst }, to) => {
    const own = rateTable(rate, 1600)
    const top = rateTable(ceil, 1600)
    // struct tc_htb_opt: rate, ceil, buffer, cbuffer, quantum, level, prio
    writeAttribute(to, HTB.parms, () => {
      writeRate(to, own.spec)
      writeRate(to, top.spec)
      to.u32(transmitTicks(rate, burst, ticksPerMicrosecond()))
      to.u32(transmitTicks(ceil, burst, ticksPerMicrosecond()))
      to.zeros(12)
    })
    writeAttribute(to, HTB.rtab, () => writeCells(to, own.cells))
    writeAttribute(to, HTB.ctab, () => writeCells(to, top.cells))
  },
  decode: () => ({ rate: 0, ceil: 0, burst: 0 }),
}
const classShape = shape(tcmsg, attrs({ kind: [1, str], options: [2, classOptions] }))

/** A class of an htb; `handle` 0x10001 is `1:1`, `parent` 0x10000 its qdisc. Rates in bytes per second, burst in bytes. */
export function addHtbClass(c: {
  readonly index: number
  readonly parent: number
  readonly handle: number
  readonly rate: number
  readonly ceil?: number
  readonly burst: number
}): Request {
  return request(
    RTM_NEWTCLASS,
    NLM_F_CREATE | NLM_F_EXCL,
    classShape,
    { index: c.index, parent: c.parent, handle: c.handle },
    { kind: 'htb', options: { rate: c.rate, ceil: c.ceil ?? c.rate, burst: c.burst } },
  )
}

export interface Qdisc {
  readonly index: number
  readonly kind: string
  readonly handle: number
  readonly parent: number
  readonly options: QdiscOptions
}

function readQdisc({ header, attrs: a }: Message<typeof tcmsgFields, typeof qdiscAttrs.fields>): Qdisc {
  return {
    index: header.index,
    kind: a.kind ?? '',
    handle: header.handle,
    parent: header.parent,
    options: a.options && 'read' in a.options ? a.options.read : {},
  }
}

/** Every queueing discipline of the socket's namespace. */
export function listQdiscs(socket: Socket): Qdisc[] {
  return socket.dump(request(RTM_GETQDISC, 0, qdiscShape, {}), qdiscShape).map(readQdisc)
}

const RTM_GETTFILTER = 46
/** where the filters of ingress and of egress hang (TC_H_MIN_INGRESS, TC_H_MIN_EGRESS) */
const FILTER_PARENTS = [0xfffffff2, 0xfffffff3] as const

/** How many filters there are on a device's clsact or ingress qdisc. */
export function countFilters(socket: Socket, index: number): number {
  const lists = FILTER_PARENTS.map((parent) =>
    socket.dump(request(RTM_GETTFILTER, 0, qdiscShape, { index, parent }), qdiscShape),
  )
  return lists.reduce((sum, list) => sum + list.length, 0)
}
