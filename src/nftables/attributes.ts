/** Attribute tables and messages of nf_tables objects; linux/netfilter/nf_tables.h, nfnetlink.h. Pure. */
import { attrs, list, nested } from '../netlink/attributes.ts'
import { be32, be64, bytes, type Infer, str } from '../netlink/codec.ts'
import { type Request, request, type Shape, shape } from '../netlink/message.ts'
import { struct } from '../netlink/struct.ts'
import { dataAttrs, vmCodec } from './attributes-expressions.ts'
import type { Family } from './objects.ts'

export const NFNL_SUBSYS_NFTABLES = 10
export const NFNL_MSG_BATCH_BEGIN = 0x10
export const NFNL_MSG_BATCH_END = 0x11
/** the group of ruleset changes */
export const NFNLGRP_NFTABLES = 7

/** NFT_MSG_* */
export const msg = {
  newTable: 0,
  getTable: 1,
  delTable: 2,
  newChain: 3,
  getChain: 4,
  delChain: 5,
  newRule: 6,
  getRule: 7,
  delRule: 8,
  newSet: 9,
  getSet: 10,
  delSet: 11,
  newElement: 12,
  getElement: 13,
  delElement: 14,
  newGen: 15,
  getGen: 16,
  newObject: 18,
  getObject: 19,
  delObject: 20,
  newFlowtable: 22,
  delFlowtable: 24,
} as const

/** NFPROTO_* */
export const familyNumbers: Readonly<Record<Family, number>> = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 }

export function familyName(number: number): Family | undefined {
  for (const [name, value] of Object.entries(familyNumbers)) if (value === number) return name as Family
  return undefined
}

/** struct nfgenmsg */
export const nfgenmsg = struct({ family: 'u8', version: 'u8', resource: 'be16' })

export const tableAttrs = attrs({
  name: [1, str],
  flags: [2, be32],
  use: [3, be32],
  handle: [4, be64],
  userdata: [6, bytes],
  owner: [7, be32],
})

export const chainAttrs = attrs({
  table: [1, str],
  handle: [2, be64],
  name: [3, str],
  hook: [
    4,
    nested(
      attrs({
        hooknum: [1, be32],
        priority: [2, be32],
        dev: [3, str],
        devs: [4, nested(list(str, 1))],
      }),
    ),
  ],
  policy: [5, be32],
  use: [6, be32],
  type: [7, str],
  flags: [10, be32],
  id: [11, be32],
  userdata: [12, bytes],
})

export const ruleAttrs = attrs({
  table: [1, str],
  chain: [2, str],
  handle: [3, be64],
  expressions: [4, nested(list(vmCodec, 1))],
  compat: [5, nested(attrs({ proto: [1, be32], flags: [2, be32] }))],
  position: [6, be64],
  userdata: [7, bytes],
  id: [9, be32],
  positionId: [10, be32],
})

export const setAttrs = attrs({
  table: [1, str],
  name: [2, str],
  flags: [3, be32],
  keyType: [4, be32],
  keyLen: [5, be32],
  dataType: [6, be32],
  dataLen: [7, be32],
  policy: [8, be32],
  desc: [9, nested(attrs({ size: [1, be32], concat: [2, nested(list(nested(attrs({ len: [1, be32] })), 1))] }))],
  id: [10, be32],
  timeout: [11, be64],
  gcInterval: [12, be32],
  userdata: [13, bytes],
  objectType: [15, be32],
  handle: [16, be64],
  expr: [17, vmCodec],
  expressions: [18, nested(list(vmCodec, 1))],
  /** elements, expired ones too; since Linux 6.16 */
  count: [20, be32],
})
export type SetAttrs = Infer<typeof setAttrs>

const data = nested(dataAttrs)

export const elementAttrs = attrs({
  key: [1, data],
  data: [2, data],
  flags: [3, be32],
  timeout: [4, be64],
  expiration: [5, be64],
  userdata: [6, bytes],
  expr: [7, vmCodec],
  objref: [9, str],
  keyEnd: [10, data],
  expressions: [11, nested(list(vmCodec, 1))],
})
export type ElementAttrs = Infer<typeof elementAttrs>

export const elementsAttrs = attrs({
  table: [1, str],
  set: [2, str],
  elements: [3, nested(list(nested(elementAttrs)))],
  setId: [4, be32],
})

export const objectAttrs = attrs({
  table: [1, str],
  name: [2, str],
  type: [3, be32],
  data: [4, bytes],
  use: [5, be32],
  handle: [6, be64],
  userdata: [8, bytes],
})

export const genAttrs = attrs({ id: [1, be32], pid: [2, be32], process: [3, str] })

export const tableShape = shape(nfgenmsg, tableAttrs)
export const chainShape = shape(nfgenmsg, chainAttrs)
export const ruleShape = shape(nfgenmsg, ruleAttrs)
export const setShape = shape(nfgenmsg, setAttrs)
export const elementsShape = shape(nfgenmsg, elementsAttrs)
export const objectShape = shape(nfgenmsg, objectAttrs)
export const genShape = shape(nfgenmsg, genAttrs)

/** A message of the nf_tables subsystem. `family` undefined asks for all of them. */
export function nftRequest<S extends Shape>(
  type: number,
  flags: number,
  of: S,
  family: Family | undefined,
  attributes: Infer<S['table']>,
): Request {
  const header = { family: family === undefined ? 0 : familyNumbers[family] }
  return request((NFNL_SUBSYS_NFTABLES << 8) | type, flags, of, header, attributes)
}

/** The message that opens or closes a transaction. */
export function batchMarker(type: number, attributes: Infer<typeof genAttrs> = {}): Request {
  return request(type, 0, genShape, { resource: NFNL_SUBSYS_NFTABLES }, attributes)
}
