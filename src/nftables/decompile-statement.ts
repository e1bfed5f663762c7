/** One expression of the virtual machine at a time. Pure. */
import { dataOf, type Vm, type VmData } from './attributes-expressions.ts'
import { limitUnits, logFlags, logLevels, rejectCodes } from './compile-statement.ts'
import { bytesToNumber, decodeValue, type TypeName, typeOf } from './datatypes.ts'
import { decodeVerdict } from './decompile-elements.ts'
import { loadRegister, slotOf } from './decompile-load.ts'
import {
  decompileCmp,
  decompileRange,
  isOwn,
  keyAt,
  opName,
  ownElements,
  protocolsAt,
  singleTypeOf,
  splitFields,
} from './decompile-match.ts'
import { dataMap, nat, portMapping, registerAt, selectorAt } from './decompile-nat.ts'
import { emit, type Register, type State } from './decompile-state.ts'
import type { ConnectionLimit, Counter, Expression, Limit, LogFlag, Quota, Selector, Source } from './expression.ts'
import { ctKeys, keyByNumber, metaKeys } from './selectors.ts'

export type Outcome = 'loaded' | 'done' | 'done with next' | 'unknown'

export function decompileOne(state: State, vm: Vm, next: Vm | undefined): Outcome {
  if ('raw' in vm) return 'unknown'
  const loaded = loadRegister(state, vm)
  if (loaded) return loaded
  const statement = (expression: Expression | undefined): Outcome => (expression ? emit(state, expression) : 'unknown')
  switch (vm.kind) {
    case 'immediate': {
      const verdict = decodeVerdict(dataOf(vm, 'immediate')?.data)
      return statement(verdict)
    }
    case 'cmp':
      return compare(state, vm, next)
    case 'range': {
      const data = dataOf(vm, 'range')
      const register = selectorAt(state, data?.sreg)
      const { from, to } = { from: data?.from?.value, to: data?.to?.value }
      if (!register || !from || !to) return 'unknown'
      return statement(decompileRange(register, data?.op === 1 ? '!=' : '==', from, to))
    }
    case 'lookup':
      return lookup(state, dataOf(vm, 'lookup') ?? {})
    case 'counter':
    case 'limit':
    case 'quota':
    case 'connlimit':
      return statement(stateful(vm))
    case 'notrack':
      return statement({ kind: 'notrack' })
    case 'nat':
      return statement(nat(state, dataOf(vm, 'nat') ?? {}))
    case 'masq': {
      const data = dataOf(vm, 'masq') ?? {}
      return statement(portMapping(state, 'masquerade', data))
    }
    case 'redir':
      return statement(portMapping(state, 'redirect', dataOf(vm, 'redir') ?? {}))
    case 'reject':
      return statement(reject(state, dataOf(vm, 'reject') ?? {}))
    case 'log':
      return statement(log(dataOf(vm, 'log') ?? {}))
    case 'meta': {
      const data = dataOf(vm, 'meta')
      const key = keyByNumber(metaKeys, data?.key ?? -1)
      return statement(key === undefined ? undefined : mangle(state, { kind: 'meta', key }, data?.sreg))
    }
    case 'ct': {
      const data = dataOf(vm, 'ct')
      const key = keyByNumber(ctKeys, data?.key ?? -1)
      return statement(key === undefined ? undefined : mangle(state, { kind: 'ct', key }, data?.sreg))
    }
    case 'payload':
      return statement(payloadWrite(state, dataOf(vm, 'payload') ?? {}))
    case 'dynset':
      return statement(dynset(state, dataOf(vm, 'dynset') ?? {}))
    default:
      return 'unknown'
  }
}

function compare(state: State, vm: Vm, next: Vm | undefined): Outcome {
  const data = dataOf(vm, 'cmp')
  const register = selectorAt(state, data?.sreg)
  const op = opName(data?.op)
  const bytes = data?.data?.value
  if (!register || !op || !bytes) return 'unknown'
  const after = dataOf(next, 'cmp')
  if (op === '>=' && opName(after?.op) === '<=' && after?.sreg === data.sreg && after?.data?.value) {
    const match = decompileRange(register, '==', bytes, after.data.value)
    if (match) {
      emit(state, match)
      return 'done with next'
    }
  }
  const isField = register.selector.kind !== 'raw'
  const split = op === '==' && !isField ? splitFields(state, register, bytes) : undefined
  if (split) {
    for (const match of split) emit(state, match)
    return 'done'
  }
  const match = decompileCmp(register, op, bytes)
  return match ? emit(state, match) : 'unknown'
}

function lookup(state: State, data: VmData<'lookup'>): Outcome {
  const { set: name, sreg, dreg, flags = 0 } = data
  const slot = slotOf(sreg)
  const set = name === undefined ? undefined : state.resolve(name)
  if (name === undefined || slot === undefined || !set) return 'unknown'
  const found = keyAt(state, slot, set.attributes.keyLen ?? 0)
  if (!found) return 'unknown'
  const { key } = found
  if (dreg === undefined) {
    const op = flags & 1 ? '!=' : '=='
    if (!isOwn(set)) return emit(state, { kind: 'match', left: key, op, right: { kind: 'set', name } })
    const elements = ownElements(set, key)?.map((element) => element.key)
    return elements ? emit(state, { kind: 'match', left: key, op, right: { kind: 'elements', elements } }) : 'unknown'
  }
  if (dreg === 0) {
    if (!isOwn(set)) return emit(state, { kind: 'vmap', key, map: { kind: 'set', name } })
    const entries = ownElements(set, key, 'verdict')
    if (!entries) return 'unknown'
    const elements = entries.flatMap((e) => (e.verdict ? [[e.key, e.verdict] as const] : []))
    return emit(state, { kind: 'vmap', key, map: { kind: 'elements', elements } })
  }
  const target = slotOf(dreg)
  if (target === undefined) return 'unknown'
  state.registers.set(target, { kind: 'map', key, map: { ...set, name } })
  return 'loaded'
}

