/** ICMP and ICMPv6 messages: echo, and the errors that come back. RFC 792, RFC 4443. Pure. */
import { type Family, formatAddress } from '../ip/index.ts'
import { internetChecksum } from './checksum.ts'

const HEADER = 8
const IPV4_HEADER = 20
const IPV6_HEADER = 40

/** Message types by family; the numbers have nothing in common. */
export const icmpTypes = {
  4: { request: 8, reply: 0, errors: { unreachable: 3, timeExceeded: 11, parameterProblem: 12 } },
  6: { request: 128, reply: 129, errors: { unreachable: 1, tooBig: 2, timeExceeded: 3, parameterProblem: 4 } },
} as const

export interface Echo {
  /** 16 bits: whose echo it is */
  readonly id: number
  /** 16 bits */
  readonly sequence: number
  readonly payload: Uint8Array
}

/** An error about a packet of ours, of which it quotes the beginning. */
export interface IcmpError {
  readonly kind: 'error'
  readonly type: number
  readonly code: number
  /** `destination host unreachable` */
  readonly words: string
  /** bytes of the largest packet that would pass, where the error is about size and says so */
  readonly mtu?: number
  /** the packet at fault; addresses as canonical text */
  readonly about: {
    readonly source: string
    readonly destination: string
    readonly id: number
    readonly sequence: number
  }
}

export type IcmpMessage = (Echo & { readonly kind: 'reply' | 'request' }) | IcmpError

/** An echo request or reply. The checksum of ICMPv6 is left to the kernel, which knows the addresses (RFC 3542, 3.1). */
export function encodeEcho(family: Family, kind: 'request' | 'reply', echo: Echo): Uint8Array {
  const bytes = new Uint8Array(HEADER + echo.payload.length)
  const view = new DataView(bytes.buffer)
  bytes[0] = icmpTypes[family][kind]
  view.setUint16(4, echo.id)
  view.setUint16(6, echo.sequence)
  bytes.set(echo.payload, HEADER)
  if (family === 4) view.setUint16(2, internetChecksum(bytes))
  return bytes
}

/** What follows the IPv4 header that a raw socket passes along; undefined when there is no whole header. */
export function skipIpv4Header(packet: Uint8Array): Uint8Array | undefined {
  const first = packet[0] ?? 0
  const length = (first & 15) * 4
  return first >> 4 === 4 && length >= IPV4_HEADER && packet.length >= length ? packet.subarray(length) : undefined
}

/**
 * Reads a message that begins with its ICMP header. Undefined for what is neither an echo nor an error about an echo
 * request, and for a wrong ICMP checksum, which raw IPv4 sockets are not spared (raw ICMPv6 sockets are).
 */
export function decodeIcmp(family: Family, message: Uint8Array): IcmpMessage | undefined {
  if (message.length < HEADER) return undefined
  if (family === 4 && internetChecksum(message) !== 0) return undefined
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  const [type, code] = [view.getUint8(0), view.getUint8(1)]
  const types = icmpTypes[family]
  if (type === types.reply || type === types.request) {
    const kind = type === types.reply ? 'reply' : 'request'
    return { kind, id: view.getUint16(4), sequence: view.getUint16(6), payload: message.slice(HEADER) }
  }
  const words = icmpErrorWords(family, type, code, view)
  const about = words === undefined ? undefined : quotedEcho(family, message.subarray(HEADER))
  if (words === undefined || !about) return undefined
  const mtu = nextMtu(family, type, code, view)
  return { kind: 'error', type, code, words, about, ...(mtu ? { mtu } : {}) }
}

/** The echo request that an error quotes: at least its IP header and 8 bytes (RFC 792). */
function quotedEcho(family: Family, packet: Uint8Array): IcmpError['about'] | undefined {
  const isV4 = family === 4
  const protocol = isV4 ? packet[9] : packet[6]
  const isVersion = (packet[0] ?? 0) >> 4 === family
  const inner = isV4 ? skipIpv4Header(packet) : packet.subarray(IPV6_HEADER)
  if (!isVersion || protocol !== (isV4 ? 1 : 58) || !inner || inner.length < HEADER) return undefined
  if (inner[0] !== icmpTypes[family].request) return undefined
  const view = new DataView(inner.buffer, inner.byteOffset, inner.byteLength)
  const [at, size] = isV4 ? [12, 4] : [8, 16]
  return {
    source: formatAddress(packet.subarray(at, at + size)),
    destination: formatAddress(packet.subarray(at + size, at + 2 * size)),
    id: view.getUint16(4),
    sequence: view.getUint16(6),
  }
}

const unreachable4 = [
  'destination network unreachable',
  'destination host unreachable',
  'destination protocol unreachable',
  'destination port unreachable',
  'fragmentation needed',
  'source route failed',
  'destination network unknown',
  'destination host unknown',
  'source host isolated',
  'destination network prohibited',
  'destination host prohibited',
  'destination network unreachable for this type of service',
  'destination host unreachable for this type of service',
  'communication prohibited by a filter',
  'host precedence violation',
  'precedence cutoff',
]

const unreachable6 = [
  'no route to destination',
  'communication prohibited by a filter',
  'destination beyond the scope of the source address',
  'destination address unreachable',
  'destination port unreachable',
  'source address refused by policy',
  'a reject route to the destination',
]

/** MTU of the next hop, RFC 1191 and RFC 4443; 0 from routers that do not know it, and for other errors. */
function nextMtu(family: Family, type: number, code: number, view: DataView): number {
  if (family === 6) return type === icmpTypes[6].errors.tooBig ? view.getUint32(4) : 0
  return type === icmpTypes[4].errors.unreachable && code === 4 ? view.getUint16(6) : 0
}

/**
 * What an error says, from its header of 8 bytes; `code` where it has no words. Undefined for a type that is no error.
 */
export function icmpErrorWords(family: Family, type: number, code: number, view: DataView): string | undefined {
  const { errors } = icmpTypes[family]
  switch (type) {
    case errors.unreachable: {
      const words = (family === 4 ? unreachable4 : unreachable6)[code] ?? `destination unreachable, code ${code}`
      const mtu = nextMtu(family, type, code, view)
      return mtu ? `${words}, MTU ${mtu}` : words
    }
    case icmpTypes[6].errors.tooBig:
      return family === 6 ? `packet too big, MTU ${nextMtu(family, type, code, view)}` : undefined
    case errors.timeExceeded:
      if (code === 1) return 'fragments did not arrive in time'
      return family === 4 ? 'time to live exceeded' : 'hop limit exceeded'
    case errors.parameterProblem:
      return `parameter problem, code ${code}`
    default:
      return undefined
  }
}
