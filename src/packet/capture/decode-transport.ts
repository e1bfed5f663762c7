/** TCP (RFC 9293), UDP (RFC 768) and VXLAN (RFC 7348) as captured. Pure. */
import { decodeDns } from './decode-dns.ts'
import { broken, type Layer, viewOf } from './layers.ts'

const TCP_HEADER = 20
const UDP_HEADER = 8
const VXLAN_HEADER = 8
const VXLAN_HAS_ID = 0x08

const dnsPorts = new Set([53, 5353])
/** IANA's, and the one that Linux took before there was one */
const vxlanPorts = new Set([4789, 8472])

/** The bits with their names in the order in which people say them: SYN ACK, not ACK SYN. */
const tcpFlags: readonly (readonly [number, string])[] = [
  [0x02, 'SYN'],
  [0x01, 'FIN'],
  [0x04, 'RST'],
  [0x08, 'PSH'],
  [0x20, 'URG'],
  [0x40, 'ECE'],
  [0x80, 'CWR'],
  [0x10, 'ACK'],
]

/** `whole` is what IP says of the segment's length: of long ones not all may have been captured. */
export function decodeTcp(bytes: Uint8Array, whole: number): Layer {
  if (bytes.length < 4) return broken('TCP', bytes)
  const view = viewOf(bytes)
  const ports = { source: view.getUint16(0), destination: view.getUint16(2) }
  if (bytes.length < TCP_HEADER) return { layer: 'ports', ...ports }
  const header = (view.getUint8(12) >> 4) * 4
  if (header < TCP_HEADER || header > whole) return broken('TCP', bytes)
  const bits = view.getUint8(13)
  return {
    layer: 'tcp',
    ...ports,
    flags: tcpFlags.filter(([bit]) => bits & bit).map(([, name]) => name),
    seq: view.getUint32(4),
    ack: view.getUint32(8),
    window: view.getUint16(14),
    length: whole - header,
    ...tcpOptions(bytes.subarray(TCP_HEADER, header)),
  }
}

function tcpOptions(options: Uint8Array): { mss?: number; windowScale?: number } {
  const found: { mss?: number; windowScale?: number } = {}
  const view = viewOf(options)
  for (let at = 0; at < options.length; ) {
    const kind = options[at]
    if (kind === 0) break
    if (kind === 1) {
      at++
      continue
    }
    const length = options[at + 1] ?? 0
    if (length < 2 || at + length > options.length) break
    if (kind === 2 && length === 4) found.mss = view.getUint16(at + 2)
    if (kind === 3 && length === 3) found.windowScale = view.getUint8(at + 2)
    at += length
  }
  return found
}

/** UDP and what is known inside; `decodeFrame` reads what VXLAN carries. */
export function decodeUdp(bytes: Uint8Array, decodeFrame: (frame: Uint8Array) => Layer[]): Layer[] {
  if (bytes.length < UDP_HEADER) return [broken('UDP', bytes)]
  const view = viewOf(bytes)
  const [source, destination] = [view.getUint16(0), view.getUint16(2)]
  const length = (view.getUint16(4) || bytes.length) - UDP_HEADER
  if (length < 0) return [broken('UDP', bytes)]
  const payload = bytes.subarray(UDP_HEADER, UDP_HEADER + length)
  const udp: Layer = { layer: 'udp', source, destination, length }
  if (dnsPorts.has(source) || dnsPorts.has(destination)) {
    const dns = decodeDns(payload)
    return dns ? [udp, dns] : [udp]
  }
  if (vxlanPorts.has(destination) && payload.length > VXLAN_HEADER && ((payload[0] ?? 0) & VXLAN_HAS_ID) !== 0) {
    return [
      udp,
      { layer: 'vxlan', id: viewOf(payload).getUint32(4) >>> 8 },
      ...decodeFrame(payload.subarray(VXLAN_HEADER)),
    ]
  }
  return [udp]
}
