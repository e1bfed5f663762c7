/** Messages: the 16-byte netlink header, a fixed header of the family, attributes. netlink(7), linux/netlink.h. */
import type { Fields, Table, Values } from './attributes.ts'
import { align, Reader, Writer } from './buffer.ts'
import type { Struct, StructFields, StructValue } from './struct.ts'

export const NLM_F_REQUEST = 1
export const NLM_F_MULTI = 2
export const NLM_F_ACK = 4
export const NLM_F_DUMP_INTR = 0x10
/** for `get` */
export const NLM_F_DUMP = 0x300
/** for `new` */
export const NLM_F_REPLACE = 0x100
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
export const NLM_F_APPEND = 0x800

export const NLMSG_NOOP = 1
export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3

export const NLMSG_HEADER = 16

/** A request before it has a sequence number. */
export interface Request {
  readonly type: number
  /** besides NLM_F_REQUEST, which every request has */
  readonly flags: number
  /** fixed header and attributes */
  readonly body: Uint8Array
  /** names the attributes, for error messages */
  readonly shape: Shape
}

/** What follows the netlink header: a struct and a table. */
// biome-ignore lint/suspicious/noExplicitAny: shapes of all messages go through one socket
export interface Shape<S extends StructFields = any, F extends Fields = any> {
  readonly header: Struct<S>
  readonly table: Table<F>
}

export type Message<S extends StructFields, F extends Fields> = { readonly header: StructValue<S> } & {
  readonly [K in 'attrs']: Values<F>
}

export function shape<S extends StructFields, F extends Fields>(header: Struct<S>, table: Table<F>): Shape<S, F> {
  return { header, table }
}

/** Builds a request. Header fields left out are zero; attributes go out in the order of their keys. */
export function request<S extends StructFields, F extends Fields>(
  type: number,
  flags: number,
  of: Shape<S, F>,
  header: Partial<StructValue<S>>,
  attributes: Values<F> = {},
): Request {
  const writer = new Writer(256)
  of.header.encode(header, writer)
  writer.pad()
  of.table.encode(attributes, writer)
  return { type, flags, body: writer.bytes.slice(), shape: of }
}

export function decodeBody<S extends StructFields, F extends Fields>(of: Shape<S, F>, payload: Reader): Message<S, F> {
  const end = Math.min(align(of.header.size), payload.length)
  return { header: of.header.decode(payload), attrs: of.table.decode(payload.slice(end)) }
}

/** Appends the request as it goes over the socket. */
export function writeRequest(to: Writer, message: Request, sequence: number, extraFlags = 0): void {
  to.u32(NLMSG_HEADER + message.body.length)
  to.u16(message.type)
  to.u16(message.flags | NLM_F_REQUEST | extraFlags)
  to.u32(sequence)
  to.u32(0)
  to.raw(message.body)
  to.pad()
}

/** One received message, its payload still undecoded. */
export interface Received {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly payload: Reader
}

/** Splits a datagram. Stops at a header that does not fit. */
export function splitMessages(datagram: Uint8Array): Received[] {
  const from = new Reader(datagram)
  const messages: Received[] = []
  let at = 0
  while (at + NLMSG_HEADER <= from.length) {
    const length = from.u32(at)
    if (length < NLMSG_HEADER || at + length > from.length) break
    messages.push({
      type: from.u16(at + 4),
      flags: from.u16(at + 6),
      sequence: from.u32(at + 8),
      payload: from.slice(at + NLMSG_HEADER, at + length),
    })
    at += align(length)
  }
  return messages
}
