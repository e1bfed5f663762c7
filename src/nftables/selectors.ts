/** What a rule can look at: header fields, metadata, connection tracking. Numbers from linux/netfilter/nf_tables.h. Pure. */
import { CompileError, type DataType, type TypeName, typeOf } from './datatypes.ts'
import type { Selector } from './expression.ts'

export type Layer = 'll' | 'nh' | 'th'

/** NFT_PAYLOAD_*_HEADER */
export const layerNumbers: Readonly<Record<Layer, number>> = { ll: 0, nh: 1, th: 2 }

export interface Field {
  /** bytes from the start of the header */
  readonly offset: number
  readonly type: TypeName
  /** nft's number of the field within its header, for the notes on sets; 0 for none */
  readonly note?: number
  /** loaded bytes where a field is narrower than them: the mask that keeps it and the shift down to it */
  readonly bits?: { readonly bytes: number; readonly mask: number; readonly shift: number }
}

export interface Protocol {
  readonly layer: Layer
  /** nft's number of the header, for the notes on sets */
  readonly note?: number
  /** must be known of the packet before its header is read */
  readonly needs?: Readonly<{ network?: 'ip' | 'ip6' | 'arp'; transport?: number; link?: 'ether' }>
  readonly fields: Readonly<Record<string, Field>>
}

const at = (offset: number, type: TypeName, note = 0): Field => ({ offset, type, note })
const part = (offset: number, type: TypeName, bytes: number, mask: number, shift: number): Field => ({
  offset,
  type,
  bits: { bytes, mask, shift },
})
const ports = { sport: at(0, 'inet_service', 1), dport: at(2, 'inet_service', 2) }

export const protocols: Readonly<Record<string, Protocol>> = {
  ether: {
    layer: 'll',
    note: 17,
    needs: { link: 'ether' },
    fields: { daddr: at(0, 'ether_addr', 1), saddr: at(6, 'ether_addr', 2), type: at(12, 'ether_type', 3) },
  },
  arp: {
    layer: 'nh',
    needs: { network: 'arp' },
    fields: {
      htype: at(0, 'u16'),
      ptype: at(2, 'ether_type'),
      hlen: at(4, 'u8'),
      plen: at(5, 'u8'),
      operation: at(6, 'arp_op'),
      'saddr ether': at(8, 'ether_addr'),
      'saddr ip': at(14, 'ipv4_addr'),
      'daddr ether': at(18, 'ether_addr'),
      'daddr ip': at(24, 'ipv4_addr'),
    },
  },
  ip: {
    layer: 'nh',
    note: 12,
    needs: { network: 'ip' },
    fields: {
      version: part(0, 'u8', 1, 0xf0, 4),
      dscp: part(1, 'dscp', 1, 0xfc, 2),
      ecn: part(1, 'ecn', 1, 3, 0),
      length: at(2, 'u16', 5),
      id: at(4, 'u16', 6),
      'frag-off': at(6, 'u16', 7),
      ttl: at(8, 'u8', 8),
      protocol: at(9, 'inet_proto', 9),
      checksum: at(10, 'u16', 10),
      saddr: at(12, 'ipv4_addr', 11),
      daddr: at(16, 'ipv4_addr', 12),
    },
  },
  ip6: {
    layer: 'nh',
    note: 13,
    needs: { network: 'ip6' },
    fields: {
      dscp: part(0, 'dscp', 2, 0x0fc0, 6),
      length: at(4, 'u16', 5),
      nexthdr: at(6, 'inet_proto', 6),
      hoplimit: at(7, 'u8', 7),
      saddr: at(8, 'ipv6_addr', 8),
      daddr: at(24, 'ipv6_addr', 9),
    },
  },
  icmp: {
    layer: 'th',
    note: 4,
    needs: { network: 'ip', transport: 1 },
    fields: {
      type: at(0, 'icmp_type', 1),
      code: at(1, 'icmp_code', 2),
      checksum: at(2, 'u16', 3),
    },
  },
  icmpv6: {
    layer: 'th',
    note: 14,
    needs: { network: 'ip6', transport: 58 },
    fields: {
      type: at(0, 'icmpv6_type', 1),
      code: at(1, 'icmpv6_code', 2),
      checksum: at(2, 'u16', 3),
    },
  },
  tcp: {
    layer: 'th',
    note: 8,
    needs: { transport: 6 },
    fields: {
      ...ports,
      sequence: at(4, 'u32', 3),
      ackseq: at(8, 'u32', 4),
      flags: at(13, 'tcp_flag', 7),
      window: at(14, 'u16', 8),
      checksum: at(16, 'u16', 9),
      urgptr: at(18, 'u16', 10),
    },
  },
  udp: {
    layer: 'th',
    note: 6,
    needs: { transport: 17 },
    fields: { ...ports, length: at(4, 'u16', 3), checksum: at(6, 'u16', 4) },
  },
  udplite: { layer: 'th', note: 7, needs: { transport: 136 }, fields: { ...ports, checksum: at(6, 'u16', 4) } },
  sctp: {
    layer: 'th',
    note: 10,
    needs: { transport: 132 },
    fields: { ...ports, vtag: at(4, 'u32', 3), checksum: at(8, 'u32', 4) },
  },
  dccp: { layer: 'th', note: 9, needs: { transport: 33 }, fields: ports },
  esp: { layer: 'th', note: 2, needs: { transport: 50 }, fields: { spi: at(0, 'u32', 1), sequence: at(4, 'u32', 2) } },
  ah: { layer: 'th', note: 1, needs: { transport: 51 }, fields: { spi: at(4, 'u32', 4), sequence: at(8, 'u32', 5) } },
  /** the ports of any transport that has them first */
  th: { layer: 'th', note: 11, fields: ports },
}

