/** DNS messages as captured: the question and the answers; RFC 1035. Pure. */
import { formatAddress } from '../../ip/index.ts'
import { readName, responseCodes } from '../dns-message.ts'
import { type Dns, type DnsQuestion, type DnsRecord, viewOf } from './layers.ts'

const HEADER = 12
/** A message has no use for more; a counter may say 65,535 of them. */
const MOST_RECORDS = 100

const typeNames: Readonly<Record<number, string>> = {
  1: 'A',
  2: 'NS',
  5: 'CNAME',
  6: 'SOA',
  12: 'PTR',
  15: 'MX',
  16: 'TXT',
  28: 'AAAA',
  33: 'SRV',
  41: 'OPT',
  43: 'DS',
  46: 'RRSIG',
  48: 'DNSKEY',
  64: 'SVCB',
  65: 'HTTPS',
  255: 'ANY',
  257: 'CAA',
}
/** records whose data is a name */
const nameTypes = new Set([2, 5, 12])

/** Undefined for what is no DNS message. What breaks off is read as far as it goes. */
export function decodeDns(bytes: Uint8Array): Dns | undefined {
  if (bytes.length < HEADER) return undefined
  const view = viewOf(bytes)
  const flags = view.getUint16(2)
  const questions: DnsQuestion[] = []
  const answers: DnsRecord[] = []
  let at = HEADER
  for (let left = Math.min(view.getUint16(4), MOST_RECORDS); left > 0; left--) {
    const owner = readName(bytes, at)
    if (!owner || owner.end + 4 > bytes.length) return finish(view, flags, questions, answers)
    questions.push({ name: owner.name || '.', type: typeName(view.getUint16(owner.end)) })
    at = owner.end + 4
  }
  for (let left = Math.min(view.getUint16(6), MOST_RECORDS); left > 0; left--) {
    const owner = readName(bytes, at)
    if (!owner || owner.end + 10 > bytes.length) break
    const type = view.getUint16(owner.end)
    const begin = owner.end + 10
    const end = begin + view.getUint16(owner.end + 8)
    if (end > bytes.length) break
    const data = recordData(type, bytes, begin, end)
    answers.push({ name: owner.name || '.', type: typeName(type), ttl: view.getUint32(owner.end + 4), data })
    at = end
  }
  return finish(view, flags, questions, answers)
}

function finish(view: DataView, flags: number, questions: DnsQuestion[], answers: DnsRecord[]): Dns {
  const code = flags & 15
  const status = responseCodes[code] ?? `status ${code}`
  return { layer: 'dns', id: view.getUint16(0), isAnswer: (flags & 0x8000) !== 0, status, questions, answers }
}

function typeName(type: number): string {
  return typeNames[type] ?? `TYPE${type}`
}

/** The name that is a record's data; `.` for the root. */
function nameAt(bytes: Uint8Array, begin: number): string {
  const name = readName(bytes, begin)?.name
  return name === undefined ? '?' : name || '.'
}

/** Text that cannot harm a terminal. */
function readable(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => (byte > 32 && byte < 127 ? String.fromCharCode(byte) : '?')).join('')
}

function recordData(type: number, bytes: Uint8Array, begin: number, end: number): string {
  const view = viewOf(bytes)
  const data = bytes.subarray(begin, end)
  if ((type === 1 && data.length === 4) || (type === 28 && data.length === 16)) return formatAddress(data)
  if (nameTypes.has(type)) return nameAt(bytes, begin)
  if (type === 15 && data.length > 2) return `${view.getUint16(begin)} ${nameAt(bytes, begin + 2)}`
  if (type === 33 && data.length > 6) {
    return `${view.getUint16(begin)} ${view.getUint16(begin + 2)} ${nameAt(bytes, begin + 6)}:${view.getUint16(begin + 4)}`
  }
  if (type === 16) return `"${readable(data.subarray(1))}"`
  return `${data.length} bytes`
}
