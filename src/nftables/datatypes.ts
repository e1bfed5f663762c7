/** Data types: what the bytes of a register or a set's key mean. Names and numbers are nft's (`nft describe`). Pure. */
import { formatAddress, parseAddress } from '../ip/index.ts'
import type { Value } from './expression.ts'

/** A value that does not fit where it stands; the message names both. */
export class CompileError extends Error {
  override readonly name = 'CompileError'
}

export interface DataType {
  readonly name: string
  /** nft's number; it lives in NFTA_SET_KEY_TYPE, for nft to list the set by */
  readonly id: number
  readonly bytes: number
  /** byte order of numbers in registers */
  readonly order: 'network' | 'host'
  readonly form: 'number' | 'address' | 'mac' | 'name'
  /** symbols of numbers, and whether several may be set at once */
  readonly symbols?: Readonly<Record<string, number>>
  readonly isBitmask?: true
  /** in nft text a number is written in hexadecimal */
  readonly isHex?: true
}

function numeric(id: number, bytes: number, order: 'network' | 'host', more: Partial<DataType> = {}): DataType {
  return { name: '', id, bytes, order, form: 'number', ...more }
}
const symbolic = (id: number, bytes: number, order: 'network' | 'host', symbols: Record<string, number>): DataType =>
  numeric(id, bytes, order, { symbols })
const bitmask = (id: number, bytes: number, symbols: Record<string, number>): DataType =>
  numeric(id, bytes, 'host', { symbols, isBitmask: true })

const table = {
  nf_proto: symbolic(2, 1, 'host', { ipv4: 2, ipv6: 10 }),
  ipv4_addr: { ...numeric(7, 4, 'network'), form: 'address' },
  ipv6_addr: { ...numeric(8, 16, 'network'), form: 'address' },
  ether_addr: { ...numeric(9, 6, 'network'), form: 'mac' },
  ether_type: symbolic(10, 2, 'network', { ip: 0x0800, arp: 0x0806, ip6: 0x86dd, vlan: 0x8100 }),
  arp_op: symbolic(11, 2, 'network', { request: 1, reply: 2 }),
  inet_proto: symbolic(12, 1, 'network', {
    icmp: 1,
    igmp: 2,
    tcp: 6,
    udp: 17,
    dccp: 33,
    gre: 47,
    esp: 50,
    ah: 51,
    icmpv6: 58,
    comp: 108,
    sctp: 132,
    udplite: 136,
  }),
  inet_service: numeric(13, 2, 'network'),
  icmp_type: symbolic(14, 1, 'network', {
    'echo-reply': 0,
    'destination-unreachable': 3,
    'source-quench': 4,
    redirect: 5,
    'echo-request': 8,
    'router-advertisement': 9,
    'router-solicitation': 10,
    'time-exceeded': 11,
    'parameter-problem': 12,
    'timestamp-request': 13,
    'timestamp-reply': 14,
    'info-request': 15,
    'info-reply': 16,
    'address-mask-request': 17,
    'address-mask-reply': 18,
  }),
  tcp_flag: bitmask(15, 1, { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ecn: 64, cwr: 128 }),
  mark: numeric(19, 4, 'host', { isHex: true }),
  iface_index: numeric(20, 4, 'host'),
  iface_type: symbolic(21, 2, 'host', { ether: 1, ppp: 512, ipip: 768, loopback: 772, sit: 776, ipgre: 778 }),
  realm: numeric(22, 4, 'host'),
  classid: numeric(23, 4, 'host'),
  uid: numeric(24, 4, 'host'),
  gid: numeric(25, 4, 'host'),
  ct_state: bitmask(26, 4, { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 }),
  ct_dir: symbolic(27, 1, 'host', { original: 0, reply: 1 }),
  ct_status: bitmask(28, 4, {
    expected: 1,
    'seen-reply': 2,
    assured: 4,
    confirmed: 8,
    snat: 16,
    dnat: 32,
    dying: 512,
  }),
  icmpv6_type: symbolic(29, 1, 'network', {
    'destination-unreachable': 1,
    'packet-too-big': 2,
    'time-exceeded': 3,
    'parameter-problem': 4,
    'echo-request': 128,
    'echo-reply': 129,
    'mld-listener-query': 130,
    'mld-listener-report': 131,
    'mld-listener-done': 132,
    'nd-router-solicit': 133,
    'nd-router-advert': 134,
    'nd-neighbor-solicit': 135,
    'nd-neighbor-advert': 136,
    'nd-redirect': 137,
    'router-renumbering': 138,
    'mld2-listener-report': 143,
  }),
  pkt_type: symbolic(31, 1, 'host', { host: 0, broadcast: 1, multicast: 2, other: 3 }),
  icmp_code: numeric(32, 1, 'network'),
  icmpv6_code: numeric(33, 1, 'network'),
  devgroup: numeric(35, 4, 'host'),
  dscp: numeric(36, 1, 'network', { isHex: true }),
  ecn: numeric(37, 1, 'network'),
  fib_addrtype: symbolic(38, 4, 'host', {
    unspec: 0,
    unicast: 1,
    local: 2,
    broadcast: 3,
    anycast: 4,
    multicast: 5,
    blackhole: 6,
    unreachable: 7,
    prohibit: 8,
  }),
  boolean: symbolic(39, 4, 'host', { exists: 1, missing: 0 }),
  ifname: { ...numeric(41, 16, 'host'), form: 'name' },
  // plain integers of a selector have nft's type `integer`; a set cannot be declared with them
  u8: numeric(4, 1, 'network'),
  u16: numeric(4, 2, 'network'),
  u32: numeric(4, 4, 'network'),
  host16: numeric(4, 2, 'host'),
  host32: numeric(4, 4, 'host'),
  host64: numeric(4, 8, 'host'),
} as const satisfies Record<string, DataType>

