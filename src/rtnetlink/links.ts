/** Links; rtnetlink(7), linux/if_link.h, ip-link(8). Builders are pure, lists read the kernel. */
import {
  attrs,
  type Fields,
  type Infer,
  type Message,
  NetlinkError,
  NLM_F_CREATE,
  NLM_F_EXCL,
  nested,
  type Request,
  request,
  type Shape,
  type Socket,
  shape,
  type Values,
} from '../netlink/index.ts'
import { bridgePort } from './bridge.ts'
import { askFor, definedOnly, ifinfomsg, type LinkSpec } from './kinds.ts'
import { type AddrGenMode, IFF_UP, type Link, type linkAttrs, linkShape, readLink } from './link.ts'

const RTM_NEWLINK = 16
const RTM_DELLINK = 17
const RTM_GETLINK = 18
const RTM_SETLINK = 19

const AF_BRIDGE = 7

/** no statistics in the answer: RTEXT_FILTER_SKIP_STATS */
const SKIP_STATS = 8

/** A bridge port's options go in IFLA_PROTINFO of a message of family bridge. */
const portAttrs = attrs({ protinfo: [12, nested(bridgePort)] })
type LinkHeader = typeof linkShape extends Shape<infer S, infer _> ? S : never
const portShape = shape(ifinfomsg, portAttrs)

export type Target = { readonly index: number } | { readonly name: string }

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

/**
 * Makes a link. A veth comes with both ends in their namespaces, named and addressed, the near end enslaved and up, by
 * one message. The far end must be brought up by another: the kernel configures the peer before it knows its partner,
 * and opening it then fails with ENOTCONN (veth_newlink, veth_open in drivers/net/veth.c).
 * The kernel ignores IFLA_IFALIAS here: only the group marks a link from its first moment.
 */
export function addLink({ name, index = 0, link, mac, mtu, master, group, up, netns }: NewLink): Request {
  const { info, lower } = askFor(link)
  const values = { mac, link: lower, ifname: name, mtu, master, group, netnsFd: netns, linkinfo: { info } }
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
  readonly addrGenMode?: AddrGenMode
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
  const afSpec = addrGenMode && { inet6: { addrGenMode } }
  const values = { ifname: name, mac, mtu, master, alias, group, netnsFd: netns, txqlen, afSpec }
  return request(RTM_NEWLINK, 0, linkShape, { ...header, ...upFlags(up) }, { ...attributes, ...definedOnly(values) })
}

/** Changes options of a bridge port: hairpin, isolated, learning, … (bridge-link(8)). */
export function setBridgePort(index: number, options: Infer<typeof bridgePort>): Request {
  // the bridge has no RTM_NEWLINK: that one would be taken by the link itself, which ignores these
  return request(RTM_SETLINK, 0, portShape, { family: AF_BRIDGE, index }, { protinfo: options })
}

/** Removes a link, or at once every link of a group. */
export function deleteLink(target: Target | { readonly group: number }): Request {
  if ('group' in target) return request(RTM_DELLINK, 0, linkShape, {}, { group: target.group })
  const { header, attributes } = addressed(target)
  return request(RTM_DELLINK, 0, linkShape, header, attributes)
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

/**
 * The answer about one link, of which `as` decodes what it knows; in the namespace with the number `nsid`, or in the
 * socket's own.
 */
export function askForLink<F extends Fields>(
  socket: Socket,
  target: Target,
  as: Shape<LinkHeader, F>,
  nsid?: number,
): Message<LinkHeader, F> | undefined {
  const { header, attributes: named } = addressed(target)
  const attributes = nsid === undefined ? named : { targetNetnsid: nsid, ...named }
  try {
    return socket.get(request(RTM_GETLINK, 0, linkShape, header, { ...attributes, extMask: SKIP_STATS }), as)
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ENODEV') return undefined
    throw error
  }
}
