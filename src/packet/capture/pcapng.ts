/** The file formats of captures: pcapng (draft-ietf-opsawg-pcapng) and pcap with nanoseconds. Pure. */

/** LINKTYPE_ETHERNET, and LINKTYPE_RAW: packets that begin with their IP header */
const LINK_ETHERNET = 1
const LINK_RAW = 101
/** no limit, as tcpdump has it */
const SNAP_LENGTH = 262144

export interface RecordedPacket {
  /** Unix time */
  readonly seconds: number
  readonly nanoseconds: number
  readonly isOutgoing: boolean
  readonly hasEthernet: boolean
  /** bytes on the wire */
  readonly length: number
  readonly bytes: Uint8Array
}

/** How a file is written: the buffer has room for `size` more bytes when `write` is called. */
export interface Format {
  readonly head: () => Uint8Array
  /** What announces an interface; its number is the count of those before it. */
  readonly device: (name: string, hasEthernet: boolean) => Uint8Array
  /** Bytes that a packet takes with `captured` bytes of its own. */
  readonly size: (captured: number) => number
  readonly write: (out: Uint8Array, view: DataView, at: number, packet: RecordedPacket, device: number) => void
  /** Whether the format can hold packets of such a device. */
  readonly takes: (hasEthernet: boolean) => boolean
}

const SECTION = 0x0a0d0d0a
const INTERFACE = 1
const ENHANCED_PACKET = 6
const ORDER = 0x1a2b3c4d
const IF_NAME = 2
const IF_TSRESOL = 9
const SHB_USERAPPL = 4
const EPB_FLAGS = 2
const INBOUND = 1
const OUTBOUND = 2
/** of a packet block: head, and its flags, the end of options and the length again */
const PACKET_HEAD = 28
const PACKET_TAIL = 16

const padded = (length: number): number => (length + 3) & ~3

/** An option as code, length and padded value; no options follow code 0. */
function option(code: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + padded(value.length))
  new DataView(bytes.buffer).setUint16(0, code, true)
  new DataView(bytes.buffer).setUint16(2, value.length, true)
  bytes.set(value, 4)
  return bytes
}

/** A block with its type and, at both ends, its length. */
function block(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = 12 + parts.reduce((sum, part) => sum + part.length, 0)
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, type, true)
  view.setUint32(4, length, true)
  let at = 8
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  view.setUint32(at, length, true)
  return bytes
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const endOfOptions = new Uint8Array(4)

export const pcapng: Format = {
  head: () => {
    const body = new Uint8Array(16)
    const view = new DataView(body.buffer)
    view.setUint32(0, ORDER, true)
    view.setUint16(4, 1, true)
    // the section's length is not known beforehand: -1
    body.fill(0xff, 8)
    return block(SECTION, body, option(SHB_USERAPPL, text('hardway')), endOfOptions)
  },
  device: (name, hasEthernet) => {
    const body = new Uint8Array(8)
    const view = new DataView(body.buffer)
    view.setUint16(0, hasEthernet ? LINK_ETHERNET : LINK_RAW, true)
    view.setUint32(4, SNAP_LENGTH, true)
    // 9: times are in units of 10^-9 s
    return block(INTERFACE, body, option(IF_NAME, text(name)), option(IF_TSRESOL, Uint8Array.of(9)), endOfOptions)
  },
  size: (captured) => PACKET_HEAD + padded(captured) + PACKET_TAIL,
  write: (out, view, at, packet, device) => {
    const { bytes } = packet
    const length = PACKET_HEAD + padded(bytes.length) + PACKET_TAIL
    view.setUint32(at, ENHANCED_PACKET, true)
    view.setUint32(at + 4, length, true)
    view.setUint32(at + 8, device, true)
    writeTime(view, at + 12, packet)
    view.setUint32(at + 20, bytes.length, true)
    view.setUint32(at + 24, packet.length, true)
    out.set(bytes, at + PACKET_HEAD)
    const end = at + PACKET_HEAD + bytes.length
    const tail = at + length - PACKET_TAIL
    for (let i = end; i < tail; i++) out[i] = 0
    view.setUint16(tail, EPB_FLAGS, true)
    view.setUint16(tail + 2, 4, true)
    view.setUint32(tail + 4, packet.isOutgoing ? OUTBOUND : INBOUND, true)
    view.setUint32(tail + 8, 0, true)
    view.setUint32(tail + 12, length, true)
  },
  takes: () => true,
}

/** Nanoseconds since 1970, the high word first. The number has 61 bits: it is put together from two halves. */
function writeTime(view: DataView, at: number, { seconds, nanoseconds }: RecordedPacket): void {
  const high = Math.floor(seconds / 0x10000) * 1e9
  const low = (seconds % 0x10000) * 1e9 + nanoseconds
  const rest = (high % 0x10000) * 0x10000 + low
  view.setUint32(at, Math.floor(high / 0x10000) + Math.floor(rest / 0x100000000), true)
  view.setUint32(at + 4, rest % 0x100000000, true)
}

const PCAP_NANOSECONDS = 0xa1b23c4d
const PCAP_HEAD = 16

/** Plain pcap: one kind of link, and no word about interfaces and directions. */
export function pcap(hasEthernet: boolean): Format {
  return {
    head: () => {
      const bytes = new Uint8Array(24)
      const view = new DataView(bytes.buffer)
      view.setUint32(0, PCAP_NANOSECONDS, true)
      view.setUint16(4, 2, true)
      view.setUint16(6, 4, true)
      view.setUint32(16, SNAP_LENGTH, true)
      view.setUint32(20, hasEthernet ? LINK_ETHERNET : LINK_RAW, true)
      return bytes
    },
    device: () => new Uint8Array(0),
    size: (captured) => PCAP_HEAD + captured,
    write: (out, view, at, { seconds, nanoseconds, length, bytes }) => {
      view.setUint32(at, seconds, true)
      view.setUint32(at + 4, nanoseconds, true)
      view.setUint32(at + 8, bytes.length, true)
      view.setUint32(at + 12, length, true)
      out.set(bytes, at + PCAP_HEAD)
    },
    takes: (ofDevice) => ofDevice === hasEthernet,
  }
}
