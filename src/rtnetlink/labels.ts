/** What tells a link from others, and whose it is: a small part of an answer that is read often. */
import { attrs, type Socket, shape, str, text, u32 } from '../netlink/index.ts'
import { ifinfomsg } from './kinds.ts'
import { IFF_UP } from './link.ts'
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
