/**
 * Reads packets: every layer that is known, and never an exception, whatever the bytes are. Pure.
 * Numbers of EtherTypes and protocols are IANA's.
 */
import { formatAddress } from '../../ip/index.ts'
import { decodeIcmp } from './decode-icmp.ts'
import { decodeTcp, decodeUdp } from './decode-transport.ts'
import { broken, formatMac, type Ip, type Layer, other, viewOf } from './layers.ts'

const ETHERNET_HEADER = 14
/** Tunnels in tunnels in tunnels: somebody is joking. */
const DEEPEST = 8
/** below it, the field is the length of an 802.3 frame */
const FIRST_TYPE = 0x600

const etherTypeNames: Readonly<Record<number, string>> = {
  33079: 'IPX',
  34824: 'flow control',
  34825: 'LACP',
  34887: 'MPLS',
  34888: 'MPLS multicast',
  34915: 'PPPoE discovery',
  34916: 'PPPoE',
  34958: '802.1X',
  35020: 'LLDP',
  35045: 'MACsec',
  35063: 'PTP',
  36864: 'loopback test',
}

const protocolNames: Readonly<Record<number, string>> = {
  2: 'IGMP',
  47: 'GRE',
  50: 'ESP',
  51: 'AH',
  59: 'no next header',
  88: 'EIGRP',
  89: 'OSPF',
  103: 'PIM',
  112: 'VRRP',
  132: 'SCTP',
  136: 'UDP-Lite',
}

/** The layers of a packet as it was captured, with its Ethernet header or from its IP header on. */
export function decodePacket(bytes: Uint8Array, hasEthernet: boolean): Layer[] {
  return hasEthernet ? decodeEthernet(bytes, 0) : decodeIp(bytes, 0)
}

function decodeEthernet(bytes: Uint8Array, depth: number): Layer[] {
  if (bytes.length < ETHERNET_HEADER) return [broken('Ethernet', bytes)]
  const type = viewOf(bytes).getUint16(12)
  const [destination, source] = [formatMac(bytes.subarray(0, 6)), formatMac(bytes.subarray(6, 12))]
  const inside = decodeType(type, bytes.subarray(ETHERNET_HEADER), depth)
  return [{ layer: 'ethernet', source, destination, type }, ...inside]
}

/** What an EtherType announces. */
function decodeType(type: number, bytes: Uint8Array, depth: number): Layer[] {
  switch (type) {
    case 0x0800:
    case 0x86dd:
      return decodeIp(bytes, depth)
    case 0x0806:
    case 0x8035:
      return [decodeArp(bytes)]
    case 0x8100:
    case 0x88a8:
    case 0x9100: {
      if (bytes.length < 4 || depth >= DEEPEST) return [broken('VLAN', bytes)]
      const view = viewOf(bytes)
      const inner = view.getUint16(2)
      return [
        { layer: 'vlan', id: view.getUint16(0) & 0xfff, type: inner },
        ...decodeType(inner, bytes.subarray(4), depth + 1),
      ]
    }
    default:
      // 802.1D: the bridges' own protocol has both access points 0x42
      if (type < FIRST_TYPE) return [other(bytes[0] === 0x42 && bytes[1] === 0x42 ? 'STP' : '802.3', bytes.length)]
      return [other(etherTypeNames[type] ?? `EtherType 0x${type.toString(16).padStart(4, '0')}`, bytes.length)]
  }
}

/** RFC 826, for Ethernet and IPv4. */
function decodeArp(bytes: Uint8Array): Layer {
  if (bytes.length < 28) return broken('ARP', bytes)
  const view = viewOf(bytes)
  if (view.getUint16(2) !== 0x0800 || bytes[4] !== 6 || bytes[5] !== 4) return other('ARP', bytes.length)
  return {
    layer: 'arp',
    operation: view.getUint16(6),
    senderMac: formatMac(bytes.subarray(8, 14)),
    sender: formatAddress(bytes.subarray(14, 18)),
    targetMac: formatMac(bytes.subarray(18, 24)),
    target: formatAddress(bytes.subarray(24, 28)),
  }
}

