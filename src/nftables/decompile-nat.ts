/** Address and port translation of listed rules, and what registers hold for it. Pure. */
import type { VmData } from './attributes-expressions.ts'
import { natFamilies, natFlags } from './compile-statement.ts'
import { decodeValue, type TypeName, typeOf } from './datatypes.ts'
import { slotOf } from './decompile-load.ts'
import { isOwn, ownElements } from './decompile-match.ts'
import type { Register, State } from './decompile-state.ts'
import type { DataMap, Expression, Key, NatFlag, NatTarget, Ports, Value } from './expression.ts'

export function registerAt(state: State, number: number | undefined): Register | undefined {
  const slot = slotOf(number)
  return slot === undefined ? undefined : state.registers.get(slot)
}

export function selectorAt(
  state: State,
  number: number | undefined,
): Extract<Register, { kind: 'selector' }> | undefined {
  const register = registerAt(state, number)
  return register?.kind === 'selector' ? register : undefined
}

/** A map whose values have these types. */
export function dataMap(register: Extract<Register, { kind: 'map' }>, types: readonly TypeName[]): DataMap | undefined {
  if (!isOwn(register.map)) return { kind: 'set', name: register.map.name }
  const entries = ownElements(register.map, register.key, types)
  if (!entries) return undefined
  const elements = entries.map((e): readonly [Key, Value | readonly Value[]] => [e.key, e.value ?? 0])
  return { kind: 'elements', elements }
}

/** Flags by name; undefined when there are others. The two lowest say which ranges there are. */
function natFlagsOf(bits: number | undefined): { flags?: NatFlag[] } | undefined {
  const rest = (bits ?? 0) & ~3
  const flags = (Object.keys(natFlags) as NatFlag[]).filter((flag) => rest & natFlags[flag])
  if (flags.reduce((sum, flag) => sum | natFlags[flag], 0) !== rest) return undefined
  return flags.length ? { flags } : {}
}

function valueAt(state: State, number: number | undefined, type: TypeName): Value | undefined {
  const register = registerAt(state, number)
  return register?.kind === 'value' ? decodeValue(typeOf(type), register.value) : undefined
}

/** `null` where the registers do not hold ports. */
function portsAt(state: State, min: number | undefined, max: number | undefined): Ports | undefined | null {
  if (min === undefined) return undefined
  const from = valueAt(state, min, 'inet_service')
  const to = max === undefined || max === min ? undefined : valueAt(state, max, 'inet_service')
  if (typeof from !== 'number' || (to !== undefined && typeof to !== 'number')) return null
  return to === undefined ? { from } : { from, to }
}

export function nat(state: State, data: VmData<'nat'>): Expression | undefined {
  const families = Object.keys(natFamilies) as ('ip' | 'ip6')[]
  const family = families.find((name) => natFamilies[name] === data.family)
  const flags = natFlagsOf(data.flags)
  if (!family || !flags) return undefined
  const address: TypeName = family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'
  const to = natTarget(state, data, address)
  return to && { kind: data.type === 1 ? 'dnat' : 'snat', family, to, ...flags }
}

function natTarget(state: State, data: VmData<'nat'>, address: TypeName): NatTarget | undefined {
  const register = registerAt(state, data.addrMin)
  if (register?.kind === 'map') {
    const withPort = data.protoMin === undefined ? {} : { withPort: true as const }
    const map = dataMap(register, data.protoMin === undefined ? [address] : [address, 'inet_service'])
    return map && { kind: 'map', key: register.key, map, ...withPort }
  }
  const first = data.addrMin === undefined ? undefined : valueAt(state, data.addrMin, address)
  const isRange = data.addrMax !== undefined && data.addrMax !== data.addrMin
  const last = isRange ? valueAt(state, data.addrMax, address) : undefined
  if ((data.addrMin !== undefined && typeof first !== 'string') || (isRange && typeof last !== 'string'))
    return undefined
  const ports = portsAt(state, data.protoMin, data.protoMax)
  if (ports === null) return undefined
  return {
    kind: 'address',
    ...(typeof first === 'string' ? { address: first } : {}),
    ...(typeof last === 'string' ? { last } : {}),
    ...(ports ? { ports } : {}),
  }
}

export function portMapping(
  state: State,
  kind: 'masquerade' | 'redirect',
  data: { flags?: number; protoMin?: number; protoMax?: number },
): Expression | undefined {
  const flags = natFlagsOf(data.flags)
  const ports = portsAt(state, data.protoMin, data.protoMax)
  return flags && ports !== null ? { kind, ...(ports ? { ports } : {}), ...flags } : undefined
}
