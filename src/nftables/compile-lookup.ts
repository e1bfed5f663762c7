/** Lookups in sets and maps, and the sets that a rule brings along. Pure. */
import type { ElementAttrs, SetAttrs } from './attributes.ts'
import { type Context, load, register, requireFor } from './compile-selector.ts'
import { CompileError, type TypeName, typeOf } from './datatypes.ts'
import { type ElementTypes, hasIntervals, wireElements } from './elements.ts'
import type { DataMap, Key, Selector, Verdict, VerdictMap } from './expression.ts'
import type { Element } from './objects.ts'
import { findField, typesOf } from './selectors.ts'
import { declareAnonymous } from './sets.ts'

/** A rule's own set: its declaration and its elements, for the same transaction. */
export interface OwnSet {
  readonly id: number
  readonly declaration: SetAttrs
  readonly types: ElementTypes
  readonly elements: ElementAttrs[]
}

export interface RuleContext extends Context {
  readonly table: string
  readonly sets: OwnSet[]
  readonly firstSetId: number
  /** the number of a named set that the same transaction makes */
  readonly setIds: (name: string) => number | undefined
}

/** Adds a set of the rule's own and returns what a lookup names it by. */
export function ownSet(
  context: RuleContext,
  from: Selector,
  types: ElementTypes,
  elements: readonly Element[],
): SetReference {
  if (elements.length === 0) throw new CompileError('a set of a rule needs an element')
  const wire = wireElements(types, elements)
  const id = context.firstSetId + context.sets.length
  const declaration = declareAnonymous(context.table, types, from, id, wire.length)
  context.sets.push({ id, declaration, types, elements: wire })
  return { set: declaration.name ?? '', setId: id, isInterval: types.isInterval }
}

export interface SetReference {
  readonly set: string
  readonly setId?: number
  readonly isInterval?: boolean
}

export function namedSet(context: RuleContext, name: string): SetReference {
  const setId = context.setIds(name)
  return setId === undefined ? { set: name } : { set: name, setId }
}

/** Types of the key of a set that this selector is looked up in. */
export function keyTypes(selector: Selector): TypeName[] {
  if (selector.kind === 'payload' && findField(selector).bits) {
    throw new CompileError(`${selector.protocol} ${selector.field} cannot be looked up in a set`)
  }
  return typesOf(selector)
}

/** The map behind a lookup; `data` says what it gives. */
export function mapData(
  context: RuleContext,
  key: Selector,
  map: VerdictMap | DataMap,
  data: readonly TypeName[] | 'verdict',
): SetReference {
  if (map.kind === 'set') return namedSet(context, map.name)
  const types = keyTypes(key)
  const entries: readonly (readonly [Key, unknown])[] = map.elements
  const isInterval = hasIntervals(
    types,
    entries.map(([k]) => k),
  )
  const elements = entries.map(
    ([k, value]): Element =>
      data === 'verdict' ? { key: k, verdict: value as Verdict } : { key: k, value: value as Element['value'] & {} },
  )
  return ownSet(context, key, { key: types, data, isInterval, isMerged: false, isNew: true }, elements)
}

/** Loads the key and looks it up; `dreg` is where the map's value goes: 0 for verdicts. */
export function lookup(context: RuleContext, key: Selector, map: SetReference, dreg: number): void {
  requireFor(context, key)
  load(context, key, 0)
  swapForIntervals(context, key, map)
  const { set, setId } = map
  const ends = setId === undefined ? {} : { setId }
  context.vm.push({ kind: 'lookup', data: { sreg: register(0), dreg, set, ...ends } })
}

/** Intervals are kept in network order, so a number in host order is turned round before the lookup. */
export function swapForIntervals(context: RuleContext, key: Selector, map: SetReference): void {
  const types = typesOf(key)
  const [name] = types
  if (!map.isInterval || types.length !== 1 || !name) return
  swapToNetworkOrder(context, name)
}

export function swapToNetworkOrder(context: RuleContext, name: TypeName): void {
  const size = swappedSize(name)
  if (size === 0) return
  const reg = register(0)
  context.vm.push({ kind: 'byteorder', data: { sreg: reg, dreg: reg, op: 1, len: size, size } })
}

/** Bytes to turn round for comparisons by size; 0 when they are in network order already. */
export function swappedSize(name: TypeName): number {
  const type = typeOf(name)
  return type.order === 'host' && type.form === 'number' && type.bytes > 1 ? type.bytes : 0
}
