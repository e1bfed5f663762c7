/** Metadata of the packet, NFT_META_*; net/netfilter/nft_meta.c says which of it is missing where. Pure. */
import { familyNumbers } from '../../nftables/attributes.ts'
import { typeOf } from '../../nftables/datatypes.ts'
import { metaKeys } from '../../nftables/selectors.ts'
import type { PacketDevice } from '../packet.ts'
import { type Bits, hostNumber, known, networkNumber, unknownBits } from './bits.ts'
import { ETHERNET_HEADER, etherType, protocolNumbers } from './frame.ts'
import type { Run } from './run.ts'

/** `absent`: the rule does not match. */
export type Loaded = Bits | 'absent'

/** A text in a field of that length, as names are kept. */
export function textBytes(text: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  bytes.set(new TextEncoder().encode(text).subarray(0, length - 1))
  return bytes
}

const IFNAMSIZ = 16
const name = (device: PacketDevice | null | undefined): Bits => known(textBytes(device?.name ?? '', IFNAMSIZ))
const index = (device: PacketDevice | undefined): Bits => known(hostNumber(device?.index ?? 0, 4))

/** ARPHRD_*, linux/if_arp.h */
const ETHER = 1
const LOOPBACK = 772
const NONE = 65534
/** Kinds of links that have no link-layer header */
const headless: ReadonlySet<string> = new Set(['tun', 'wireguard', 'ipip', 'sit', 'gre', 'ip6tnl', 'vti', 'xfrm'])

/** Undefined where the kind does not tell. */
function hardwareType({ name: called, kind, mac }: PacketDevice): number | undefined {
  if (called === 'lo') return LOOPBACK
  if (mac !== undefined && !(kind !== undefined && headless.has(kind))) return ETHER
  return kind === 'wireguard' ? NONE : undefined
}

function type(device: PacketDevice | undefined): Loaded {
  if (!device) return 'absent'
  const number = hardwareType(device)
  return number === undefined ? unknownBits(2) : known(hostNumber(number, 2))
}

const kind = (device: PacketDevice | undefined): Loaded =>
  device?.kind === undefined ? 'absent' : known(textBytes(device.kind, IFNAMSIZ))

const group = (device: PacketDevice | undefined): Loaded => (device ? known(hostNumber(device.group, 4)) : 'absent')

/** The socket that sent or will get the packet: a packet that is passed on has none. */
function ofSocket({ packet, point }: Run): Loaded {
  const isPassedOn = point.hook === 'forward' || point.hook === 'prerouting' || point.hook === 'ingress'
  return isPassedOn || (point.hook === 'postrouting' && packet.in) ? 'absent' : unknownBits(4)
}

/** PACKET_HOST, _BROADCAST, _MULTICAST; undefined where a bridge may pass on what is for others. */
export function packetType({ packet, point, world }: Run): number | undefined {
  const { destination, destinationMac } = packet
  if (destination.startsWith('ff') || /^2(2[4-9]|3\d)\./.test(destination)) return 2
  if (destination === '255.255.255.255' || destinationMac === 'ff:ff:ff:ff:ff:ff') return 1
  if (point.family === 'bridge' || point.family === 'netdev') return undefined
  if (point.hook === 'output' || packet.family === 6) return 0
  const seen = world.addressType(destination, packet.in)
  return seen === undefined ? undefined : seen === 'broadcast' ? 1 : 0
}

const protocolFamily = ({ point, packet }: Run): number =>
  point.family === 'netdev' || point.family === 'bridge' || point.family === 'arp'
    ? familyNumbers[point.family]
    : familyNumbers[packet.family === 4 ? 'ip' : 'ip6']

function number(value: number | undefined, length: 1 | 2 | 4): Bits {
  return value === undefined ? unknownBits(length) : known(hostNumber(value, length))
}

/** The bridge that a port belongs to, in the family `bridge`. */
function bridgeName(run: Run, device: PacketDevice | undefined): Loaded {
  const bridge = device && run.world.bridgeOf?.(device)
  return bridge === undefined ? unknownBits(IFNAMSIZ) : bridge === null ? 'absent' : name(bridge)
}

const loaders: Readonly<Record<string, (run: Run) => Loaded>> = {
  // egress has the link-layer header in it already
  length: ({ packet, point }) => number(packet.length + (point.hook === 'egress' ? ETHERNET_HEADER : 0), 4),
  protocol: ({ packet }) => known(networkNumber(etherType(packet), 2)),
  mark: ({ packet }) => known(hostNumber(packet.mark, 4)),
  iif: ({ packet }) => index(packet.in),
  oif: ({ packet }) => index(packet.out),
  iifname: ({ packet }) => name(packet.in),
  oifname: ({ packet }) => name(packet.out),
  // that of the device that the packet is at by now, which is the other one once it leaves
  iiftype: ({ packet, point }) => type(point.hook === 'postrouting' ? packet.out : packet.in),
  oiftype: ({ packet }) => type(packet.out),
  iifkind: ({ packet }) => kind(packet.in),
  oifkind: ({ packet }) => kind(packet.out),
  iifgroup: ({ packet }) => group(packet.in),
  oifgroup: ({ packet }) => group(packet.out),
  skuid: ofSocket,
  skgid: ofSocket,
  cgroup: ofSocket,
  nfproto: (run) => number(protocolFamily(run), 1),
  l4proto: ({ packet }) => number(protocolNumbers[packet.protocol], 1),
  pkttype: (run) => number(packetType(run), 1),
  ibrname: (run) => bridgeName(run, run.packet.in),
  obrname: (run) => bridgeName(run, run.packet.out),
}

const byNumber = new Map(Object.entries(metaKeys).map(([called, [key]]) => [key, called]))

/** The name of a key, for messages. */
export function metaName(key: number | undefined): string {
  return `meta ${(key !== undefined && byNumber.get(key)) || `key ${key}`}`
}

/** NFT_META_TIME_NS, the one key without a name here that is wider than 4 bytes */
const TIME = 30

/** What has no loader is unknown. */
export function loadMeta(run: Run, key: number | undefined): Loaded {
  const called = key === undefined ? undefined : byNumber.get(key)
  if (called === undefined) return unknownBits(key === TIME ? 8 : 4)
  const loader = Object.hasOwn(loaders, called) ? loaders[called] : undefined
  return loader ? loader(run) : unknownBits(typeOf(metaKeys[called]?.[1] ?? 'u32').bytes)
}