export type TypeName = keyof typeof table

const types = Object.fromEntries(Object.entries(table).map(([name, type]) => [name, { ...type, name }])) as Readonly<
  Record<TypeName, DataType>
>

export function typeOf(name: TypeName): DataType {
  return types[name]
}

/** The type with nft's number, for reading a set's declaration; an integer type by its size. */
export function typeById(id: number): TypeName | undefined {
  for (const name in table) if (types[name as TypeName].id === id && id !== 4) return name as TypeName
  return undefined
}

/** Types of a concatenation share one number, six bits each. */
export function concatId(names: readonly TypeName[]): number {
  return names.reduce((id, name) => ((id << 6) | types[name].id) >>> 0, 0)
}

export function typesOfConcat(id: number): TypeName[] | undefined {
  const names: TypeName[] = []
  for (let rest = id; rest > 0; rest >>>= 6) {
    const name = typeById(rest & 63)
    if (!name) return undefined
    names.unshift(name)
  }
  return names.length ? names : undefined
}

/** Bytes of each part in a concatenation: whole 32-bit registers. */
export function concatBytes(names: readonly TypeName[]): number {
  return names.reduce((sum, name) => sum + ((types[name].bytes + 3) & ~3), 0)
}

export function numberToBytes(value: number | bigint, size: number, order: 'network' | 'host'): Uint8Array {
  const bytes = new Uint8Array(size)
  let rest = BigInt(value)
  for (let i = 0; i < size; i++, rest >>= 8n) bytes[order === 'host' ? i : size - 1 - i] = Number(rest & 255n)
  return bytes
}

export function bytesToNumber(bytes: Uint8Array, order: 'network' | 'host'): bigint {
  let value = 0n
  for (const byte of order === 'host' ? bytes.slice().reverse() : bytes) value = (value << 8n) | BigInt(byte)
  return value
}

