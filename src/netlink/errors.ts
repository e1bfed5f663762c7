/** The kernel's refusals: errno, the text of its extended acknowledgement, and the attribute it points at. */
import { errnoName, strerror } from '../sys/index.ts'
import { attrs, eachAttribute } from './attributes.ts'
import { align, Reader } from './buffer.ts'
import { str, u32 } from './codec.ts'
import { NLMSG_HEADER, type Received, type Request } from './message.ts'

/** NLMSGERR_ATTR_*, linux/netlink.h */
const extack = attrs({ message: [1, str], offset: [2, u32], missingType: [5, u32] })

/** NLM_F_CAPPED: the request's payload is not repeated; NLM_F_ACK_TLVS: attributes follow */
const NLM_F_CAPPED = 0x100
const NLM_F_ACK_TLVS = 0x200

export class NetlinkError extends Error {
  override readonly name = 'NetlinkError'
  readonly errno: number
  /** `EEXIST`, … */
  readonly code: string
  /** the kernel's own sentence, empty when it gave none */
  readonly kernelMessage: string
  /** the attribute that the kernel points at, by its name in our table */
  readonly attribute: string | undefined

  constructor(errno: number, kernelMessage = '', attribute?: string) {
    const about = attribute === undefined ? '' : ` (${attribute})`
    super(`${kernelMessage || strerror(errno)}${about}`)
    this.errno = errno
    this.code = errnoName(errno)
    this.kernelMessage = kernelMessage
    this.attribute = attribute
  }
}

/** Reads NLMSG_ERROR; undefined for an acknowledgement. `sent` serves to name the attribute at fault. */
export function readError({ payload, flags }: Received, sent?: Request): NetlinkError | undefined {
  const errno = -payload.s32()
  return errno === 0 ? undefined : explain(errno, payload, flags, sent)
}

function explain(errno: number, payload: Reader, flags: number, sent?: Request): NetlinkError {
  if (!(flags & NLM_F_ACK_TLVS)) return new NetlinkError(errno)
  const repeated = flags & NLM_F_CAPPED ? NLMSG_HEADER : payload.u32(4)
  const at = 4 + align(repeated)
  if (at > payload.length) return new NetlinkError(errno)
  const { message = '', offset, missingType } = extack.decode(payload.slice(at))
  const name =
    missingType !== undefined
      ? sent?.shape.table.nameOf(missingType)
      : offset !== undefined && sent
        ? attributeAt(sent, offset)
        : undefined
  return new NetlinkError(errno, message, name)
}

/** The name of the outermost attribute at an offset that counts from the netlink header. */
function attributeAt(sent: Request, offset: number): string | undefined {
  const start = align(sent.shape.header.size)
  const table = new Reader(sent.body).slice(Math.min(start, sent.body.length))
  let name: string | undefined
  eachAttribute(table, (type, payload) => {
    const begin = payload.bytes.byteOffset - sent.body.byteOffset - 4 + NLMSG_HEADER
    if (offset >= begin && offset < begin + 4 + payload.length) name = sent.shape.table.nameOf(type)
  })
  return name
}

/** The error of a dump's NLMSG_DONE, which carries an errno of its own. */
export function readDone({ payload, flags }: Received): NetlinkError | undefined {
  if (payload.length < 4) return undefined
  const errno = -payload.s32()
  if (errno === 0) return undefined
  if (!(flags & NLM_F_ACK_TLVS)) return new NetlinkError(errno)
  return new NetlinkError(errno, extack.decode(payload.slice(4)).message)
}
