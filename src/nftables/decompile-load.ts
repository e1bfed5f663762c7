/** Expressions that only fill registers. Pure. */
import { dataOf, type Vm, type VmData } from './attributes-expressions.ts'
import { bytesToNumber, typeOf } from './datatypes.ts'
import { fieldLength, keyAt, protocolsAt, singleTypeOf } from './decompile-match.ts'
import type { Register, State } from './decompile-state.ts'
import type { FibFlag, Selector } from './expression.ts'
import {
  ctKeys,
  fibFlags,
  fibResults,
  keyByNumber,
  type Layer,
  layerNumbers,
  metaKeys,
  rtKeys,
  socketKeys,
} from './selectors.ts'

/** The 4-byte slot of a register; undefined for the verdict and for numbers that are none. */
export function slotOf(register: number | undefined): number | undefined {
  if (register === undefined) return undefined
  if (register >= 1 && register <= 4) return (register - 1) * 4
  return register >= 8 && register <= 23 ? register - 8 : undefined
}

/** 'loaded', 'unknown' for a load that has no words, undefined for an expression that is none. */
export function loadRegister(state: State, vm: Vm): 'loaded' | 'unknown' | undefined {
  const put = (dreg: number | undefined, register: Register | undefined): 'loaded' | 'unknown' => {
    const slot = slotOf(dreg)
    if (slot === undefined || !register) return 'unknown'
    state.registers.set(slot, register)
    return 'loaded'
  }
  const selector = (dreg: number | undefined, loaded: Selector | undefined): 'loaded' | 'unknown' => {
    const type = loaded && singleTypeOf(loaded)
    return put(dreg, type && { kind: 'selector', selector: loaded, length: type.bytes })
  }
  switch (vm.kind) {
    case 'immediate': {
      const { dreg, data } = dataOf(vm, 'immediate') ?? {}
      return dreg === 0 ? undefined : put(dreg, data?.value && { kind: 'value', value: data.value })
    }
    case 'payload': {
      const data = dataOf(vm, 'payload') ?? {}
      return data.dreg === undefined ? undefined : put(data.dreg, header(state, data))
    }
    case 'meta': {
      const { dreg, key = -1 } = dataOf(vm, 'meta') ?? {}
      const name = keyByNumber(metaKeys, key)
      return dreg === undefined
        ? undefined
        : selector(dreg, name === undefined ? undefined : { kind: 'meta', key: name })
    }
    case 'ct': {
      const { dreg, key = -1, direction } = dataOf(vm, 'ct') ?? {}
      if (dreg === undefined) return undefined
      const name = keyByNumber(ctKeys, key)
      const way = direction === undefined ? {} : { direction: direction ? ('reply' as const) : ('original' as const) }
      return selector(dreg, name === undefined ? undefined : { kind: 'ct', key: name, ...way })
    }
    case 'rt': {
      const { dreg, key = -1 } = dataOf(vm, 'rt') ?? {}
      const name = keyByNumber(rtKeys, key)
      return selector(dreg, name === undefined ? undefined : { kind: 'rt', key: name })
    }
    case 'socket': {
      const { dreg, key = -1 } = dataOf(vm, 'socket') ?? {}
      const name = keyByNumber(socketKeys, key)
      return selector(dreg, name === undefined ? undefined : { kind: 'socket', key: name })
    }
    case 'fib': {
      const { dreg, result, flags = 0 } = dataOf(vm, 'fib') ?? {}
      const names = Object.keys(fibFlags) as FibFlag[]
      const set = names.filter((name) => flags & fibFlags[name])
      const sum = set.reduce((bits, name) => bits | fibFlags[name], 0)
      const results = Object.keys(fibResults) as (keyof typeof fibResults)[]
      const found = results.find((name) => fibResults[name][0] === result && (sum | fibResults[name][1]) === flags)
      return selector(dreg, found && { kind: 'fib', flags: set, result: found })
    }
    case 'numgen': {
      const { dreg, modulus = 0, type, offset } = dataOf(vm, 'numgen') ?? {}
      const mode = type === 1 ? 'random' : 'inc'
      return selector(dreg, { kind: 'numgen', mode, modulus, ...(offset ? { offset } : {}) })
    }
    case 'hash':
      return selector(dataOf(vm, 'hash')?.dreg, hash(state, dataOf(vm, 'hash') ?? {}))
    case 'bitwise': {
      const { sreg, dreg, op = 0, mask, xor } = dataOf(vm, 'bitwise') ?? {}
      const slot = slotOf(sreg)
      const register = slot === undefined ? undefined : state.registers.get(slot)
      if (sreg !== dreg || op !== 0 || register?.kind !== 'selector' || register.mask) return 'unknown'
      return mask?.value && xor?.value ? put(dreg, masked(state, register, mask.value, xor.value)) : 'unknown'
    }
    case 'byteorder': {
      const { sreg, dreg } = dataOf(vm, 'byteorder') ?? {}
      const slot = slotOf(sreg)
      const register = slot === undefined ? undefined : state.registers.get(slot)
      if (sreg !== dreg || register?.kind !== 'selector') return 'unknown'
      return put(dreg, { ...register, isSwapped: true })
    }
    default:
      return undefined
  }
}

/** A header field, the leading bytes of an address, or bytes at a place. */
function header(state: State, { base = -1, offset = 0, len = 0 }: VmData<'payload'>): Register | undefined {
  const payload = { base, offset }
  for (const [protocol, { fields }] of protocolsAt(state, base)) {
    for (const [field, definition] of Object.entries(fields)) {
      if (definition.offset !== offset || definition.bits) continue
      const isLeading = len < fieldLength(definition) && typeOf(definition.type).form === 'address' && len > 0
      if (len === fieldLength(definition) || isLeading) {
        return { kind: 'selector', selector: { kind: 'payload', protocol, field }, length: len, payload }
      }
    }
  }
  const layer = (Object.keys(layerNumbers) as Layer[]).find((name) => layerNumbers[name] === base)
  if (!layer) return undefined
  const selector: Selector = { kind: 'raw', base: layer, offset: offset * 8, length: len * 8 }
  return { kind: 'selector', selector, length: len, payload }
}

/** A mask may be what cuts a narrow field out of its bytes. */
function masked(
  state: State,
  register: Extract<Register, { kind: 'selector' }>,
  mask: Uint8Array,
  xor: Uint8Array,
): Register {
  const { payload } = register
  const number = Number(bytesToNumber(mask, 'network'))
  if (payload && xor.every((byte) => byte === 0)) {
    for (const [protocol, { fields }] of protocolsAt(state, payload.base)) {
      for (const [field, { offset, bits }] of Object.entries(fields)) {
        if (!bits || offset !== payload.offset || bits.bytes !== mask.length || bits.mask !== number) continue
        return { kind: 'selector', selector: { kind: 'payload', protocol, field }, length: bits.bytes, payload }
      }
    }
  }
  return { ...register, mask, xor }
}

function hash(state: State, { sreg, len = 0, modulus = 0, seed, offset, type }: VmData<'hash'>): Selector | undefined {
  const shift = offset ? { offset } : {}
  if (type === 1) return { kind: 'symhash', modulus, ...shift }
  const slot = slotOf(sreg)
  const found = slot === undefined ? undefined : keyAt(state, slot, len)
  if (!found) return undefined
  const of = found.key.kind === 'concat' ? found.key.of : [found.key]
  return { kind: 'jhash', of, modulus, ...(seed === undefined ? {} : { seed }), ...shift }
}
