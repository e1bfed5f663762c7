/** Elements of sets and maps in the form that the kernel keeps: points, half-open intervals, or ranges of concatenations. Pure. */
import { addressToInteger, lastAddress, networkOf, parsePrefix } from '../ip/index.ts'
import type { ElementAttrs } from './attributes.ts'
import {
  bytesToNumber,
  CompileError,
  concatBytes,
  type DataType,
  encodeValue,
  numberToBytes,
  type TypeName,
  typeOf,
} from './datatypes.ts'
import type { Key, Value, Verdict } from './expression.ts'
import type { Element } from './objects.ts'
import { commentData } from './userdata.ts'

/** NFT_SET_ELEM_* */
export const INTERVAL_END = 1
export const CATCHALL = 2

export interface Interval {
  readonly from: bigint
  /** included */
  readonly to: bigint
}

/** NFT_JUMP and the like; linux/netfilter/nf_tables.h, accept and drop from linux/netfilter.h */
export const verdictCodes = { drop: 0, accept: 1, continue: -1, jump: -3, goto: -4, return: -5 } as const

export function verdictData(verdict: Verdict): NonNullable<ElementAttrs['data']> {
  const code = verdictCodes[verdict.kind] >>> 0
  return { verdict: 'chain' in verdict ? { code, chain: verdict.chain } : { code } }
}

/** The interval that a value stands for, as numbers in network order; a plain value is one point. */
export function intervalOf(type: DataType, value: Value): Interval {
  const number = (part: Value): bigint => bytesToNumber(encodeValue(type, part, 'network'), 'network')
  if (typeof value === 'string') {
    if (type.form === 'address') {
      if (value.includes('/')) {
        const prefix = parsePrefix(value)
        if (!prefix || (prefix.family === 4 ? 4 : 16) !== type.bytes) throw new CompileError(`${value} is no prefix`)
        const network = networkOf(prefix)
        return { from: addressToInteger(network.address), to: addressToInteger(lastAddress(network)) }
      }
      if (value.includes('-')) return ordered(value.split('-'), number, value)
    }
    if (type.form === 'number' && /^(\d+|0x[0-9a-f]+)-(\d+|0x[0-9a-f]+)$/.test(value)) {
      return ordered(value.split('-'), number, value)
    }
    if (type.form === 'name' && value.endsWith('*')) {
      const from = number(value.slice(0, -1))
      const free = BigInt((type.bytes - new TextEncoder().encode(value).length + 1) * 8)
      return { from, to: from | ((1n << free) - 1n) }
    }
  }
  const point = number(value)
  return { from: point, to: point }
}

function ordered(parts: readonly string[], number: (part: string) => bigint, whole: string): Interval {
  const [first, second, more] = parts
  if (first === undefined || second === undefined || more !== undefined) throw new CompileError(`${whole} is no range`)
  const interval = { from: number(first), to: number(second) }
  if (interval.from > interval.to) throw new CompileError(`${whole} runs backwards`)
  return interval
}

