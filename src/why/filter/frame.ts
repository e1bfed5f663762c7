/** The headers of a packet as bytes, for rules that read them by offset; RFC 791, 8200, 9293, 768, 792. Pure. */
import { formatAddress, parseAddress } from '../../ip/index.ts'
import type { Packet, Protocol } from '../packet.ts'
import { type Bits, networkNumber, readNetwork, unknownBits } from './bits.ts'

/** IPPROTO_* */
export const protocolNumbers: Readonly<Record<Protocol, number>> = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 }

export const ETHERNET_HEADER = 14

/** NFT_PAYLOAD_LL_HEADER, _NETWORK_HEADER, _TRANSPORT_HEADER */
export const layers = { link: 0, network: 1, transport: 2 } as const

/** Headers by layer; what follows the transport header is not known. */
export type Frame = readonly [link: Bits, network: Bits, transport: Bits]

interface Draft {
  readonly value: Uint8Array
  readonly unknown: Uint8Array
}

/** All unknown, until fields are put in. */
function draft(length: number): Draft {
  return { value: new Uint8Array(length), unknown: new Uint8Array(length).fill(255) }
}

/** Fills a field; without a value it stays unknown. */
function put({ value, unknown }: Draft, offset: number, field: Uint8Array | undefined): void {
  if (!field) return
  value.set(field, offset)
  unknown.fill(0, offset, offset + field.length)
}

const byte = (number: number | undefined): Uint8Array | undefined =>
  number === undefined ? undefined : Uint8Array.of(number)
const port = (number: number | undefined): Uint8Array | undefined =>
  number === undefined ? undefined : networkNumber(number, 2)

export function etherType(packet: Packet): number {
  return packet.family === 4 ? 0x0800 : 0x86dd
}

/** The six bytes of `02:00:00:00:00:01`; undefined when it is none. */
export function macBytes(mac: string | undefined): Uint8Array | undefined {
  const parts = mac?.split(':').map((part) => Number.parseInt(part, 16))
  return parts?.length === 6 ? Uint8Array.from(parts) : undefined
}

function linkHeader(packet: Packet): Draft {
  const header = draft(ETHERNET_HEADER)
  put(header, 0, macBytes(packet.destinationMac))
  put(header, 6, macBytes(packet.sourceMac))
  put(header, 12, networkNumber(etherType(packet), 2))
  return header
}

/** No options, no fragment; type of service 0, as packets have it unless somebody asks otherwise. */
function ipv4Header(packet: Packet): Draft {
  const header = draft(20)
  put(header, 0, Uint8Array.of(0x45, 0, ...networkNumber(packet.length, 2)))
  // "don't fragment" is the sender's choice
  put(header, 6, Uint8Array.of(0, 0))
  header.unknown[6] = 0x40
  put(header, 8, Uint8Array.of(packet.ttl, protocolNumbers[packet.protocol]))
  put(header, 12, parseAddress(packet.source))
  put(header, 16, parseAddress(packet.destination))
  return header
}

/** No extension headers; the flow label is the sender's choice. */
function ipv6Header(packet: Packet): Draft {
  const header = draft(40)
  put(header, 0, Uint8Array.of(0x60, 0))
  header.unknown[1] = 0x0f
  put(header, 4, networkNumber(Math.max(0, packet.length - 40), 2))
  put(header, 6, Uint8Array.of(protocolNumbers[packet.protocol], packet.ttl))
  put(header, 8, parseAddress(packet.source))
  put(header, 24, parseAddress(packet.destination))
  return header
}

/** Bytes of the transport header */
const transportSizes: Readonly<Record<Protocol, number>> = { icmp: 8, icmpv6: 8, tcp: 20, udp: 8, sctp: 12 }

