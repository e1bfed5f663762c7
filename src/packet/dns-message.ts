/** DNS messages: a question, and the answer to it. RFC 1035, RFC 3596. Pure. */
import { formatAddress } from '../ip/index.ts'

const HEADER = 12
const CLASS_IN = 1
const MAX_NAME = 255
const MAX_LABEL = 63

export const recordTypes = { A: 1, CNAME: 5, AAAA: 28 } as const
export type QueryType = 'A' | 'AAAA'

/** by number */
export const responseCodes: readonly string[] = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED']

export interface DnsQuestion {
  /** 16 bits: whose question it is */
  readonly id: number
  /** a trailing dot may be there */
  readonly name: string
  readonly type: QueryType
}

export interface DnsRecord {
  readonly name: string
  /** the number of the type */
  readonly type: number
  /** seconds */
  readonly ttl: number
  /** an address of an A or AAAA record, the name of a CNAME; absent for other types */
  readonly value?: string
}

export interface DnsResponse {
  readonly id: number
  /** `NOERROR`, `NXDOMAIN`, …; `RCODE 11` for those without a name */
  readonly rcode: string
  readonly isTruncated: boolean
  /** the name that was asked for, in lower case */
  readonly name: string
  readonly type: number
  readonly answers: readonly DnsRecord[]
}

/** What a probe makes of a response. */
export interface DnsAnswer {
  /** `NOERROR`, `NXDOMAIN`, … */
  readonly rcode: string
  /** canonical, in the order of the answer */
  readonly addresses: readonly string[]
  /** the names that aliases (CNAME) lead to */
  readonly aliases: readonly string[]
  /** the server had more to say than fits a datagram */
  readonly isTruncated: boolean
}

/** Why a name cannot be asked for, in words; undefined when it can. */
export function nameProblem(name: string): string | undefined {
  const labels = labelsOf(name)
  if (labels.some((label) => label.length === 0)) return 'it has an empty part'
  if (labels.some((label) => label.length > MAX_LABEL)) return `a part of it has more than ${MAX_LABEL} bytes`
  const length = labels.reduce((sum, label) => sum + label.length + 1, 1)
  return length > MAX_NAME ? `it has more than ${MAX_NAME - 2} bytes` : undefined
}

function labelsOf(name: string): Uint8Array[] {
  const bare = name.replace(/\.$/, '')
  return bare === '' && name !== '' ? [] : bare.split('.').map((label) => new TextEncoder().encode(label))
}

/** A recursive query. Throws RangeError for a name that DNS cannot hold. */
export function encodeQuery({ id, name, type }: DnsQuestion): Uint8Array {
  const problem = nameProblem(name)
  if (problem) throw new RangeError(`${name} cannot be asked for: ${problem}`)
  const encoded = [...labelsOf(name).flatMap((label) => [label.length, ...label]), 0]
  const bytes = new Uint8Array(HEADER + encoded.length + 4)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, id)
  // RD
  view.setUint16(2, 0x0100)
  view.setUint16(4, 1)
  bytes.set(encoded, HEADER)
  view.setUint16(HEADER + encoded.length, recordTypes[type])
  view.setUint16(HEADER + encoded.length + 2, CLASS_IN)
  return bytes
}

/** A response to one question; undefined for everything else, damaged ones included. */
export function decodeResponse(bytes: Uint8Array): DnsResponse | undefined {
  if (bytes.length < HEADER) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const flags = view.getUint16(2)
  const isResponse = (flags & 0x8000) !== 0
  if (!isResponse || view.getUint16(4) !== 1) return undefined
  const question = readName(bytes, HEADER)
  if (!question || question.end + 4 > bytes.length) return undefined
  const isTruncated = (flags & 0x0200) !== 0
  const answers = readRecords(bytes, view, question.end + 4, view.getUint16(6))
  // a message that is cut may end within a record
  if (!answers.isWhole && !isTruncated) return undefined
  const rcode = flags & 15
  return {
    id: view.getUint16(0),
    rcode: responseCodes[rcode] ?? `RCODE ${rcode}`,
    isTruncated,
    name: question.name.toLowerCase(),
    type: view.getUint16(question.end),
    answers: answers.records,
  }
}

function readRecords(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  count: number,
): { records: DnsRecord[]; isWhole: boolean } {
  const records: DnsRecord[] = []
  let at = start
  for (let i = 0; i < count; i++) {
    const owner = readName(bytes, at)
    if (!owner || owner.end + 10 > bytes.length) return { records, isWhole: false }
    const data = owner.end + 10
    const end = data + view.getUint16(owner.end + 8)
    if (end > bytes.length) return { records, isWhole: false }
    const type = view.getUint16(owner.end)
    const value = readValue(bytes, type, data, end)
    const ttl = view.getUint32(owner.end + 4)
    records.push({ name: owner.name, type, ttl, ...(value === undefined ? {} : { value }) })
    at = end
  }
  return { records, isWhole: true }
}

function readValue(bytes: Uint8Array, type: number, from: number, end: number): string | undefined {
  if (type === recordTypes.CNAME) return readName(bytes, from)?.name
  const size = type === recordTypes.A ? 4 : type === recordTypes.AAAA ? 16 : 0
  return size !== 0 && end - from === size ? formatAddress(bytes.subarray(from, end)) : undefined
}

/** The name at `start` and where what follows it begins. Every pointer must lead backwards, so that reading ends. */
export function readName(bytes: Uint8Array, start: number): { name: string; end: number } | undefined {
  const labels: string[] = []
  let at = start
  let end: number | undefined
  let limit = start
  let length = 1
  for (;;) {
    const size = bytes[at]
    if (size === undefined) return undefined
    if (size === 0) return { name: labels.join('.'), end: end ?? at + 1 }
    if (size >= 0xc0) {
      const low = bytes[at + 1]
      if (low === undefined) return undefined
      end ??= at + 2
      at = ((size & 0x3f) << 8) | low
      if (at >= limit) return undefined
      limit = at
      continue
    }
    length += size + 1
    if (size > MAX_LABEL || length > MAX_NAME || at + 1 + size > bytes.length) return undefined
    labels.push(labelText(bytes.subarray(at + 1, at + 1 + size)))
    at += size + 1
  }
}

/** Dots within a label and what is not printable as `\DDD`; RFC 1035, section 5.1. */
function labelText(label: Uint8Array): string {
  return Array.from(label, (byte) =>
    byte > 0x20 && byte < 0x7f && byte !== 0x2e && byte !== 0x5c
      ? String.fromCharCode(byte)
      : `\\${String(byte).padStart(3, '0')}`,
  ).join('')
}
