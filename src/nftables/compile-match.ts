/** Comparisons of a selector with a value, a prefix, a range, flags or a set. Pure. */
import { parseAddress } from '../ip/index.ts'
import { keyTypes, namedSet, ownSet, type RuleContext, swapForIntervals, swapToNetworkOrder } from './compile-lookup.ts'
import { load, maskRegister, register, requireFor } from './compile-selector.ts'
import { CompileError, type DataType, encodeValue, numberToBytes, typeOf } from './datatypes.ts'
import { hasIntervals } from './elements.ts'
import type { Expression, Match, Right, Selector, Value } from './expression.ts'
import { findField, findProtocol, layerNumbers, singleType } from './selectors.ts'

/** NFT_CMP_* */
export const cmpOps = { '==': 0, '!=': 1, '<': 2, '<=': 3, '>': 4, '>=': 5 } as const

interface Merged {
  readonly merged: { dreg: number; base: number; offset: number; value: Uint8Array }
  readonly first: Selector
  readonly of: readonly Match[]
}

/** How far neighbouring fields are read at once, in bytes: nft's bound is one 32-bit register. */
const MERGE_BYTES = 4

/** Joins comparisons of neighbouring header fields into one, as nft does: `tcp sport 1 tcp dport 2` is one load. */
export function* mergeMatches(expressions: readonly Expression[]): Generator<Expression | Merged> {
  let run: Match[] = []
  let offset = 0
  let bytes: Uint8Array<ArrayBufferLike> = new Uint8Array(0)
  for (const expression of expressions) {
    const piece = mergeable(expression)
    const [last] = run
    if (piece && last && run.length && sameHeader(last, piece.match)) {
      const isAfter = offset + bytes.length === piece.offset
      const isBefore = piece.offset + piece.value.length === offset
      if ((isAfter || isBefore) && bytes.length + piece.value.length <= MERGE_BYTES) {
        bytes = isAfter ? join(bytes, piece.value) : join(piece.value, bytes)
        offset = Math.min(offset, piece.offset)
        run.push(piece.match)
        continue
      }
    }
    yield* flush(run, offset, bytes)
    run = []
    if (piece) {
      run = [piece.match]
      offset = piece.offset
      bytes = piece.value
    } else {
      yield expression
    }
  }
  yield* flush(run, offset, bytes)
}

function* flush(run: Match[], offset: number, value: Uint8Array): Generator<Expression | Merged> {
  const [first] = run
  if (!first) return
  if (run.length === 1 || first.left.kind !== 'payload') yield first
  else {
    const base = layerNumbers[findProtocol(first.left.protocol).layer]
    yield { merged: { dreg: register(0), base, offset, value }, first: first.left, of: run }
  }
}

function mergeable(e: Expression): { match: Match; offset: number; value: Uint8Array } | undefined {
  if (e.kind !== 'match' || e.op !== '==' || e.right.kind !== 'value' || e.left.kind !== 'payload') return undefined
  const field = findField(e.left)
  if (field.bits) return undefined
  return { match: e, offset: field.offset, value: encodeValue(typeOf(field.type), e.right.value, 'network') }
}