/** Whether one of these keys is more than a point, so that the set must be one of intervals. */
export function hasIntervals(types: readonly TypeName[], keys: readonly Key[]): boolean {
  return keys.some((key) =>
    partsOf(key).some((part, i) => {
      const name = types[i]
      if (name === undefined || typeof part !== 'string' || !/[-/*]/.test(part)) return false
      const type = typeOf(name)
      if (type.symbols && Object.hasOwn(type.symbols, part)) return false
      const { from, to } = intervalOf(type, part)
      return from !== to
    }),
  )
}

export function partsOf(key: Key): readonly Value[] {
  return typeof key === 'object' ? key : [key]
}

function checkCount(types: readonly TypeName[], parts: readonly Value[]): void {
  if (parts.length !== types.length) {
    throw new CompileError(`${parts.join(' . ')} has ${parts.length} parts where ${types.join(' . ')} is wanted`)
  }
}

/** Each part in whole registers. */
function concatenate(types: readonly TypeName[], encode: (type: DataType, index: number) => Uint8Array): Uint8Array {
  const [only] = types
  if (types.length === 1 && only) return encode(typeOf(only), 0)
  const bytes = new Uint8Array(concatBytes(types))
  let at = 0
  for (const [i, name] of types.entries()) {
    const type = typeOf(name)
    bytes.set(encode(type, i), at)
    at += (type.bytes + 3) & ~3
  }
  return bytes
}

export function encodeKey(types: readonly TypeName[], key: Key): Uint8Array {
  const parts = partsOf(key)
  checkCount(types, parts)
  return concatenate(types, (type, i) => encodeValue(type, parts[i] ?? 0))
}

export interface ElementTypes {
  readonly key: readonly TypeName[]
  readonly data?: readonly TypeName[] | 'verdict' | undefined
  readonly isInterval: boolean
  /** adjacent and overlapping intervals of a set become one, as in a rule's own set */
  readonly isMerged: boolean
  /** nothing is in the set yet: it gets a mark that nothing matches below its first interval */
  readonly isNew: boolean
}

/** Everything about an element but its key, in the order in which nft writes it. */
function rest(of: ElementTypes, element: Element): { head: ElementAttrs; tail: ElementAttrs } {
  const head: ElementAttrs = {}
  const tail: ElementAttrs = {}
  if (element.timeout !== undefined) head.timeout = BigInt(element.timeout)
  if (element.verdict) tail.data = verdictData(element.verdict)
  else if (element.value !== undefined && of.data && of.data !== 'verdict') {
    tail.data = { value: encodeKey(of.data, element.value) }
  }
  if (element.comment !== undefined) tail.userdata = commentData(element.comment)
  return { head, tail }
}

/** The elements as they go into NFTA_SET_ELEM_LIST_ELEMENTS. Throws CompileError. */
export function wireElements(of: ElementTypes, elements: readonly Element[]): ElementAttrs[] {
  if (of.isInterval) return of.key.length > 1 ? ranges(of, elements) : intervals(of, elements)
  return elements.map((element) => {
    const { head, tail } = rest(of, element)
    return { ...head, key: { value: encodeKey(of.key, element.key) }, ...tail }
  })
}

function ranges(of: ElementTypes, elements: readonly Element[]): ElementAttrs[] {
  return elements.map((element) => {
    const parts = partsOf(element.key)
    checkCount(of.key, parts)
    const end = (which: 'from' | 'to'): Uint8Array =>
      concatenate(of.key, (type, i) => {
        const interval = intervalOf(type, parts[i] ?? 0)
        if (type.order === 'host' && type.form === 'number' && type.bytes > 1 && interval.from !== interval.to) {
          throw new CompileError(`a range of ${type.name} in a concatenation`)
        }
        return numberToBytes(interval[which], type.bytes, type.form === 'number' ? type.order : 'network')
      })
    const { head, tail } = rest(of, element)
    return { ...head, key: { value: end('from') }, keyEnd: { value: end('to') }, ...tail }
  })
}

function intervals(of: ElementTypes, elements: readonly Element[]): ElementAttrs[] {
  const [name] = of.key
  if (!name) return []
  const type = typeOf(name)
  const bytes = (number: bigint): Uint8Array => numberToBytes(number, type.bytes, 'network')
  const sorted = elements
    .map((element) => ({ ...intervalOf(type, partsOf(element.key)[0] ?? 0), element }))
    .sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))
  const merged: typeof sorted = []
  for (const next of sorted) {
    const previous = merged.at(-1)
    if (previous && of.isMerged && next.from <= previous.to + 1n) {
      if (next.to > previous.to) merged[merged.length - 1] = { ...previous, to: next.to }
    } else {
      if (previous && next.from <= previous.to) {
        throw new CompileError(`${String(next.element.key)} overlaps ${String(previous.element.key)}`)
      }
      merged.push(next)
    }
  }
  const wire: ElementAttrs[] = []
  const last = (1n << BigInt(type.bytes * 8)) - 1n
  for (const [i, { from, to, element }] of merged.entries()) {
    if (of.isNew && i === 0 && from !== 0n) wire.push({ flags: INTERVAL_END, key: { value: bytes(0n) } })
    const { head, tail } = rest(of, element)
    wire.push({ ...head, key: { value: bytes(from) }, ...tail })
    if (to !== last) wire.push({ flags: INTERVAL_END, key: { value: bytes(to + 1n) } })
  }
  return wire
}
