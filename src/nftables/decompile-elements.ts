/** Elements of sets, as the kernel lists them, into keys and values. Pure. */
import { formatAddress, integerToAddress } from '../ip/index.ts'
import type { ElementAttrs } from './attributes.ts'
import { bytesToNumber, type DataType, decodeValue, numberToBytes, type TypeName, typeOf } from './datatypes.ts'
import { CATCHALL, INTERVAL_END, verdictCodes } from './elements.ts'
import type { Key, Value, Verdict } from './expression.ts'
import type { Element } from './objects.ts'
import { readComment } from './userdata.ts'

export interface ListedTypes {
  readonly key: readonly TypeName[]
  readonly data?: readonly TypeName[] | 'verdict' | undefined
  readonly isInterval: boolean
}

export function decodeVerdict(data: ElementAttrs['data']): Verdict | undefined {
  const verdict = data?.verdict
  if (verdict?.code === undefined) return undefined
  const code = verdict.code | 0
  for (const kind of ['accept', 'drop', 'return', 'continue'] as const) if (verdictCodes[kind] === code) return { kind }
  for (const kind of ['jump', 'goto'] as const) {
    if (verdictCodes[kind] === code && verdict.chain !== undefined) return { kind, chain: verdict.chain }
  }
  return undefined
}

/** Bytes of a concatenation, each part without the padding to whole registers. */
function split(types: readonly TypeName[], bytes: Uint8Array): Uint8Array[] | undefined {
  if (types.length === 1) return [bytes]
  const parts: Uint8Array[] = []
  let at = 0
  for (const name of types) {
    const size = typeOf(name).bytes
    if (at + size > bytes.length) return undefined
    parts.push(bytes.subarray(at, at + size))
    at += (size + 3) & ~3
  }
  return at === bytes.length ? parts : undefined
}

/** A key or a datum that is no interval; undefined when the bytes do not fit the types. */
export function decodeKey(types: readonly TypeName[], bytes: Uint8Array | undefined): Key | undefined {
  const parts = bytes && split(types, bytes)
  if (!parts) return undefined
  const values = types.map((name, i) => decodeValue(typeOf(name), parts[i] ?? new Uint8Array(0)))
  if (!values.every((value): value is Value => value !== undefined)) return undefined
  const [only] = values
  return values.length === 1 && only !== undefined ? only : values
}

/** The shortest way to write an interval: a value, a prefix, a name with a wildcard, a range. */
export function intervalText(type: DataType, from: bigint, to: bigint): Value | undefined {
  const value = (n: bigint): Value | undefined => decodeValue(type, numberToBytes(n, type.bytes, 'network'), 'network')
  if (from === to) return value(from)
  const size = to - from + 1n
  const isAligned = (size & (size - 1n)) === 0n && (from & (size - 1n)) === 0n
  switch (type.form) {
    case 'address': {
      const family = type.bytes === 4 ? 4 : 6
      if (isAligned) return `${integerToAddress(from, family)}/${type.bytes * 8 - (size.toString(2).length - 1)}`
      return `${formatAddress(numberToBytes(from, type.bytes, 'network'))}-${formatAddress(numberToBytes(to, type.bytes, 'network'))}`
    }
    case 'number':
      return `${from}-${to}`
    case 'name': {
      const bits = size.toString(2).length - 1
      const text = isAligned && bits % 8 === 0 ? value(from) : undefined
      return text === undefined ? undefined : `${text}*`
    }
    case 'mac':
      return undefined
    default:
      return type.form satisfies never
  }
}

/**
 * The elements in ascending order, or undefined when one of them is more than this language can say (a catch-all, a
 * reference to an object, a key of an unknown type).
 */
export function decodeElements(of: ListedTypes, listed: readonly ElementAttrs[]): Element[] | undefined {
  if (listed.some((element) => element.objref !== undefined || ((element.flags ?? 0) & CATCHALL) !== 0))
    return undefined
  const found = of.isInterval && of.key.length === 1 ? intervals(of, listed) : points(of, listed)
  return found?.sort((a, b) => compare(a.order, b.order)).map(({ element }) => element)
}

interface Ordered {
  readonly order: readonly bigint[]
  readonly element: Element
}

function compare(a: readonly bigint[], b: readonly bigint[]): number {
  for (const [i, x] of a.entries()) {
    const y = b[i] ?? 0n
    if (x !== y) return x < y ? -1 : 1
  }
  return 0
}

function element(of: ListedTypes, key: Key, attributes: ElementAttrs): Element | undefined {
  const verdict = of.data === 'verdict' ? decodeVerdict(attributes.data) : undefined
  const value = of.data && of.data !== 'verdict' ? decodeKey(of.data, attributes.data?.value) : undefined
  if (of.data && verdict === undefined && value === undefined) return undefined
  const comment = readComment(attributes.userdata)
  return {
    key,
    ...(value === undefined ? {} : { value }),
    ...(verdict ? { verdict } : {}),
    ...(attributes.timeout === undefined ? {} : { timeout: Number(attributes.timeout) }),
    ...(comment === undefined ? {} : { comment }),
  }
}

function points(of: ListedTypes, listed: readonly ElementAttrs[]): Ordered[] | undefined {
  const found: Ordered[] = []
  for (const attributes of listed) {
    const from = attributes.key?.value
    const parts = from && split(of.key, from)
    const key = of.isInterval ? rangeKey(of.key, from, attributes.keyEnd?.value) : decodeKey(of.key, from)
    if (!parts || key === undefined) return undefined
    const one = element(of, key, attributes)
    if (!one) return undefined
    const order = of.key.map((name, i) => {
      const type = typeOf(name)
      return bytesToNumber(parts[i] ?? new Uint8Array(0), type.form === 'number' ? type.order : 'network')
    })
    found.push({ order, element: one })
  }
  return found
}

function rangeKey(types: readonly TypeName[], from?: Uint8Array, to?: Uint8Array): Key | undefined {
  if (!to) return decodeKey(types, from)
  const low = from && split(types, from)
  const high = split(types, to)
  if (!low || !high) return undefined
  const values: Value[] = []
  for (const [i, name] of types.entries()) {
    const type = typeOf(name)
    const order = type.form === 'number' ? type.order : 'network'
    const [a, b] = [low[i], high[i]]
    const value = a && b && intervalText(type, bytesToNumber(a, order), bytesToNumber(b, order))
    if (value === undefined) return undefined
    values.push(value)
  }
  return values
}

/** Starts and ends, in whichever order the kernel gave them. */
function intervals(of: ListedTypes, listed: readonly ElementAttrs[]): Ordered[] | undefined {
  const [name] = of.key
  if (!name) return undefined
  const type = typeOf(name)
  const marks = listed
    .map((attributes) => ({
      attributes,
      at: bytesToNumber(attributes.key?.value ?? new Uint8Array(0), 'network'),
      isEnd: ((attributes.flags ?? 0) & INTERVAL_END) !== 0,
    }))
    .sort((a, b) => (a.at !== b.at ? (a.at < b.at ? -1 : 1) : Number(b.isEnd) - Number(a.isEnd)))
  const last = (1n << BigInt(type.bytes * 8)) - 1n
  const found: Ordered[] = []
  for (const [i, { attributes, at, isEnd }] of marks.entries()) {
    if (isEnd) continue
    const next = marks[i + 1]
    const key = intervalText(type, at, next ? next.at - 1n : last)
    const one = key === undefined ? undefined : element(of, key, attributes)
    if (!one) return undefined
    found.push({ order: [at], element: one })
  }
  return found
}
