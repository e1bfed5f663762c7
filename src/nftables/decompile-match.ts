/** Comparisons and lookups of listed rules. Each returns undefined where it has no words. Pure. */
import { formatAddress } from '../ip/index.ts'
import { keyTypes } from './compile-lookup.ts'
import { cmpOps } from './compile-match.ts'
import { bytesToNumber, CompileError, type DataType, decodeText, decodeValue, flagNames, typeOf } from './datatypes.ts'
import { decodeElements } from './decompile-elements.ts'
import type { KnownSet, Register, State } from './decompile-state.ts'
import type { Match, Right, Selector, Value } from './expression.ts'
import type { Element, TypeName } from './objects.ts'
import { type Field, findField, layerNumbers, type Protocol, protocols, singleType } from './selectors.ts'
import { setFlags } from './sets.ts'

type Loaded = Extract<Register, { kind: 'selector' }>
type Op = Match['op']

export function opName(number: number | undefined): Op | undefined {
  return (Object.keys(cmpOps) as Op[]).find((name) => cmpOps[name] === number)
}

/** The headers that may be read at a layer, given what the rule knows of the packet. */
export function protocolsAt({ known }: Pick<State, 'known'>, base: number): [string, Protocol][] {
  const all = Object.entries(protocols).filter(([, { layer }]) => layerNumbers[layer] === base)
  const fits = ([, { needs }]: [string, Protocol]): boolean =>
    (needs?.link === undefined || needs.link === known.link) &&
    (needs?.network === undefined || needs.network === known.network) &&
    (needs?.transport === undefined || needs.transport === known.transport)
  // headers with more conditions first: `tcp` before `th`
  return all.filter(fits).sort(([, a], [, b]) => Object.keys(b.needs ?? {}).length - Object.keys(a.needs ?? {}).length)
}

/** The bytes that a field loads. */
export function fieldLength(field: Field): number {
  return field.bits?.bytes ?? typeOf(field.type).bytes
}

function prefixRight(address: Uint8Array, length: number): Right {
  return { kind: 'prefix', address: formatAddress(address), length }
}

/** Bits set from the left, or undefined when there are holes. */
function maskLength(mask: Uint8Array): number | undefined {
  const text = Array.from(mask, (b) => b.toString(2).padStart(8, '0')).join('')
  const length = text.indexOf('0') < 0 ? text.length : text.indexOf('0')
  return text.slice(length).includes('1') ? undefined : length
}

/** What a register holds as a selector, its mask included. */
export function maskedSelector(register: Loaded): Selector | undefined {
  if (!register.mask) return register.selector
  if (register.xor?.some((byte) => byte !== 0)) return undefined
  const type = singleTypeOf(register.selector)
  const mask = type && decodeValue(type, register.mask)
  return mask === undefined ? undefined : { kind: 'and', of: register.selector, mask }
}

export function singleTypeOf(selector: Selector): DataType | undefined {
  try {
    return singleType(selector)
  } catch (error) {
    if (error instanceof CompileError) return undefined
    throw error
  }
}

export function decompileCmp(register: Loaded, op: Op, bytes: Uint8Array): Match | undefined {
  const left = register.selector
  const type = singleTypeOf(left)
  if (!type) return undefined
  const match = (right: Right | undefined, to: Selector = left, how: Op = op): Match | undefined =>
    right && { kind: 'match', left: to, op: how, right }
  const valueRight = (value: Value | undefined): Right | undefined =>
    value === undefined ? undefined : { kind: 'value', value }
  if (register.mask) return decompileMasked(register, type, op, bytes, match)
  if (register.isSwapped) return match(valueRight(decodeValue(type, bytes, 'network')))
  if (type.form === 'address' && bytes.length < type.bytes) {
    const address = new Uint8Array(type.bytes)
    address.set(bytes)
    return match(prefixRight(address, bytes.length * 8))
  }
  if (type.form === 'name' && bytes.length < type.bytes) {
    const end = bytes.indexOf(0)
    const name = decodeText(end < 0 ? bytes : bytes.subarray(0, end))
    if (!name || (end >= 0 && bytes.subarray(end).some((byte) => byte !== 0))) return undefined
    // iptables-nft compares up to the closing NUL, nft all 16 bytes; without the NUL more may follow
    return match(valueRight(end < 0 ? `${name}*` : name))
  }
  return match(valueRight(fieldValue(left, type, bytes)))
}

