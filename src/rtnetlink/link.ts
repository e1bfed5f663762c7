/** A link as the kernel tells of it; linux/if_link.h, ip-link(8). */
import {
  attrs,
  type Codec,
  eachAttribute,
  type Infer,
  mac,
  named,
  s32,
  shape,
  str,
  text,
  u8,
  u32,
  type Values,
} from '../netlink/index.ts'
import { definedOnly, ifinfomsg, type LinkInfo, linkInfo, slaveInfo } from './kinds.ts'

export const IFF_UP = 1
const IFF_LOWER_UP = 0x10000

/** IFLA_LINKINFO holds what the kind says of the link, and what its master's kind says of it as a port. */
const KIND = { info: linkInfo, slave: slaveInfo }
const linkInfoPair: Codec<{ info?: LinkInfo; slave?: Infer<typeof slaveInfo> }> = {
  encode: (value, to) => {
    if (value.info) KIND.info.encode(value.info, to)
    if (value.slave) KIND.slave.encode(value.slave, to)
  },
  decode: (from) => {
    const present = new Set<number>()
    eachAttribute(from, (type) => present.add(type))
    return {
      ...(present.has(1) ? { info: KIND.info.decode(from) } : {}),
      ...(present.has(4) ? { slave: KIND.slave.decode(from) } : {}),
    }
  },
}

/** Of IFLA_AF_SPEC only the IPv6 address generation mode is ours. */
const addrGenModes = { eui64: 0, none: 1, stable_secret: 2, random: 3 } as const
export type AddrGenMode = keyof typeof addrGenModes
const inet6 = attrs({ addrGenMode: [8, named(u8, addrGenModes)] })
const afSpec = attrs({ inet6: [10, inet6] })

/** IFLA_OPERSTATE; RFC 2863 */
const operstates = {
  unknown: 0,
  notpresent: 1,
  down: 2,
  lowerlayerdown: 3,
  testing: 4,
  dormant: 5,
  up: 6,
} as const
type Operstate = keyof typeof operstates

export const linkAttrs = attrs({
  mac: [1, mac],
  broadcast: [2, mac],
  ifname: [3, str],
  mtu: [4, u32],
  link: [5, u32],
  qdisc: [6, str],
  master: [10, u32],
  txqlen: [13, u32],
  operstate: [16, named(u8, operstates)],
  linkmode: [17, named(u8, { default: 0, dormant: 1 })],
  linkinfo: [18, linkInfoPair],
  netnsPid: [19, u32],
  alias: [20, text],
  afSpec: [26, afSpec],
  group: [27, u32],
  netnsFd: [28, u32],
  extMask: [29, u32],
  promiscuity: [30, u32],
  numTxQueues: [31, u32],
  numRxQueues: [32, u32],
  carrier: [33, u8],
  linkNetnsid: [37, s32],
  targetNetnsid: [46, s32],
  gsoMaxSegs: [40, u32],
  gsoMaxSize: [41, u32],
  minMtu: [50, u32],
  maxMtu: [51, u32],
  groMaxSize: [58, u32],
  tsoMaxSize: [59, u32],
  tsoMaxSegs: [60, u32],
  allmulti: [61, u32],
})
export const linkShape = shape(ifinfomsg, linkAttrs)

/** in the order of ip(8) */
const flagNames = {
  LOOPBACK: 8,
  BROADCAST: 2,
  POINTOPOINT: 0x10,
  MULTICAST: 0x1000,
  NOARP: 0x80,
  ALLMULTI: 0x200,
  PROMISC: 0x100,
  MASTER: 0x400,
  SLAVE: 0x800,
  DEBUG: 4,
  DYNAMIC: 0x8000,
  AUTOMEDIA: 0x4000,
  PORTSEL: 0x2000,
  NOTRAILERS: 0x20,
  UP: IFF_UP,
  LOWER_UP: IFF_LOWER_UP,
  DORMANT: 0x20000,
  ECHO: 0x40000,
} as const

