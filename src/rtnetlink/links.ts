/** Links; rtnetlink(7), linux/if_link.h, ip-link(8). Builders are pure, lists read the kernel. */
import {
  attrs,
  type Codec,
  eachAttribute,
  type Fields,
  type Infer,
  type Message,
  mac,
  NetlinkError,
  NLM_F_CREATE,
  NLM_F_EXCL,
  nested,
  type Request,
  request,
  type Shape,
  type Socket,
  s32,
  shape,
  str,
  text,
  u8,
  u32,
  type Values,
  writeAttribute,
} from '../netlink/index.ts'
import { bridgePort, ifinfomsg, linkInfo, type macvlanModes, slaveInfo } from './kinds.ts'

const RTM_NEWLINK = 16
const RTM_DELLINK = 17
const RTM_GETLINK = 18

const IFF_UP = 1
const IFF_LOWER_UP = 0x10000
/** no statistics in the answer: RTEXT_FILTER_SKIP_STATS */
const SKIP_STATS = 8

/** IFLA_LINKINFO holds what the kind says of the link, and what its master's kind says of it as a port. */
const KIND = { info: linkInfo, slave: slaveInfo }
const linkInfoPair: Codec<{ info?: Infer<typeof linkInfo>; slave?: Infer<typeof slaveInfo> }> = {
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

/** IFLA_AF_SPEC of a link that is changed: only the IPv6 address generation mode is ours to set. */
const AF_INET6 = 10
const addrGenModes = { eui64: 0, none: 1, stableSecret: 2, random: 3 } as const
const afSpec: Codec<keyof typeof addrGenModes> = {
  encode: (mode, to) => {
    writeAttribute(to, AF_INET6, () => writeAttribute(to, 8, () => to.u8(addrGenModes[mode])))
  },
  decode: (from) => {
    let mode: keyof typeof addrGenModes = 'eui64'
    eachAttribute(from, (family, inner) => {
      if (family !== AF_INET6) return
      eachAttribute(inner, (type, value) => {
        const found = Object.entries(addrGenModes).find(([, number]) => type === 8 && number === value.u8())
        if (found) mode = found[0] as keyof typeof addrGenModes
      })
    })
    return mode
  },
}

export const linkAttrs = attrs({
  mac: [1, mac],
  broadcast: [2, mac],
  ifname: [3, str],
  mtu: [4, u32],
  link: [5, u32],
  qdisc: [6, str],
  master: [10, u32],
  txqlen: [13, u32],
  operstate: [16, u8],
  linkmode: [17, u8],
  linkinfo: [18, linkInfoPair],
  netnsPid: [19, u32],
  alias: [20, text],
  afSpec: [26, nested(afSpec)],
  group: [27, u32],
  netnsFd: [28, u32],
  extMask: [29, u32],
  promiscuity: [30, u32],
  numTxQueues: [31, u32],
  numRxQueues: [32, u32],
  carrier: [33, u8],
  linkNetnsid: [37, s32],
  minMtu: [50, u32],
  maxMtu: [51, u32],
})
/** A bridge port's options go in IFLA_PROTINFO of a message of family bridge. */
const portAttrs = attrs({ protinfo: [12, nested(bridgePort)] })
export const linkShape = shape(ifinfomsg, linkAttrs)
type LinkHeader = typeof linkShape extends Shape<infer S, infer _> ? S : never
const portShape = shape(ifinfomsg, portAttrs)

export type Target = { readonly index: number } | { readonly name: string }

type BridgeOptions = Extract<Infer<typeof linkInfo>, { kind: 'bridge' }>['data']

export type LinkSpec =
  | { readonly kind: 'bridge'; readonly options?: BridgeOptions }
  | {
      readonly kind: 'veth'
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
  | {
      readonly kind: 'vxlan'
      readonly id: number
      readonly remote?: string
      readonly local?: string
      /** index of the underlying device */
      readonly dev?: number
      /** UDP */
      readonly port: number
    }
  | { readonly kind: 'macvlan'; readonly parent: number; readonly mode: keyof typeof macvlanModes }
  | { readonly kind: 'ifb' | 'dummy' }

export interface NewLink {
  readonly name: string
  /** the kernel chooses when left out */
  readonly index?: number
  readonly link: LinkSpec
  readonly mac?: string
  /** bytes */
  readonly mtu?: number
  /** index of the bridge to join */
  readonly master?: number
  readonly group?: number
  readonly up?: boolean
  /** open descriptor of the namespace to make it in */
  readonly netns?: number
}

function upFlags(up: boolean | undefined): { flags: number; change: number } {
  return up === undefined ? { flags: 0, change: 0 } : { flags: up ? IFF_UP : 0, change: IFF_UP }
}

const isIpv6 = (address: string | undefined): boolean => address?.includes(':') ?? false

/** What a kind asks for in the message: its info, and the device it rests on (IFLA_LINK). */
function kindInfo(spec: LinkSpec): { info: Infer<typeof linkInfo>; lower?: number } {
  switch (spec.kind) {
    case 'bridge':
      return { info: spec.options ? { kind: 'bridge', data: spec.options } : { kind: 'bridge' } }
    case 'veth': {
      const { name, index = 0, mac, mtu, group, netns } = spec.peer
      const peer = { mac, ifname: name, mtu, group, netnsFd: netns }
      return { info: { kind: 'veth', data: { peer: { header: { index }, attrs: definedOnly(peer) } } } }
    }
    case 'vxlan': {
      const { id, dev, local, remote, port } = spec
      const data = {
        id,
        [isIpv6(remote) ? 'group6' : 'group']: remote,
        [isIpv6(local) ? 'local6' : 'local']: local,
        link: dev,
        port,
      }
      return { info: { kind: 'vxlan', data: definedOnly(data) } }
    }
    case 'macvlan':
      return { info: { kind: 'macvlan', data: { mode: spec.mode } }, lower: spec.parent }
    case 'ifb':
      return { info: { kind: 'ifb' } }
    case 'dummy':
      return { info: { kind: 'dummy' } }
  }
}

/** Attribute tables take absent values, not undefined ones. */
function definedOnly<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, v]) => v !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}

