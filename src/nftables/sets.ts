/** Declarations of sets and maps, named and anonymous. Pure. */
import type { SetAttrs } from './attributes.ts'
import { CompileError, concatBytes, concatId, type TypeName, typeOf } from './datatypes.ts'
import type { ElementTypes } from './elements.ts'
import type { Selector } from './expression.ts'
import type { NftMap, NftSet } from './objects.ts'
import { EXPR_CONCAT, EXPR_VERDICT, typeofSelector, typeofTlv } from './typeof.ts'
import { commentTlv, numberTlv, SET_COMMENT, writeTlvs } from './userdata.ts'

/** NFT_SET_* */
export const setFlags = {
  anonymous: 1,
  constant: 2,
  interval: 4,
  map: 8,
  timeout: 16,
  dynamic: 32,
  object: 64,
  concat: 128,
  expression: 256,
} as const

const VERDICT_TYPE = 0xffffff00
/** NFTNL_UDATA_SET_*: what nft wants to remember of a declaration */
const UDATA = {
  keyByteOrder: 0,
  dataByteOrder: 1,
  mergeElements: 2,
  keyTypeof: 3,
  dataTypeof: 4,
  dataInterval: 6,
} as const
/** enum byteorder of nft */
const byteOrders = { none: 0, host: 1, network: 2 } as const

function byteOrderOf(types: readonly TypeName[]): number {
  const [only] = types
  return types.length === 1 && only ? byteOrders[typeOf(only).order] : byteOrders.none
}

/** What nft notes of a named set; a concatenation of plain types has an empty description, which nft reads nothing from. */
function namedNotes(set: NftSet | NftMap): Uint8Array {
  const data = set.kind === 'map' ? set.data : undefined
  const tlvs = [numberTlv(UDATA.keyByteOrder, byteOrderOf(set.key))]
  if (data) tlvs.push(numberTlv(UDATA.dataByteOrder, data === 'verdict' ? byteOrders.none : byteOrderOf(data)))
  if (set.key.length > 1) tlvs.push(typeofTlv(UDATA.keyTypeof, EXPR_CONCAT, []))
  if (data && data !== 'verdict' && data.length > 1) tlvs.push(typeofTlv(UDATA.dataTypeof, EXPR_CONCAT, []))
  if (data) tlvs.push(numberTlv(UDATA.dataInterval, 0))
  if (set.comment !== undefined) tlvs.push(commentTlv(set.comment, SET_COMMENT))
  return writeTlvs(tlvs)
}

/** What nft notes of a rule's own set: where its key comes from. */
function ownNotes({ key, data, isInterval }: ElementTypes, from: Selector): Uint8Array {
  const tlvs = [numberTlv(UDATA.keyByteOrder, isHostNumber(from) ? byteOrders.host : byteOrderOf(key))]
  if (data) tlvs.push(numberTlv(UDATA.dataByteOrder, data === 'verdict' ? byteOrders.none : byteOrderOf(data)))
  if (isInterval && !data) tlvs.push(numberTlv(UDATA.mergeElements, 1))
  const description = data && from.kind !== 'concat' ? undefined : typeofSelector(UDATA.keyTypeof, from)
  if (description) tlvs.push(description)
  if (data === 'verdict') tlvs.push(typeofTlv(UDATA.dataTypeof, EXPR_VERDICT, []))
  if (data) tlvs.push(numberTlv(UDATA.dataInterval, 0))
  return writeTlvs(tlvs)
}

/** Where the type alone does not say it: a protocol number is in network order in a header, and in host order in meta. */
function isHostNumber(from: Selector): boolean {
  return from.kind === 'meta' && from.key === 'l4proto'
}

function describe(key: readonly TypeName[], flags: number, size?: number): SetAttrs['desc'] {
  const desc: NonNullable<SetAttrs['desc']> = {}
  if (size !== undefined) desc.size = size
  if (flags & setFlags.concat) desc.concat = key.map((name) => ({ len: typeOf(name).bytes }))
  return Object.keys(desc).length ? desc : undefined
}

function dataTypes(data: readonly TypeName[] | 'verdict' | undefined): Pick<SetAttrs, 'dataType' | 'dataLen'> {
  if (!data) return {}
  if (data === 'verdict') return { dataType: VERDICT_TYPE, dataLen: 0 }
  return { dataType: concatId(data), dataLen: sizeOf(data) }
}

/** Bytes of a key: a single value as it is, a concatenation in whole registers. */
export function sizeOf(types: readonly TypeName[]): number {
  const [only] = types
  return types.length === 1 && only ? typeOf(only).bytes : concatBytes(types)
}

/** The message of a named set or map. `id` links it to elements in the same transaction. */
export function declareSet(set: NftSet | NftMap, id: number): SetAttrs {
  const has = (flag: 'constant' | 'interval' | 'timeout' | 'dynamic'): number =>
    set.flags?.includes(flag) ? setFlags[flag] : 0
  const data = set.kind === 'map' ? set.data : undefined
  if (set.key.length === 0) throw new CompileError(`set ${set.name} has no key type`)
  let flags = has('constant') | has('interval') | has('timeout') | has('dynamic')
  if (data) flags |= setFlags.map
  if (flags & setFlags.interval && set.key.length > 1) flags |= setFlags.concat
  if (flags & setFlags.interval) refuseHostOrder(set)
  const attributes: SetAttrs = {
    table: set.table,
    name: set.name,
    flags,
    keyType: concatId(set.key),
    keyLen: sizeOf(set.key),
    ...dataTypes(data),
    id,
  }
  const desc = describe(set.key, flags, set.size)
  if (desc) attributes.desc = desc
  if (set.timeout !== undefined) attributes.timeout = BigInt(set.timeout)
  if (set.gcInterval !== undefined) attributes.gcInterval = set.gcInterval
  if (set.policy === 'memory') attributes.policy = 1
  attributes.userdata = namedNotes(set)
  if (set.counter) attributes.expr = { kind: 'counter', data: {} }
  return attributes
}

/** A rule that looks into such a set must turn the bytes round first, and cannot know that it must. */
function refuseHostOrder(set: NftSet | NftMap): void {
  const type = set.key.map(typeOf).find((t) => t.order === 'host' && t.form === 'number' && t.bytes > 1)
  if (type) throw new CompileError(`set ${set.name}: intervals of ${type.name} only work in a rule's own set`)
}

/** The message of a rule's own set, into which `from` is looked up. `count` is the number of its wire elements. */
export function declareAnonymous(table: string, of: ElementTypes, from: Selector, id: number, count: number): SetAttrs {
  let flags: number = setFlags.anonymous | setFlags.constant
  if (of.isInterval) flags |= setFlags.interval
  if (of.data) flags |= setFlags.map
  if (of.isInterval && of.key.length > 1) flags |= setFlags.concat
  return {
    table,
    name: of.data ? '__map%d' : '__set%d',
    flags,
    keyType: concatId(of.key),
    keyLen: sizeOf(of.key),
    ...dataTypes(of.data),
    id,
    desc: describe(of.key, flags, count) ?? {},
    userdata: ownNotes(of, from),
  }
}