export interface Link {
  readonly index: number
  readonly name: string
  /** `veth`, `bridge`, …; absent for physical devices and loopback */
  readonly kind?: string
  /** ARPHRD_*: 1 is Ethernet, 772 loopback */
  readonly type: number
  readonly mac?: string
  readonly broadcast?: string
  /** bytes */
  readonly mtu: number
  readonly isUp: boolean
  readonly hasCarrier: boolean
  readonly operstate: Operstate | `#${number}`
  /** as ip(8) writes them */
  readonly flags: readonly string[]
  /** index of the bridge that it is a port of */
  readonly master?: number
  readonly group: number
  readonly alias?: string
  /** index of the peer of a veth, or of the device that it rests on */
  readonly link?: number
  /** the namespace of `link`, when it is another one */
  readonly linkNetnsid?: number
  readonly txqlen: number
  readonly qdisc?: string
  readonly promiscuity: number
  readonly allmulti: number
  readonly linkmode: 'default' | 'dormant'
  /** absent where IPv6 is off, or the MTU too small for it */
  readonly addrGenMode?: AddrGenMode
  readonly numTxQueues: number
  readonly numRxQueues: number
  readonly minMtu: number
  readonly maxMtu: number
  /** what segmentation offload may put together: bytes and segments */
  readonly gsoMaxSize: number
  readonly gsoMaxSegs: number
  readonly tsoMaxSize: number
  readonly tsoMaxSegs: number
  readonly groMaxSize: number
  readonly info?: LinkInfo
  readonly slave?: Infer<typeof slaveInfo>
}

type KindData<K extends string> = Extract<LinkInfo, { kind: K; data?: unknown }> extends { data?: infer D } ? D : never

/** What a link's kind says of it; undefined for a link of another kind. */
export function linkData<K extends 'bridge' | 'vxlan' | 'macvlan' | 'tun'>(
  link: Link,
  kind: K,
): KindData<K> | undefined {
  const { info } = link
  return info?.kind === kind && 'data' in info ? (info.data as KindData<K>) : undefined
}

/** Also for messages of the link multicast group. */
export function readLink({ header, attrs: a }: LinkMessage): Link {
  const info = a.linkinfo?.info
  return {
    index: header.index,
    name: a.ifname ?? '',
    ...definedOnly({
      kind: info?.kind as string | undefined,
      mac: a.mac,
      broadcast: a.broadcast,
      addrGenMode: a.afSpec?.inet6?.addrGenMode,
      master: a.master,
      alias: a.alias,
      link: a.link,
      linkNetnsid: a.linkNetnsid,
      qdisc: a.qdisc,
      info,
      slave: a.linkinfo?.slave,
    }),
    type: header.type,
    mtu: a.mtu ?? 0,
    isUp: (header.flags & IFF_UP) !== 0,
    hasCarrier: (header.flags & IFF_LOWER_UP) !== 0,
    operstate: a.operstate ?? 'unknown',
    flags: Object.entries(flagNames).flatMap(([name, bit]) => (header.flags & bit ? [name] : [])),
    group: a.group ?? 0,
    txqlen: a.txqlen ?? 0,
    promiscuity: a.promiscuity ?? 0,
    minMtu: a.minMtu ?? 0,
    maxMtu: a.maxMtu ?? 0,
    allmulti: a.allmulti ?? 0,
    linkmode: a.linkmode ?? 'default',
    numTxQueues: a.numTxQueues ?? 1,
    numRxQueues: a.numRxQueues ?? 1,
    gsoMaxSize: a.gsoMaxSize ?? 0,
    gsoMaxSegs: a.gsoMaxSegs ?? 0,
    tsoMaxSize: a.tsoMaxSize ?? 0,
    tsoMaxSegs: a.tsoMaxSegs ?? 0,
    groMaxSize: a.groMaxSize ?? 0,
  }
}

interface LinkMessage {
  readonly header: { readonly index: number; readonly flags: number; readonly type: number }
  readonly attrs: Values<typeof linkAttrs.fields>
}
