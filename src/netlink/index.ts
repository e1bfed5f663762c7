/** Netlink: codecs from typed tables, sockets, dumps, batches, errors. Knows no family's numbers. */
export {
  attrs,
  eachAttribute,
  type Fields,
  list,
  nested,
  type Table,
  type Tagged,
  tagged,
  type Values,
  writeAttribute,
} from './attributes.ts'
export { align, Reader, Writer } from './buffer.ts'
export * from './codec.ts'
export { NetlinkError } from './errors.ts'
export {
  decodeBody,
  type Message,
  NLM_F_ACK,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  type Received,
  type Request,
  request,
  type Shape,
  shape,
  splitMessages,
  writeRequest,
} from './message.ts'
export { NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_SOCK_DIAG, openSocket, type Socket } from './socket.ts'
export { type Struct, type StructFields, type StructValue, struct } from './struct.ts'
