/**
 * The kinds of links: what each says of itself in IFLA_INFO_DATA and of its ports in IFLA_INFO_SLAVE_DATA, and what is
 * told to the kernel to make one; linux/if_link.h, ip-link(8). A kind is one line in each of two tables.
 */
import {
  attrs,
  be16,
  be32,
  type Codec,
  codec,
  decodeBody,
  flag,
  type Infer,
  ip,
  list,
  mac,
  named,
  type StructValue,
  s32,
  shape,
  str,
  struct,
  tagged,
  u8,
  u16,
  u32,
} from '../netlink/index.ts'
import { bridge, bridgePort } from './bridge.ts'

const ifinfomsgFields = { family: 'u8', _pad: 'u8', type: 'u16', index: 's32', flags: 'u32', change: 'u32' } as const
export const ifinfomsg = struct(ifinfomsgFields)

/** struct ifla_vxlan_port_range: source ports, in network byte order */
const portRange: Codec<{ low: number; high: number }> = codec(
  ({ low, high }, to) => {
    to.u16(low, false)
    to.u16(high, false)
  },
  (from) => ({ low: from.u16(0, false), high: from.u16(2, false) }),
)

/** `ageing` is in seconds, `limit` in entries of the forwarding database. */
const vxlan = attrs({
  id: [1, u32],
  group: [2, ip],
  link: [3, u32],
  local: [4, ip],
  ttl: [5, u8],
  tos: [6, u8],
  learning: [7, u8],
  ageing: [8, u32],
  limit: [9, u32],
  portRange: [10, portRange],
  proxy: [11, u8],
  rsc: [12, u8],
  l2miss: [13, u8],
  l3miss: [14, u8],
  port: [15, be16],
  group6: [16, ip],
  local6: [17, ip],
  udpChecksum: [18, u8],
  udpZeroChecksum6Tx: [19, u8],
  udpZeroChecksum6Rx: [20, u8],
  remoteChecksumTx: [21, u8],
  remoteChecksumRx: [22, u8],
  gbp: [23, flag],
  remoteChecksumNoPartial: [24, flag],
  collectMetadata: [25, u8],
  label: [26, be32],
  gpe: [27, flag],
  ttlInherit: [28, u8],
  df: [29, named(u8, { unset: 0, set: 1, inherit: 2 })],
  vniFilter: [30, u8],
})

export const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8, source: 16 } as const
const macvlan = attrs({
  mode: [1, named(u32, macvlanModes)],
  flags: [2, u16],
  macaddrMode: [3, u32],
  macaddr: [4, mac],
  macaddrData: [5, list(mac, 4)],
  macaddrCount: [6, u32],
  broadcastQueueLength: [7, u32],
  broadcastQueueLengthUsed: [8, u32],
  broadcastCutoff: [9, s32],
})

const tun = attrs({
  owner: [1, u32],
  group: [2, u32],
  type: [3, named(u8, { tun: 1, tap: 2 })],
  pi: [4, u8],
  vnetHdr: [5, u8],
  persist: [6, u8],
  multiQueue: [7, u8],
  numQueues: [8, u32],
  numDisabledQueues: [9, u32],
})

/** The peer of a veth is a link message of its own inside the attribute. */
const peerAttrs = attrs({ mac: [1, mac], ifname: [3, str], mtu: [4, u32], group: [27, u32], netnsFd: [28, u32] })
const peerShape = shape(ifinfomsg, peerAttrs)
type Peer = Partial<StructValue<typeof ifinfomsgFields>>
const peerCodec: Codec<{ header: Peer; attrs: Parameters<typeof peerAttrs.encode>[0] }> = {
  encode: (value, to) => {
    peerShape.header.encode(value.header, to)
    peerShape.table.encode(value.attrs, to)
  },
  decode: (from) => decodeBody(peerShape, from),
}
const veth = attrs({ peer: [1, peerCodec] })

export const linkInfo = tagged(
  { bridge, veth, vxlan, macvlan, tun, ifb: attrs({}), dummy: attrs({}), macvtap: macvlan },
  { kind: 1, data: 2 },
)
export type LinkInfo = Infer<typeof linkInfo>

export const slaveInfo = tagged({ bridge: bridgePort }, { kind: 4, data: 5 })

interface Specs {
  readonly bridge: { readonly options?: Infer<typeof bridge> }
  readonly veth: {
    /** the other end; `netns` is an open descriptor */
    readonly peer: {
      readonly name: string
      /** the kernel chooses when left out */
      readonly index?: number
      readonly mac?: string
      readonly mtu?: number
      readonly group?: number
      readonly netns?: number
    }
  }
  readonly vxlan: {
    readonly id: number
    readonly remote?: string
    readonly local?: string
    /** index of the underlying device */
    readonly dev?: number
    /** UDP */
    readonly port: number
    readonly options?: Omit<Infer<typeof vxlan>, 'id' | 'group' | 'group6' | 'local' | 'local6' | 'link' | 'port'>
  }
  readonly macvlan: {
    readonly parent: number
    readonly mode: keyof typeof macvlanModes
    readonly options?: Omit<Infer<typeof macvlan>, 'mode'>
  }
  readonly ifb: object
  readonly dummy: object
}

/** A kind that rtnetlink makes. A tap is not among them: see tap.ts. */
export type LinkSpec = { [K in keyof Specs]: { readonly kind: K } & Specs[K] }[keyof Specs]

/** What a kind asks for in the message: its info, and the device it rests on (IFLA_LINK). */
interface Asked {
  readonly info: LinkInfo
  readonly lower?: number
}

const isIpv6 = (address: string | undefined): boolean => address?.includes(':') ?? false

const ask: { readonly [K in keyof Specs]: (spec: Specs[K]) => Asked } = {
  bridge: ({ options }) => ({ info: options ? { kind: 'bridge', data: options } : { kind: 'bridge' } }),
  veth: ({ peer: { name, index = 0, mac, mtu, group, netns } }) => ({
    info: {
      kind: 'veth',
      data: { peer: { header: { index }, attrs: definedOnly({ mac, ifname: name, mtu, group, netnsFd: netns }) } },
    },
  }),
  vxlan: ({ id, dev, local, remote, port, options }) => {
    const data = {
      id,
      [isIpv6(remote) ? 'group6' : 'group']: remote,
      [isIpv6(local) ? 'local6' : 'local']: local,
      link: dev,
      ...options,
      port,
    }
    return { info: { kind: 'vxlan', data: definedOnly(data) } }
  },
  macvlan: ({ parent, mode, options }) => ({ info: { kind: 'macvlan', data: { mode, ...options } }, lower: parent }),
  ifb: () => ({ info: { kind: 'ifb' } }),
  dummy: () => ({ info: { kind: 'dummy' } }),
}

export function askFor<K extends keyof Specs>(spec: { readonly kind: K } & Specs[K]): Asked {
  return ask[spec.kind](spec)
}

/** Attribute tables take absent values, not undefined ones. */
export function definedOnly<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, v]) => v !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}
