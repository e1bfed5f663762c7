/** A packet that can be told from all others, wherever it is seen: four bytes in it that nobody else has. */

import { parseAddress } from '../../ip/index.ts'
import { encodeEcho, encodeSocketAddress, internetChecksum } from '../../packet/index.ts'
import * as sys from '../../sys/index.ts'
import type { Packet } from '../packet.ts'

export interface Marked {
  /** the bytes in the packet, and in its answer */
  readonly magic: { readonly request: number; readonly answer: number }
  /** bytes from the start of the transport header at which they are */
  readonly offset: { readonly request: number; readonly answer: number }
  /** Sends it. For the thread inside the sender's namespace. */
  readonly send: () => void
}

const TCP_HEADER = 20
const SYN = 2
const WINDOW = 64_240
const IPV6_CHECKSUM = 7
const SOL_IPV6 = 41

/** `packet` has its source address. UDP services answer what they like: their answers are not told from others. */
export function markPacket(packet: Packet, magic: number): Marked {
  switch (packet.protocol) {
    case 'tcp':
      return markTcp(packet, magic)
    case 'udp':
      return {
        magic: { request: magic, answer: magic },
        offset: { request: 8, answer: 8 },
        send: () => sendUdp(packet, magic),
      }
    default:
      return {
        magic: { request: magic, answer: magic },
        offset: { request: 8, answer: 8 },
        send: () => sendEcho(packet, magic),
      }
  }
}

function bytesOf(magic: number): Uint8Array {
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setUint32(0, magic)
  return bytes
}

function sendRaw(
  packet: Packet,
  protocol: number,
  data: Uint8Array,
  prepare: (fd: number) => void = () => undefined,
): void {
  const fd = sys.socket(packet.family === 4 ? sys.AF_INET : sys.AF_INET6, sys.SOCK_RAW | sys.SOCK_NONBLOCK, protocol)
  try {
    prepare(fd)
    sys.sendto(fd, data, 0, encodeSocketAddress(packet.destination))
  } finally {
    sys.close(fd)
  }
}

function sendEcho(packet: Packet, magic: number): void {
  const data = encodeEcho(packet.family, 'request', { id: magic & 0xffff, sequence: 1, payload: bytesOf(magic) })
  sendRaw(packet, packet.family === 4 ? sys.IPPROTO_ICMP : sys.IPPROTO_ICMPV6, data)
}

function sendUdp(packet: Packet, magic: number): void {
  const fd = sys.socket(packet.family === 4 ? sys.AF_INET : sys.AF_INET6, sys.SOCK_DGRAM | sys.SOCK_NONBLOCK, 0)
  try {
    const any = packet.family === 4 ? '0.0.0.0' : '::'
    if (packet.sourcePort !== undefined) sys.bind(fd, encodeSocketAddress(any, packet.sourcePort))
    sys.sendto(fd, bytesOf(magic), 0, encodeSocketAddress(packet.destination, packet.destinationPort))
  } finally {
    sys.close(fd)
  }
}

/** A first segment whose sequence number is the mark; its answer acknowledges the next one. */
function markTcp(packet: Packet, magic: number): Marked {
  const sourcePort = packet.sourcePort ?? 32_768 + (magic % 20_000)
  const send = (): void => {
    const segment = new Uint8Array(TCP_HEADER)
    const view = new DataView(segment.buffer)
    view.setUint16(0, sourcePort)
    view.setUint16(2, packet.destinationPort ?? 0)
    view.setUint32(4, magic)
    segment[12] = (TCP_HEADER / 4) << 4
    segment[13] = SYN
    view.setUint16(14, WINDOW)
    if (packet.family === 4) view.setUint16(16, tcpChecksum(packet, segment))
    sendRaw(packet, sys.IPPROTO_TCP, segment, (fd) => {
      // there the kernel, which knows the addresses, puts the checksum in
      if (packet.family === 6) sys.setsockopt(fd, SOL_IPV6, IPV6_CHECKSUM, 16)
    })
  }
  return { magic: { request: magic, answer: (magic + 1) >>> 0 }, offset: { request: 4, answer: 8 }, send }
}

/** Over the pseudo header of RFC 793 and the segment. */
function tcpChecksum({ source, destination }: Packet, segment: Uint8Array): number {
  const pseudo = new Uint8Array(12 + segment.length)
  pseudo.set(parseAddress(source) ?? [], 0)
  pseudo.set(parseAddress(destination) ?? [], 4)
  pseudo[9] = sys.IPPROTO_TCP
  new DataView(pseudo.buffer).setUint16(10, segment.length)
  pseudo.set(segment, 12)
  return internetChecksum(pseudo)
}