function sameHeader(a: Match, b: Match): boolean {
  return a.left.kind === 'payload' && b.left.kind === 'payload' && a.left.protocol === b.left.protocol
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

/** The value in the bytes that the selector loads: fields narrower than a byte stand where they are in the header. */
function valueBytes(left: Selector, value: Value, order?: 'network'): Uint8Array {
  const type = singleType(left)
  const inner = left.kind === 'and' ? left.of : left
  if (inner.kind !== 'payload') return encodeValue(type, value, order)
  const { bits } = findField(inner)
  if (!bits) return encodeValue(type, value, order)
  const number = BigInt(encodeValue(type, value, 'network').reduce((n, b) => n * 256 + b, 0)) << BigInt(bits.shift)
  if (number & ~BigInt(bits.mask)) throw new CompileError(`${value} is too large for the field`)
  return numberToBytes(number, bits.bytes, 'network')
}

export function compileMatch(context: RuleContext, match: Match): void {
  const { left, op, right } = match
  if (right.kind === 'elements') {
    const [only] = right.elements
    // nft makes a comparison of a set of one
    if (right.elements.length === 1 && only !== undefined && typeof only !== 'object') {
      compileMatch(context, { ...match, right: plainRight(singleType(left), only) })
      return
    }
  }
  requireFor(context, left)
  const compare = (value: Uint8Array, operator: keyof typeof cmpOps): void => {
    context.vm.push({ kind: 'cmp', data: { sreg: register(0), op: cmpOps[operator], data: { value } } })
  }
  switch (right.kind) {
    case 'value': {
      if (op === '==' || op === '!=') {
        load(context, left, 0)
        compare(isWildcard(left, right.value) ? wildcard(right.value) : valueBytes(left, right.value), op)
      } else {
        load(context, left, 0)
        const [name] = keyTypes(left)
        if (name) swapToNetworkOrder(context, name)
        compare(valueBytes(left, right.value, 'network'), op)
      }
      return
    }
    case 'prefix':
      comparePrefix(context, match, right, compare)
      return
    case 'range': {
      load(context, left, 0)
      const [name] = keyTypes(left)
      if (name) swapToNetworkOrder(context, name)
      const from = valueBytes(left, right.from, 'network')
      const to = valueBytes(left, right.to, 'network')
      if (isGreater(from, to)) throw new CompileError(`the range ${right.from}-${right.to} runs backwards`)
      if (op === '==') {
        compare(from, '>=')
        compare(to, '<=')
      } else if (op === '!=') {
        context.vm.push({ kind: 'range', data: { sreg: register(0), op: 1, from: { value: from }, to: { value: to } } })
      } else {
        throw new CompileError(`${op} with a range`)
      }
      return
    }
    case 'flags': {
      load(context, left, 0)
      const mask = valueBytes(left, right.flags.join('|'))
      maskRegister(context, 0, mask, { isImplied: true })
      if (op !== '==' && op !== '!=') throw new CompileError(`${op} with flags`)
      compare(new Uint8Array(mask.length), op === '==' ? '!=' : '==')
      return
    }
    case 'set':
    case 'elements':
      compareSet(context, match, right)
      return
    default:
      right satisfies never
  }
}

function comparePrefix(
  context: RuleContext,
  { left, op }: Match,
  { address, length }: Extract<Right, { kind: 'prefix' }>,
  compare: (value: Uint8Array, op: '==' | '!=') => void,
): void {
  const bytes = parseAddress(address)
  const type = singleType(left)
  if (!bytes || bytes.length !== type.bytes || length < 0 || length > bytes.length * 8) {
    throw new CompileError(`${address}/${length} is no prefix of an ${type.name}`)
  }
  if (op !== '==' && op !== '!=') throw new CompileError(`${op} with a prefix`)
  const mask = Uint8Array.from(bytes, (_, i) => {
    const bits = Math.min(8, Math.max(0, length - i * 8))
    return (0xff00 >> bits) & 0xff
  })
  const network = bytes.map((byte, i) => byte & (mask[i] ?? 0))
  if (length > 0 && length % 8 === 0) {
    // whole bytes: only they are read, where they can be
    load(context, left, 0, length / 8)
    compare(network.slice(0, length / 8), op)
    return
  }
  load(context, left, 0)
  maskRegister(context, 0, mask, { isImplied: true })
  compare(network, op)
}

function compareSet(
  context: RuleContext,
  { left, op }: Match,
  right: Extract<Right, { kind: 'set' | 'elements' }>,
): void {
  if (op !== '==' && op !== '!=') throw new CompileError(`${op} with a set`)
  const types = keyTypes(left)
  const reference =
    right.kind === 'set'
      ? namedSet(context, right.name)
      : ownSet(
          context,
          left,
          { key: types, isInterval: hasIntervals(types, right.elements), isMerged: true, isNew: true },
          right.elements.map((key) => ({ key })),
        )
  load(context, left, 0)
  swapForIntervals(context, left, reference)
  const id = reference.setId === undefined ? {} : { setId: reference.setId }
  const flags = op === '!=' ? { flags: 1 } : {}
  context.vm.push({ kind: 'lookup', data: { sreg: register(0), set: reference.set, ...id, ...flags } })
}

/** A set's element as the right side of a comparison. */
export function plainRight(type: DataType, key: Value): Right {
  if (typeof key !== 'string' || (type.symbols && Object.hasOwn(type.symbols, key)))
    return { kind: 'value', value: key }
  if (type.form === 'address' && key.includes('/')) {
    const [address = '', length] = key.split('/')
    return { kind: 'prefix', address, length: Number(length) }
  }
  if (type.form !== 'name' && type.form !== 'mac' && key.includes('-')) {
    const [from = '', to = ''] = key.split('-')
    return type.form === 'number' ? { kind: 'range', from: Number(from), to: Number(to) } : { kind: 'range', from, to }
  }
  return { kind: 'value', value: key }
}

function isWildcard(left: Selector, value: Value): value is string {
  return typeof value === 'string' && value.endsWith('*') && singleType(left).form === 'name'
}

/** `veth*`: the bytes before the star, without the closing NUL. */
function wildcard(value: string): Uint8Array {
  const name = new TextEncoder().encode(value.slice(0, -1))
  if (name.length === 0 || name.length > 15) throw new CompileError(`${value} is not a name with a wildcard`)
  return name
}

function isGreater(a: Uint8Array, b: Uint8Array): boolean {
  for (const [i, byte] of a.entries()) if (byte !== b[i]) return byte > (b[i] ?? 0)
  return false
}
