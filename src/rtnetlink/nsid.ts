/** Namespace ids: how one namespace numbers another; linux/net_namespace.h, ip-netns(8). */
import { attrs, type Request, request, type Socket, s32, shape, struct, u32 } from '../netlink/index.ts'

const RTM_NEWNSID = 88
const RTM_GETNSID = 90

const rtgenmsg = struct({ family: 'u8', _pad1: 'u8', _pad2: 'u16' })
const nsidAttrs = attrs({ nsid: [1, s32], pid: [2, u32], fd: [3, u32] })
const nsidShape = shape(rtgenmsg, nsidAttrs)

/** The number of the namespace behind `fd` in the socket's namespace; undefined when it has none. */
export function getNamespaceId(socket: Socket, fd: number): number | undefined {
  const { nsid } = socket.get(request(RTM_GETNSID, 0, nsidShape, {}, { fd }), nsidShape).attrs
  return nsid === undefined || nsid < 0 ? undefined : nsid
}

/** Gives the namespace behind `fd` a number; -1 lets the kernel choose. */
export function setNamespaceId(fd: number, nsid = -1): Request {
  return request(RTM_NEWNSID, 0, nsidShape, {}, { nsid, fd })
}