function decodeIp(bytes: Uint8Array, depth: number): Layer[] {
  const version = (bytes[0] ?? 0) >> 4
  const found = version === 4 ? readIpv4(bytes) : version === 6 ? readIpv6(bytes) : undefined
  if (!found || depth >= DEEPEST) return [broken(version === 6 ? 'IPv6' : 'IPv4', bytes)]
  const { ip, payload } = found
  // a later fragment has no header of what is inside
  return ip.fragment && ip.fragment.offset > 0 ? [ip] : [ip, ...decodeProtocol(ip, payload, depth)]
}

interface Opened {
  readonly ip: Ip
  readonly payload: Uint8Array
}

/** RFC 791. */
function readIpv4(bytes: Uint8Array): Opened | undefined {
  const header = ((bytes[0] ?? 0) & 15) * 4
  if (header < 20 || bytes.length < header) return undefined
  const view = viewOf(bytes)
  // 0 where the network card is left to cut a long segment into packets
  const total = view.getUint16(2) || bytes.length
  if (total < header) return undefined
  const place = view.getUint16(6)
  const [offset, isLast] = [(place & 0x1fff) * 8, (place & 0x2000) === 0]
  const ip: Ip = {
    layer: 'ip',
    family: 4,
    source: formatAddress(bytes.subarray(12, 16)),
    destination: formatAddress(bytes.subarray(16, 20)),
    protocol: view.getUint8(9),
    ttl: view.getUint8(8),
    length: total - header,
    tos: view.getUint8(1),
    id: view.getUint16(4),
    dontFragment: (place & 0x4000) !== 0,
    ...(offset > 0 || !isLast ? { fragment: { offset, isLast } } : {}),
  }
  // Ethernet pads short packets
  return { ip, payload: bytes.subarray(header, total) }
}

const HOP_BY_HOP = 0
const ROUTING = 43
const FRAGMENT = 44
const DESTINATION_OPTIONS = 60

/** RFC 8200, with the extension headers that it defines. */
function readIpv6(bytes: Uint8Array): Opened | undefined {
  if (bytes.length < 40) return undefined
  const view = viewOf(bytes)
  const end = 40 + (view.getUint16(4) || bytes.length - 40)
  let protocol = view.getUint8(6)
  let at = 40
  let fragment: { id: number; fragment: NonNullable<Ip['fragment']> } | undefined
  while ([HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS].includes(protocol) && at + 8 <= bytes.length) {
    const next = view.getUint8(at)
    if (protocol === FRAGMENT) {
      const place = view.getUint16(at + 2)
      const where = { offset: place & 0xfff8, isLast: (place & 1) === 0 }
      fragment = { id: view.getUint32(at + 4), fragment: where }
      at += 8
    } else at += (view.getUint8(at + 1) + 1) * 8
    protocol = next
    if (fragment && fragment.fragment.offset > 0) break
  }
  const ip: Ip = {
    layer: 'ip',
    family: 6,
    source: formatAddress(bytes.subarray(8, 24)),
    destination: formatAddress(bytes.subarray(24, 40)),
    protocol,
    ttl: view.getUint8(7),
    length: Math.max(0, end - at),
    tos: (view.getUint16(0) >> 4) & 0xff,
    ...fragment,
  }
  return { ip, payload: bytes.subarray(at, Math.max(at, end)) }
}

function decodeProtocol(ip: Ip, payload: Uint8Array, depth: number): Layer[] {
  switch (ip.protocol) {
    case 1:
    case 58:
      return [decodeIcmp(ip.protocol === 1 ? 4 : 6, payload, (quoted) => decodeIp(quoted, depth + 1))]
    case 4:
    case 41:
      return decodeIp(payload, depth + 1)
    case 6:
      return [decodeTcp(payload, ip.length)]
    case 17:
      return decodeUdp(payload, (frame) => (depth < DEEPEST ? decodeEthernet(frame, depth + 1) : []))
    default:
      return [other(protocolNames[ip.protocol] ?? `protocol ${ip.protocol}`, payload.length)]
  }
}