function stateful(vm: Vm): Limit | Counter | Quota | ConnectionLimit | undefined {
  switch (vm.kind) {
    case 'counter':
      return { kind: 'counter' }
    case 'limit': {
      const data = dataOf(vm, 'limit')
      const units = Object.keys(limitUnits) as Limit['per'][]
      const per = units.find((unit) => BigInt(limitUnits[unit]) === data?.unit)
      if (!per || data?.rate === undefined) return undefined
      const over = (data.flags ?? 0) & 1 ? { over: true as const } : {}
      const unit = data.type === 1 ? 'bytes' : 'packets'
      return { kind: 'limit', rate: Number(data.rate), per, unit, burst: data.burst ?? 0, ...over }
    }
    case 'quota': {
      const data = dataOf(vm, 'quota')
      const over = (data?.flags ?? 0) & 1 ? { over: true as const } : {}
      return { kind: 'quota', bytes: Number(data?.bytes ?? 0n), ...over }
    }
    case 'connlimit': {
      const data = dataOf(vm, 'connlimit')
      return { kind: 'connlimit', count: data?.count ?? 0, ...((data?.flags ?? 0) & 1 ? { over: true as const } : {}) }
    }
    default:
      return undefined
  }
}

function reject(state: State, { type, code }: VmData<'reject'>): Expression | undefined {
  if (type === 1) return { kind: 'reject', with: { kind: 'tcp reset' } }
  const kind = type === 2 ? 'icmpx' : state.known.network === 'ip6' ? 'icmpv6' : 'icmp'
  const codes = rejectCodes[kind]
  const name = Object.keys(codes).find((word) => codes[word] === (code ?? 0))
  return name === undefined ? undefined : { kind: 'reject', with: { kind, code: name } }
}

const LOG_WARN = 4

function log(data: VmData<'log'>): Expression | undefined {
  const level = Object.keys(logLevels).find((name) => logLevels[name] === data.level)
  const bits = data.flags ?? 0
  const flags = (Object.keys(logFlags) as LogFlag[]).filter((flag) => bits & logFlags[flag])
  const isDefault = data.level === undefined || data.level === LOG_WARN
  if (level === undefined && data.level !== undefined) return undefined
  return {
    kind: 'log',
    ...(data.prefix ? { prefix: data.prefix } : {}),
    ...(data.group === undefined ? {} : { group: data.group }),
    ...(data.snaplen ? { snaplen: data.snaplen } : {}),
    ...(data.qthreshold ? { queueThreshold: data.qthreshold } : {}),
    ...(level === undefined || isDefault ? {} : { level }),
    ...(flags.length ? { flags } : {}),
  }
}

function payloadWrite(state: State, data: VmData<'payload'>): Expression | undefined {
  for (const [protocol, { fields }] of protocolsAt(state, data.base ?? -1)) {
    for (const [field, { offset, type, bits }] of Object.entries(fields)) {
      if (offset !== data.offset || bits || typeOf(type).bytes !== data.len) continue
      return mangle(state, { kind: 'payload', protocol, field }, data.sreg)
    }
  }
  return undefined
}

function mangle(state: State, target: Selector, sreg: number | undefined): Expression | undefined {
  const register = registerAt(state, sreg)
  const value = register && source(register, target)
  return value && { kind: 'mangle', target, value }
}

function source(register: Register, target: Selector): Source | undefined {
  const type = singleTypeOf(target)
  if (!type) return undefined
  switch (register.kind) {
    case 'value': {
      const value = decodeValue(type, register.value)
      return value === undefined ? undefined : { kind: 'value', value }
    }
    case 'selector': {
      const { selector, mask, xor } = register
      if (!mask || !xor) return { kind: 'selector', selector }
      const number = (bytes: Uint8Array): number => Number(bytesToNumber(bytes, type.order))
      return { kind: 'bitwise', selector, mask: number(mask), xor: number(xor) }
    }
    case 'map': {
      const map = dataMap(register, [type.name as TypeName])
      return map && { kind: 'map', key: register.key, map }
    }
    default:
      return register satisfies never
  }
}

function dynset(state: State, data: VmData<'dynset'>): Expression | undefined {
  const slot = slotOf(data.sregKey)
  const set = data.set === undefined ? undefined : state.resolve(data.set)
  const op = (['add', 'update', 'delete'] as const)[data.op ?? -1]
  if (slot === undefined || !set || !op || data.set === undefined || data.sregData !== undefined) return undefined
  const found = keyAt(state, slot, set.attributes.keyLen ?? 0)
  const kept = [...(data.expr ? [data.expr] : []), ...(data.expressions ?? [])].map((expression) =>
    stateful(expression),
  )
  if (!found || !kept.every((e) => e !== undefined)) return undefined
  return {
    kind: 'dynset',
    op,
    set: data.set,
    key: found.key,
    ...(!data.timeout ? {} : { timeout: Number(data.timeout) }),
    ...(kept.length ? { stateful: kept } : {}),
  }
}
