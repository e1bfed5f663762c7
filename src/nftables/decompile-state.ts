/** What is known half way through a listed rule: its registers, its packet, the expressions so far. Pure. */
import type { ElementAttrs, SetAttrs } from './attributes.ts'
import { type Known, learn } from './compile-selector.ts'
import { CompileError } from './datatypes.ts'
import type { Expression, Selector } from './expression.ts'
import type { Family } from './objects.ts'
import { findProtocol } from './selectors.ts'

/** What is known of a set that a rule names. */
export interface KnownSet {
  readonly attributes: SetAttrs
  readonly elements: () => readonly ElementAttrs[]
}

export type Resolve = (name: string) => KnownSet | undefined

/** Something that a register holds. */
export type Register =
  | {
      readonly kind: 'selector'
      readonly selector: Selector
      /** bytes loaded */
      readonly length: number
      /** where in the packet, when it is a header */
      readonly payload?: { readonly base: number; readonly offset: number }
      readonly mask?: Uint8Array
      readonly xor?: Uint8Array
      readonly isSwapped?: true
    }
  | { readonly kind: 'value'; readonly value: Uint8Array }
  | { readonly kind: 'map'; readonly key: Selector; readonly map: KnownSet & { readonly name: string } }

export type Layer = 'link' | 'network' | 'transport'

interface Item {
  readonly expression: Expression
  /** it says what the packet must be for a header to be read, as nft puts in by itself */
  readonly dependency?: Layer | undefined
}

export interface State {
  readonly family: Family
  readonly resolve: Resolve
  readonly known: Known
  /** by 4-byte slot */
  readonly registers: Map<number, Register>
  readonly isImplied: boolean
  readonly items: Item[]
}

/** Adds an expression; dependencies right before it that it brings along by itself are taken out. */
export function emit(state: State, expression: Expression): 'done' {
  const dependency = dependencyOf(state, expression)
  if (state.isImplied) dropImplied(state, usesOf(expression))
  if (expression.kind === 'match') {
    try {
      learn(state.known, expression)
    } catch (error) {
      if (!(error instanceof CompileError)) throw error
    }
  }
  state.items.push({ expression, dependency })
  return 'done'
}

function dropImplied({ items }: State, uses: ReadonlySet<Layer>): void {
  const kept: Item[] = []
  for (let last = items.at(-1); last?.dependency; last = items.at(-1)) {
    items.pop()
    if (!uses.has(last.dependency)) kept.unshift(last)
  }
  items.push(...kept)
}

function dependencyOf({ family, known }: State, expression: Expression): Layer | undefined {
  if (expression.kind !== 'match' || expression.op !== '==' || expression.right.kind !== 'value') return undefined
  if (expression.left.kind !== 'meta') return undefined
  switch (expression.left.key) {
    case 'nfproto':
      return family === 'inet' && !known.network ? 'network' : undefined
    case 'protocol':
      return family !== 'inet' && !known.network ? 'network' : undefined
    case 'l4proto':
      return known.transport === undefined ? 'transport' : undefined
    case 'iiftype':
      return known.link ? undefined : 'link'
    default:
      return undefined
  }
}

/** The layers that must be known for this expression. */
function usesOf(expression: Expression): Set<Layer> {
  const layers = new Set<Layer>()
  const add = (selector: Selector): void => {
    if (selector.kind === 'payload') {
      const needs = findProtocol(selector.protocol).needs ?? {}
      if (needs.link) layers.add('link')
      if (needs.network) layers.add('network')
      if (needs.transport !== undefined) layers.add('transport')
    } else if (selector.kind === 'concat' || selector.kind === 'jhash') {
      selector.of.forEach(add)
    } else if (selector.kind === 'and') {
      add(selector.of)
    }
  }
  switch (expression.kind) {
    case 'match':
      add(expression.left)
      break
    case 'vmap':
    case 'dynset':
      add(expression.key)
      break
    case 'snat':
    case 'dnat':
      if (expression.to.kind === 'map') add(expression.to.key)
      break
    case 'mangle': {
      add(expression.target)
      const { value } = expression
      if (value.kind === 'map') add(value.key)
      if (value.kind === 'selector' || value.kind === 'bitwise') add(value.selector)
      break
    }
    case 'reject':
      if (expression.with.kind === 'tcp reset') layers.add('transport')
      else if (expression.with.kind !== 'icmpx') layers.add('network')
      break
    default:
  }
  return layers
}