/** A value; of a field narrower than its bytes, shifted down to it. */
function fieldValue(left: Selector, type: DataType, bytes: Uint8Array): Value | undefined {
  const bits = left.kind === 'payload' ? findField(left).bits : undefined
  if (!bits) return decodeValue(type, bytes)
  return Number(bytesToNumber(bytes, 'network')) >> bits.shift
}

function decompileMasked(
  register: Loaded,
  type: DataType,
  op: Op,
  bytes: Uint8Array,
  match: (right: Right | undefined, to?: Selector, how?: Op) => Match | undefined,
): Match | undefined {
  const { mask = new Uint8Array(0) } = register
  const isZero = bytes.every((byte) => byte === 0)
  if (type.isBitmask && isZero && (op === '==' || op === '!=')) {
    const flags = flagNames(type, Number(bytesToNumber(mask, type.order)))
    if (flags?.length) return match({ kind: 'flags', flags }, register.selector, op === '==' ? '!=' : '==')
  }
  const length = type.form === 'address' ? maskLength(mask) : undefined
  if (length !== undefined) return match(prefixRight(bytes, length))
  const left = maskedSelector(register)
  const value = decodeValue(type, bytes)
  return left && value !== undefined ? match({ kind: 'value', value }, left) : undefined
}

export function decompileRange(
  register: Loaded,
  op: '==' | '!=',
  low: Uint8Array,
  high: Uint8Array,
): Match | undefined {
  const type = singleTypeOf(register.selector)
  if (!type || register.mask) return undefined
  const from = decodeValue(type, low, 'network')
  const to = decodeValue(type, high, 'network')
  if (from === undefined || to === undefined) return undefined
  return { kind: 'match', left: register.selector, op, right: { kind: 'range', from, to } }
}

/** Comparisons of neighbouring fields that were joined into one. */
export function splitFields(state: State, register: Loaded, bytes: Uint8Array): Match[] | undefined {
  const { payload } = register
  if (!payload || register.mask || bytes.length !== register.length) return undefined
  for (const [protocol, { fields }] of protocolsAt(state, payload.base)) {
    const found: Match[] = []
    let at = payload.offset
    const end = payload.offset + register.length
    while (at < end) {
      const entry = Object.entries(fields).find(([, f]) => f.offset === at && !f.bits && at + fieldLength(f) <= end)
      if (!entry) break
      const [field, { type }] = entry
      const size = typeOf(type).bytes
      const value = decodeValue(typeOf(type), bytes.subarray(at - payload.offset, at - payload.offset + size))
      if (value === undefined) break
      found.push({
        kind: 'match',
        left: { kind: 'payload', protocol, field },
        op: '==',
        right: { kind: 'value', value },
      })
      at += size
    }
    if (at === end && found.length) return found
  }
  return undefined
}

/** What is looked up: the registers from `slot` on that make up a key of this length. */
export function keyAt(state: State, slot: number, length: number): { key: Selector; isSwapped: boolean } | undefined {
  const parts: Selector[] = []
  let isSwapped = false
  let at = 0
  while (at < length) {
    const register = state.registers.get(slot + at / 4)
    if (register?.kind !== 'selector') return undefined
    const selector = maskedSelector(register)
    if (!selector) return undefined
    parts.push(selector)
    isSwapped ||= register.isSwapped ?? false
    if (register.length === length) break
    at += (register.length + 3) & ~3
  }
  const [only] = parts
  if (!only) return undefined
  return { key: parts.length === 1 ? only : { kind: 'concat', of: parts }, isSwapped }
}

export function isOwn(set: KnownSet): boolean {
  return ((set.attributes.flags ?? 0) & setFlags.anonymous) !== 0
}

/** The elements of a rule's own set, whose types come from what is looked up in it. */
export function ownElements(
  set: KnownSet,
  key: Selector,
  data?: readonly TypeName[] | 'verdict',
): readonly Element[] | undefined {
  let types: TypeName[]
  try {
    types = keyTypes(key)
  } catch (error) {
    if (error instanceof CompileError) return undefined
    throw error
  }
  const isInterval = ((set.attributes.flags ?? 0) & setFlags.interval) !== 0
  const elements = decodeElements({ key: types, data, isInterval }, set.elements())
  return elements?.length ? elements : undefined
}
