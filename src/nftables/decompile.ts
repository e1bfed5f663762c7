/**
 * Listed rules back into the language of `expression.ts`. What has no words there stays an expression of the virtual
 * machine. Nothing is trusted: the result is compiled again, and where that does not give the same expressions, the
 * rule is kept as the kernel has it. Pure.
 */
import { dataOf, type Vm } from './attributes-expressions.ts'
import { compileRule } from './compile.ts'
import { knownAtStart } from './compile-selector.ts'
import { CompileError } from './datatypes.ts'
import { canonicalVm } from './decompile-compare.ts'
import type { Resolve, State } from './decompile-state.ts'
import { decompileOne } from './decompile-statement.ts'
import type { Expression } from './expression.ts'
import type { Family } from './objects.ts'

export type { KnownSet, Resolve } from './decompile-state.ts'

export interface Counters {
  readonly packets: bigint
  readonly bytes: bigint
}

export interface DecompiledRule {
  readonly expressions: readonly Expression[]
  readonly counters: readonly Counters[]
}

/** Never throws: what is not understood is kept as it is. */
export function decompileRule(family: Family, table: string, vm: readonly Vm[], resolve: Resolve): DecompiledRule {
  const counters = vm.flatMap((expression) => {
    const counter = dataOf(expression, 'counter')
    return counter ? [{ packets: counter.packets ?? 0n, bytes: counter.bytes ?? 0n }] : []
  })
  const listed = canonicalVm(vm)
  // first with nft's own dependencies left out, then with every one of them said
  for (const isImplied of [true, false]) {
    const expressions = attempt(family, vm, resolve, isImplied)
    if (compilesTo(family, table, expressions, listed)) return { expressions, counters }
  }
  return { expressions: vm.map((expression) => ({ kind: 'vm', expression })), counters }
}

function compilesTo(family: Family, table: string, expressions: readonly Expression[], listed: string): boolean {
  try {
    return canonicalVm(compileRule({ family, table, expressions }).expressions) === listed
  } catch (error) {
    if (error instanceof CompileError || error instanceof RangeError) return false
    throw error
  }
}

function attempt(family: Family, vm: readonly Vm[], resolve: Resolve, isImplied: boolean): Expression[] {
  const state: State = {
    family,
    resolve,
    known: knownAtStart(family),
    registers: new Map(),
    isImplied,
    items: [],
  }
  // expressions that only filled registers; they belong to the next one that does something
  let loads: Vm[] = []
  for (let i = 0; i < vm.length; i++) {
    const expression = vm[i]
    if (!expression) continue
    const done = decompileOne(state, expression, vm[i + 1])
    switch (done) {
      case 'loaded':
        loads.push(expression)
        break
      case 'unknown':
        for (const kept of [...loads, expression]) state.items.push({ expression: { kind: 'vm', expression: kept } })
        loads = []
        break
      case 'done':
      case 'done with next':
        loads = []
        if (done === 'done with next') i++
        break
      default:
        done satisfies never
    }
  }
  for (const expression of loads) state.items.push({ expression: { kind: 'vm', expression } })
  return state.items.map(({ expression }) => expression)
}