function encodeNumber(type: DataType, value: Value): bigint {
  if (typeof value === 'number') {
    if (!Number.isInteger(value) || value < 0) throw new CompileError(`${value} is not a ${type.name}`)
    return BigInt(value)
  }
  const symbols: Readonly<Record<string, number>> = type.symbols ?? {}
  const symbolOf = (name: string): number | undefined => (Object.hasOwn(symbols, name) ? symbols[name] : undefined)
  const whole = symbolOf(value)
  if (whole !== undefined) return BigInt(whole)
  if (type.isBitmask && value.includes('|')) {
    return value.split('|').reduce((sum, part) => sum | encodeNumber(type, part.trim()), 0n)
  }
  if (/^(0x[0-9a-fA-F]{1,16}|\d{1,20})$/.test(value)) return BigInt(value)
  throw new CompileError(`${JSON.stringify(value)} is not a ${type.name}`)
}

/** A value in the bytes of its type. `order` overrides the type's, for comparisons that need network order. */
export function encodeValue(type: DataType, value: Value, order = type.order): Uint8Array {
  switch (type.form) {
    case 'number': {
      const number = encodeNumber(type, value)
      if (number >> BigInt(type.bytes * 8)) throw new CompileError(`${value} is too large for a ${type.name}`)
      return numberToBytes(number, type.bytes, order)
    }
    case 'address': {
      const bytes = parseAddress(String(value))
      if (bytes?.length !== type.bytes) throw new CompileError(`${JSON.stringify(value)} is not an ${type.name}`)
      return bytes
    }
    case 'mac': {
      const text = String(value)
      if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) {
        throw new CompileError(`${JSON.stringify(value)} is not an ${type.name}`)
      }
      return Uint8Array.from(text.split(':'), (part) => Number.parseInt(part, 16))
    }
    case 'name': {
      const name = new TextEncoder().encode(String(value))
      if (name.length === 0 || name.length >= type.bytes || name.includes(0)) {
        throw new CompileError(`${JSON.stringify(value)} is not a name of 1 to ${type.bytes - 1} bytes`)
      }
      const bytes = new Uint8Array(type.bytes)
      bytes.set(name)
      return bytes
    }
    default:
      return type.form satisfies never
  }
}

/** The canonical value of these bytes; undefined when they cannot be one. */
export function decodeValue(type: DataType, bytes: Uint8Array, order = type.order): Value | undefined {
  if (bytes.length !== type.bytes) return undefined
  switch (type.form) {
    case 'number': {
      const number = bytesToNumber(bytes, order)
      if (number > BigInt(Number.MAX_SAFE_INTEGER)) return `0x${number.toString(16)}`
      return (type.isBitmask ? bitNames(type, Number(number)) : undefined) ?? symbolFor(type, Number(number))
    }
    case 'address':
      return formatAddress(bytes)
    case 'mac':
      return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join(':')
    case 'name': {
      const end = bytes.indexOf(0)
      if (end <= 0 || bytes.subarray(end).some((b) => b !== 0)) return undefined
      return decodeText(bytes.subarray(0, end))
    }
    default:
      return type.form satisfies never
  }
}

/** Text, unless the bytes are not UTF-8: such a name could not be written back. */
export function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

function symbolFor(type: DataType, number: number): Value {
  for (const name in type.symbols) if (type.symbols[name] === number) return name
  return number
}

function bitNames(type: DataType, number: number): string | undefined {
  const names = flagNames(type, number)
  return names?.length ? names.join('|') : undefined
}

/** The names of the set bits in ascending order; undefined when one has no name. */
export function flagNames(type: DataType, number: number): string[] | undefined {
  let rest = number
  const names: string[] = []
  for (const name in type.symbols) {
    const bit = type.symbols[name] ?? 0
    if ((number & bit) !== 0) {
      names.push(name)
      rest &= ~bit
    }
  }
  return rest === 0 ? names : undefined
}