function transportHeader(packet: Packet): Draft {
  const header = draft(transportSizes[packet.protocol])
  switch (packet.protocol) {
    case 'icmp':
    case 'icmpv6':
      put(header, 0, byte(packet.icmpType))
      put(header, 1, byte(packet.icmpCode))
      break
    case 'tcp':
      put(header, 13, byte(packet.tcpFlags))
      putPorts(header, packet)
      break
    case 'udp':
      put(header, 4, networkNumber(Math.max(0, packet.length - ipHeaderLength(packet)), 2))
      putPorts(header, packet)
      break
    case 'sctp':
      putPorts(header, packet)
      break
    default:
      packet.protocol satisfies never
  }
  return header
}

function putPorts(header: Draft, packet: Packet): void {
  put(header, 0, port(packet.sourcePort))
  put(header, 2, port(packet.destinationPort))
}

export function ipHeaderLength(packet: Pick<Packet, 'family'>): number {
  return packet.family === 4 ? 20 : 40
}

export function frameOf(packet: Packet): Frame {
  return [linkHeader(packet), packet.family === 4 ? ipv4Header(packet) : ipv6Header(packet), transportHeader(packet)]
}

/** Bytes from the start of a layer's header; undefined when the packet is not so long. */
export function readFrame(
  packet: Packet,
  frame: Frame,
  layer: 0 | 1 | 2,
  offset: number,
  length: number,
): Bits | undefined {
  const start = layer === layers.transport ? ipHeaderLength(packet) : 0
  const end = layer === layers.link ? ETHERNET_HEADER + packet.length : packet.length - start
  if (offset < 0 || offset + length > end) return undefined
  const { value, unknown } = frame[layer]
  if (offset + length <= value.length) {
    return { value: value.subarray(offset, offset + length), unknown: unknown?.subarray(offset, offset + length) }
  }
  const bits = unknownBits(length)
  const inside = value.subarray(offset)
  bits.value.set(inside)
  bits.unknown?.set(unknown?.subarray(offset) ?? new Uint8Array(inside.length))
  return bits
}

/** The frame with bytes of one layer changed. */
export function writeFrame(frame: Frame, layer: 0 | 1 | 2, offset: number, bits: Bits): Frame {
  const old = frame[layer]
  const value = old.value.slice()
  const unknown = old.unknown?.slice() ?? new Uint8Array(value.length)
  for (let i = 0; i < bits.value.length && offset + i < value.length; i++) {
    value[offset + i] = bits.value[i] ?? 0
    unknown[offset + i] = bits.unknown?.[i] ?? 0
  }
  const changed = { value, unknown }
  return [layer === 0 ? changed : frame[0], layer === 1 ? changed : frame[1], layer === 2 ? changed : frame[2]]
}

/** The packet with what its headers say now; undefined when an address or another field that must be known is not. */
export function packetFrom(packet: Packet, [, network, transport]: Frame): Packet | undefined {
  const field = ({ value, unknown }: Bits, offset: number, length: number): Uint8Array | undefined =>
    unknown?.subarray(offset, offset + length).some((free) => free) ? undefined : value.slice(offset, offset + length)
  const number = (bits: Bits, offset: number, length: number): number | undefined => {
    const bytes = field(bits, offset, length)
    return bytes && readNetwork(bytes)
  }
  const size = packet.family === 4 ? 4 : 16
  const [from, to, hops] = packet.family === 4 ? [12, 16, 8] : [8, 24, 7]
  const source = field(network, from, size)
  const destination = field(network, to, size)
  const ttl = number(network, hops, 1)
  if (!source || !destination || ttl === undefined) return undefined
  const { sourcePort: _, destinationPort: __, ...rest } = packet
  const next = { ...rest, source: formatAddress(source), destination: formatAddress(destination), ttl }
  if (packet.protocol === 'icmp' || packet.protocol === 'icmpv6') return next
  const sourcePort = number(transport, 0, 2)
  const destinationPort = number(transport, 2, 2)
  return {
    ...next,
    ...(sourcePort === undefined ? {} : { sourcePort }),
    ...(destinationPort === undefined ? {} : { destinationPort }),
  }
}