/**
 * Makes a link. A veth comes with both ends in their namespaces, named and addressed, the near end enslaved and up, by
 * one message. The far end must be brought up by another: the kernel configures the peer before it knows its partner,
 * and opening it then fails with ENOTCONN (veth_newlink, veth_open in drivers/net/veth.c).
 * The kernel ignores IFLA_IFALIAS here: only the group marks a link from its first moment.
 */
export function addLink({ name, index = 0, link, mac, mtu, master, group, up, netns }: NewLink): Request {
  const { info, lower } = kindInfo(link)
  const values = { mac, ifname: name, mtu, link: lower, master, group, netnsFd: netns, linkinfo: { info } }
  return request(
    RTM_NEWLINK,
    NLM_F_CREATE | NLM_F_EXCL,
    linkShape,
    { index, ...upFlags(up || undefined) },
    definedOnly(values),
  )
}

export interface LinkChanges {
  readonly up?: boolean
  readonly name?: string
  readonly mac?: string
  readonly mtu?: number
  /** index of a bridge; 0 leaves it */
  readonly master?: number
  readonly alias?: string
  readonly group?: number
  readonly netns?: number
  readonly txqlen?: number
  readonly addrGenMode?: keyof typeof addrGenModes
}

function addressed(target: Target): { header: { index: number }; attributes: Values<typeof linkAttrs.fields> } {
  return 'index' in target
    ? { header: { index: target.index }, attributes: {} }
    : { header: { index: 0 }, attributes: { ifname: target.name } }
}

/** Changes a link. A new name needs the target's index. */
export function setLink(target: Target, changes: LinkChanges): Request {
  const { header, attributes } = addressed(target)
  const { up, name, mac, mtu, master, alias, group, netns, txqlen, addrGenMode } = changes
  const values = { ifname: name, mac, mtu, master, alias, group, netnsFd: netns, txqlen, afSpec: addrGenMode }
  return request(RTM_NEWLINK, 0, linkShape, { ...header, ...upFlags(up) }, { ...attributes, ...definedOnly(values) })
}