type Keys = Readonly<Record<string, readonly [number: number, type: TypeName]>>

/** NFT_META_* */
export const metaKeys: Keys = {
  length: [0, 'host32'],
  protocol: [1, 'ether_type'],
  priority: [2, 'classid'],
  mark: [3, 'mark'],
  iif: [4, 'iface_index'],
  oif: [5, 'iface_index'],
  iifname: [6, 'ifname'],
  oifname: [7, 'ifname'],
  iiftype: [8, 'iface_type'],
  oiftype: [9, 'iface_type'],
  skuid: [10, 'uid'],
  skgid: [11, 'gid'],
  nftrace: [12, 'u8'],
  rtclassid: [13, 'realm'],
  nfproto: [15, 'nf_proto'],
  l4proto: [16, 'inet_proto'],
  ibrname: [17, 'ifname'],
  obrname: [18, 'ifname'],
  pkttype: [19, 'pkt_type'],
  cpu: [20, 'host32'],
  iifgroup: [21, 'devgroup'],
  oifgroup: [22, 'devgroup'],
  cgroup: [23, 'host32'],
  random: [24, 'host32'],
  iifkind: [26, 'ifname'],
  oifkind: [27, 'ifname'],
  sdif: [33, 'iface_index'],
  sdifname: [34, 'ifname'],
}

/** NFT_CT_* */
export const ctKeys: Keys = {
  state: [0, 'ct_state'],
  direction: [1, 'ct_dir'],
  status: [2, 'ct_status'],
  mark: [3, 'mark'],
  l3proto: [7, 'nf_proto'],
  protocol: [10, 'inet_proto'],
  'proto-src': [11, 'inet_service'],
  'proto-dst': [12, 'inet_service'],
  packets: [14, 'host64'],
  bytes: [15, 'host64'],
  avgpkt: [16, 'host64'],
  zone: [17, 'host16'],
  'ip saddr': [19, 'ipv4_addr'],
  'ip daddr': [20, 'ipv4_addr'],
  'ip6 saddr': [21, 'ipv6_addr'],
  'ip6 daddr': [22, 'ipv6_addr'],
}

export const rtKeys: Keys = {
  classid: [0, 'realm'],
  'ip nexthop': [1, 'ipv4_addr'],
  'ip6 nexthop': [2, 'ipv6_addr'],
  mtu: [3, 'host16'],
}

export const socketKeys: Keys = { transparent: [0, 'u8'], mark: [1, 'mark'], wildcard: [2, 'u8'] }

/** NFTA_FIB_F_* */
export const fibFlags = { saddr: 1, daddr: 2, mark: 4, iif: 8, oif: 16 } as const
const FIB_PRESENT = 32
/** NFT_FIB_RESULT_*, extra flag, type */
export const fibResults = {
  type: [3, 0, 'fib_addrtype'],
  oif: [1, 0, 'iface_index'],
  oifname: [2, 0, 'ifname'],
  check: [1, FIB_PRESENT, 'boolean'],
} as const satisfies Record<string, readonly [number, number, TypeName]>

export function findKey(keys: Keys, name: string, what: string): readonly [number: number, type: TypeName] {
  const found = Object.hasOwn(keys, name) ? keys[name] : undefined
  if (!found) throw new CompileError(`${what} has no ${JSON.stringify(name)}`)
  return found
}

/** The name of a key by its number. */
export function keyByNumber(keys: Keys, number: number): string | undefined {
  return Object.keys(keys).find((name) => keys[name]?.[0] === number)
}

export function findProtocol(name: string): Protocol {
  const found = Object.hasOwn(protocols, name) ? protocols[name] : undefined
  if (!found) throw new CompileError(`no protocol ${JSON.stringify(name)}`)
  return found
}

export function findField(selector: Extract<Selector, { kind: 'payload' }>): Field {
  const { fields } = findProtocol(selector.protocol)
  const found = Object.hasOwn(fields, selector.field) ? fields[selector.field] : undefined
  if (!found) throw new CompileError(`${selector.protocol} has no field ${JSON.stringify(selector.field)}`)
  return found
}

/** The types of the value that a selector gives: one, or the parts of a concatenation. Throws CompileError. */
export function typesOf(selector: Selector): TypeName[] {
  switch (selector.kind) {
    case 'payload':
      return [findField(selector).type]
    case 'raw': {
      const name = ({ 8: 'u8', 16: 'u16', 32: 'u32', 48: 'ether_addr', 128: 'ipv6_addr' } as const)[selector.length]
      if (!name) throw new CompileError(`a raw payload of ${selector.length} bits`)
      return [name]
    }
    case 'meta':
      return [findKey(metaKeys, selector.key, 'meta')[1]]
    case 'ct':
      return [findKey(ctKeys, selector.key, 'ct')[1]]
    case 'rt':
      return [findKey(rtKeys, selector.key, 'rt')[1]]
    case 'socket':
      return [findKey(socketKeys, selector.key, 'socket')[1]]
    case 'fib':
      return [fibResults[selector.result][2]]
    case 'numgen':
    case 'jhash':
    case 'symhash':
      return ['host32']
    case 'concat':
      return selector.of.flatMap(typesOf)
    case 'and':
      return typesOf(selector.of)
    default:
      return selector satisfies never
  }
}

export function singleType(selector: Selector): DataType {
  const [name, ...others] = typesOf(selector)
  if (!name || others.length) throw new CompileError('a concatenation cannot stand here')
  return typeOf(name)
}
