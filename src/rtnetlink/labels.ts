/** What tells a link from others, and whose it is: a small part of an answer that is read often. */
import { attrs, mac, type Socket, s32, shape, str, text, u32, type Values } from '../netlink/index.ts'
import { ifinfomsg } from './kinds.ts'
import { IFF_UP, type Link, readLink } from './link.ts'
import { allLinks, askForLink, type Target } from './links.ts'

export interface LinkLabel {
  readonly index: number
  readonly name: string
  readonly alias?: string
  readonly group: number
  /** `veth`, `bridge`, …; absent for physical devices and loopback */
  readonly kind?: string
  readonly isUp: boolean
}

/** Of IFLA_LINKINFO the name of the kind alone. */
const linkinfo = attrs({ kind: [1, text] })
const labelShape = shape(
  ifinfomsg,
  attrs({ ifname: [3, str], linkinfo: [18, linkinfo], alias: [20, text], group: [27, u32] }),
)

interface LabelMessage {
  readonly header: { readonly index: number; readonly flags: number }
  readonly attrs: {
    readonly ifname?: string
    readonly linkinfo?: { readonly kind?: string }
    readonly alias?: string
    readonly group?: number
  }
}

function readLabel({ header, attrs: { ifname = '', linkinfo: info, alias, group = 0 } }: LabelMessage): LinkLabel {
  return {
    index: header.index,
    name: ifname,
    ...(alias === undefined ? {} : { alias }),
    group,
    ...(info?.kind === undefined ? {} : { kind: info.kind }),
    isUp: (header.flags & IFF_UP) !== 0,
  }
}

/** Every link of the socket's namespace, by index. */
export function listLinkLabels(socket: Socket): LinkLabel[] {
  return socket.dump(allLinks(), labelShape).map(readLabel)
}

/** One link, or undefined when there is none of that name or index. */
export function getLinkLabel(socket: Socket, target: Target): LinkLabel | undefined {
  const answer = askForLink(socket, target, labelShape)
  return answer && readLabel(answer)
}

/** What connects a link with others, without what its kind and its bridge say of it: a third of the work. */
const briefAttrs = attrs({
  mac: [1, mac],
  ifname: [3, str],
  mtu: [4, u32],
  link: [5, u32],
  master: [10, u32],
  linkinfo: [18, linkinfo],
  alias: [20, text],
  group: [27, u32],
  linkNetnsid: [37, s32],
})
const briefShape = shape(ifinfomsg, briefAttrs)

function readBrief({ header, attrs: { linkinfo: info, ...attributes } }: BriefMessage): Link {
  const link = readLink({ header, attrs: attributes })
  return info?.kind === undefined ? link : { ...link, kind: info.kind }
}

interface BriefMessage {
  readonly header: { readonly index: number; readonly flags: number; readonly type: number }
  readonly attrs: Values<typeof briefAttrs.fields>
}

/** Every link with its names, addresses, flags and connections; all else is as if it were not told. */
export function listLinksBriefly(socket: Socket): Link[] {
  return socket.dump(allLinks(), briefShape).map(readBrief)
}

/** One link in the same way, also of another namespace by the number that it has here. */
export function getLinkBriefly(socket: Socket, index: number, nsid?: number): Link | undefined {
  const answer = askForLink(socket, { index }, briefShape, nsid)
  return answer && readBrief(answer)
}