/** Changes options of a bridge port: hairpin, isolated, learning, … (bridge-link(8)). */
export function setBridgePort(index: number, options: Infer<typeof bridgePort>): Request {
  return request(RTM_NEWLINK, 0, portShape, { family: 7, index }, { protinfo: options })
}

/** Removes a link, or at once every link of a group. */
export function deleteLink(target: Target | { readonly group: number }): Request {
  if ('group' in target) return request(RTM_DELLINK, 0, linkShape, {}, { group: target.group })
  const { header, attributes } = addressed(target)
  return request(RTM_DELLINK, 0, linkShape, header, attributes)
}

const flagNames = {
  UP: IFF_UP,
  BROADCAST: 2,
  LOOPBACK: 8,
  POINTOPOINT: 0x10,
  RUNNING: 0x40,
  NOARP: 0x80,
  PROMISC: 0x100,
  ALLMULTI: 0x200,
  MULTICAST: 0x1000,
  LOWER_UP: IFF_LOWER_UP,
} as const

const operstates = ['unknown', 'notpresent', 'down', 'lowerlayerdown', 'testing', 'dormant', 'up'] as const

export interface Link {
  readonly index: number
  readonly name: string
  /** `veth`, `bridge`, …; absent for physical devices and loopback */
  readonly kind?: string
  readonly mac?: string
  /** bytes */
  readonly mtu: number
  readonly isUp: boolean
  readonly hasCarrier: boolean
  readonly operstate: (typeof operstates)[number]
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
  readonly minMtu: number
  readonly maxMtu: number
  readonly info?: Infer<typeof linkInfo>
  readonly slave?: Infer<typeof slaveInfo>
}

type KindData<K extends string> =
  Extract<Infer<typeof linkInfo>, { kind: K; data?: unknown }> extends { data?: infer D } ? D : never

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
      master: a.master,
      alias: a.alias,
      link: a.link,
      linkNetnsid: a.linkNetnsid,
      qdisc: a.qdisc,
      info,
      slave: a.linkinfo?.slave,
    }),
    mtu: a.mtu ?? 0,
    isUp: (header.flags & IFF_UP) !== 0,
    hasCarrier: (header.flags & IFF_LOWER_UP) !== 0,
    operstate: operstates[a.operstate ?? 0] ?? 'unknown',
    flags: Object.entries(flagNames).flatMap(([name, bit]) => (header.flags & bit ? [name] : [])),
    group: a.group ?? 0,
    txqlen: a.txqlen ?? 0,
    promiscuity: a.promiscuity ?? 0,
    minMtu: a.minMtu ?? 0,
    maxMtu: a.maxMtu ?? 0,
  }
}

interface LinkMessage {
  readonly header: { readonly index: number; readonly flags: number }
  readonly attrs: Values<typeof linkAttrs.fields>
}

export function allLinks(): Request {
  return request(RTM_GETLINK, 0, linkShape, {}, { extMask: SKIP_STATS })
}

/** Every link of the socket's namespace, by index. */
export function listLinks(socket: Socket): Link[] {
  return socket.dump(allLinks(), linkShape).map(readLink)
}

/** One link, or undefined when there is none of that name or index. */
export function getLink(socket: Socket, target: Target): Link | undefined {
  const answer = askForLink(socket, target, linkShape)
  return answer && readLink(answer)
}

/** The answer about one link, of which `as` decodes what it knows. */
export function askForLink<F extends Fields>(
  socket: Socket,
  target: Target,
  as: Shape<LinkHeader, F>,
): Message<LinkHeader, F> | undefined {
  const { header, attributes } = addressed(target)
  try {
    return socket.get(request(RTM_GETLINK, 0, linkShape, header, { ...attributes, extMask: SKIP_STATS }), as)
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ENODEV') return undefined
    throw error
  }
}
