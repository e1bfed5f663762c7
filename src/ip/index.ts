/**
 * IP addresses and prefixes: parsing, formatting, arithmetic. Pure, and the one folder that every floor may import.
 *
 * Text is canonical everywhere: IPv4 dotted quad, IPv6 as RFC 5952 (lower case, longest zero run as `::`).
 * An address in memory is its bytes in network order: 4 or 16 of them.
 */

export type Family = 4 | 6

/** An address with the length of its network, as `ip address` writes it. */
export interface Prefix {
  /** canonical text of the address; host bits are kept */
  readonly address: string
  /** prefix length in bits, 0 to 32 or 128 */
  readonly length: number
  readonly family: Family
}

/** Bytes of an address, or undefined when the text is not one. Leading zeros in IPv4 are refused (inet_pton(3)). */
export function parseAddress(text: string): Uint8Array | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

const DOT = 46
const ZERO = 48

function parseIpv4(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4)
  let part = 0
  let digits = 0
  let value = 0
  for (let i = 0; i <= text.length; i++) {
    const code = i === text.length ? DOT : text.charCodeAt(i)
    if (code === DOT) {
      if (digits === 0 || value > 255 || part === 4) return undefined
      bytes[part++] = value
      digits = value = 0
    } else {
      if (code < ZERO || code > ZERO + 9 || (digits > 0 && value === 0) || digits === 3) return undefined
      value = value * 10 + code - ZERO
      digits++
    }
  }
  return part === 4 ? bytes : undefined
}

function parseIpv6(text: string): Uint8Array | undefined {
  let body = text
  const tail: number[] = []
  const lastColon = text.lastIndexOf(':')
  if (text.includes('.')) {
    const v4 = parseIpv4(text.slice(lastColon + 1))
    if (!v4) return undefined
    tail.push(((v4[0] ?? 0) << 8) | (v4[1] ?? 0), ((v4[2] ?? 0) << 8) | (v4[3] ?? 0))
    body = text.slice(0, lastColon + 1)
    if (!body.endsWith('::')) body = body.slice(0, -1)
  }
  const halves = body.split('::')
  if (halves.length > 2) return undefined
  const groupsOf = (s: string): number[] | undefined => {
    if (s === '') return []
    const groups: number[] = []
    for (const g of s.split(':')) {
      if (!/^[0-9a-fA-F]{1,4}$/.test(g)) return undefined
      groups.push(Number.parseInt(g, 16))
    }
    return groups
  }
  const head = groupsOf(halves[0] ?? '')
  const rest = halves.length === 2 ? groupsOf(halves[1] ?? '') : []
  if (!head || !rest) return undefined
  const given = head.length + rest.length + tail.length
  if (halves.length === 2 ? given > 7 : given !== 8) return undefined
  const groups = [...head, ...new Array<number>(8 - given).fill(0), ...rest, ...tail]
  const bytes = new Uint8Array(16)
  for (const [i, g] of groups.entries()) {
    bytes[i * 2] = g >> 8
    bytes[i * 2 + 1] = g & 255
  }
  return bytes
}

/** Canonical text of 4 or 16 bytes. Throws RangeError for any other length. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`)
  const groups: number[] = []
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0))
  let best = -1
  let bestLength = 1
  for (let i = 0; i < 8; i++) {
    let n = 0
    while (i + n < 8 && groups[i + n] === 0) n++
    if (n > bestLength) [best, bestLength] = [i, n]
  }
  const hex = (part: number[]): string => part.map((g) => g.toString(16)).join(':')
  // inet_ntop(3) writes IPv4-mapped addresses with a dotted tail
  if (best === 0 && bestLength === 5 && groups[5] === 0xffff) return `::ffff:${bytes.slice(12).join('.')}`
  if (best < 0) return hex(groups)
  return `${hex(groups.slice(0, best))}::${hex(groups.slice(best + bestLength))}`
}

/** The canonical spelling of an address, or undefined when the text is not one. */
export function canonicalAddress(text: string): string | undefined {
  const bytes = parseAddress(text)
  return bytes && formatAddress(bytes)
}

export function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4
}

/** Bits in an address of the family. */
export function bitsOf(family: Family): number {
  return family === 4 ? 32 : 128
}

/** `10.0.0.1/24`; without a slash the length is that of a single host. Undefined when it is not a prefix. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/')
  const address = canonicalAddress(slash < 0 ? text : text.slice(0, slash))
  if (address === undefined) return undefined
  const family = familyOf(address)
  if (slash < 0) return { address, length: bitsOf(family), family }
  const digits = text.slice(slash + 1)
  if (!/^\d{1,3}$/.test(digits) || Number(digits) > bitsOf(family)) return undefined
  return { address, length: Number(digits), family }
}

export function formatPrefix(prefix: Prefix): string {
  return `${prefix.address}/${prefix.length}`
}

function toInteger(address: string): bigint {
  let n = 0n
  for (const b of bytesOf(address)) n = (n << 8n) | BigInt(b)
  return n
}

function fromInteger(n: bigint, family: Family): string {
  const bytes = new Uint8Array(bitsOf(family) / 8)
  for (let i = bytes.length - 1, rest = n; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 255n)
  return formatAddress(bytes)
}

function bytesOf(address: string): Uint8Array {
  const bytes = parseAddress(address)
  if (!bytes) throw new RangeError(`not an address: ${address}`)
  return bytes
}

/** Byte `index` of the mask of a prefix. */
function maskByte(length: number, index: number): number {
  return (0xff00 >> Math.max(0, Math.min(8, length - index * 8))) & 0xff
}

/** The prefix with its host bits cleared: `10.0.0.7/24` gives `10.0.0.0/24`. */
export function networkOf(prefix: Prefix): Prefix {
  const bytes = bytesOf(prefix.address).map((byte, i) => byte & maskByte(prefix.length, i))
  return { ...prefix, address: formatAddress(bytes) }
}

/** Whether the address lies in the network of the prefix. False across families. */
export function prefixContains(prefix: Prefix, address: string): boolean {
  if (familyOf(address) !== prefix.family) return false
  const network = bytesOf(prefix.address)
  return bytesOf(address).every((byte, i) => ((byte ^ (network[i] ?? 0)) & maskByte(prefix.length, i)) === 0)
}

/** Whether two prefixes share an address. */
export function prefixesOverlap(a: Prefix, b: Prefix): boolean {
  return a.length <= b.length ? prefixContains(a, b.address) : prefixContains(b, a.address)
}

/** The address `offset` places after the network address: `nthAddress(10.0.0.7/24, 2)` is `10.0.0.2`. */
export function nthAddress(prefix: Prefix, offset: bigint | number): string {
  return fromInteger(toInteger(networkOf(prefix).address) + BigInt(offset), prefix.family)
}

/** The last address of the network; for IPv4 below /31 it is the broadcast address. */
export function lastAddress(prefix: Prefix): string {
  return formatAddress(bytesOf(prefix.address).map((byte, i) => byte | (~maskByte(prefix.length, i) & 0xff)))
}

/** The address as a number: its bytes in network order. Throws RangeError when the text is not an address. */
export function addressToInteger(address: string): bigint {
  return toInteger(address)
}

/** The address that this number stands for; bits beyond the family's width are dropped. */
export function integerToAddress(n: bigint, family: Family): string {
  return fromInteger(n, family)
}

/** Whether a host can own the address: it is not the network address nor, for IPv4, the broadcast address of its prefix. */
export function isHostAddress(prefix: Prefix): boolean {
  if (bitsOf(prefix.family) - prefix.length < 2) return true
  if (networkOf(prefix).address === prefix.address) return false
  return prefix.family === 6 || lastAddress(prefix) !== prefix.address
}

/** 127.0.0.0/8 and ::1. */
export function isLoopback(address: string): boolean {
  return address === '::1' || (familyOf(address) === 4 && address.startsWith('127.'))
}

/** fe80::/10, which every interface has of its own, and so may repeat. */
export function isLinkLocalV6(address: string): boolean {
  return /^fe[89ab][0-9a-f]:/.test(address)
}
