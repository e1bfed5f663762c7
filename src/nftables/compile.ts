/** Rules into expressions of the kernel's virtual machine, as nft makes them: same registers, same order. Pure. */
import type { Vm } from './attributes-expressions.ts'
import { lookup, mapData, type OwnSet, type RuleContext } from './compile-lookup.ts'
import { compileMatch, mergeMatches } from './compile-match.ts'
import { knownAtStart, learn, requireFor } from './compile-selector.ts'
import { compileStatement } from './compile-statement.ts'
import { verdictData } from './elements.ts'
import type { Expression } from './expression.ts'
import type { Rule } from './objects.ts'

export interface CompiledRule {
  readonly expressions: Vm[]
  readonly sets: readonly OwnSet[]
}

/** How the sets of a transaction are numbered, which is how its messages refer to them. */
export interface SetIds {
  /** of the rule's first own set */
  readonly first: number
  /** of a named set that the same transaction makes */
  readonly of: (name: string) => number | undefined
}

/** Compiles a rule with its own sets. Throws CompileError. */
export function compileRule(
  { family, table, expressions }: Pick<Rule, 'family' | 'table' | 'expressions'>,
  setIds: SetIds = { first: 1, of: () => undefined },
): CompiledRule {
  const context: RuleContext = {
    family,
    table,
    known: knownAtStart(family),
    vm: [],
    sets: [],
    firstSetId: setIds.first,
    setIds: setIds.of,
  }
  for (const expression of mergeMatches(expressions)) {
    if ('merged' in expression) {
      requireFor(context, expression.first)
      const { dreg, base, offset, value } = expression.merged
      context.vm.push({ kind: 'payload', data: { dreg, base, offset, len: value.length } })
      context.vm.push({ kind: 'cmp', data: { sreg: dreg, op: 0, data: { value } } })
      for (const match of expression.of) learn(context.known, match)
    } else {
      compileExpression(context, expression)
    }
  }
  return { expressions: context.vm, sets: context.sets }
}

function compileExpression(context: RuleContext, expression: Expression): void {
  switch (expression.kind) {
    case 'match':
      compileMatch(context, expression)
      learn(context.known, expression)
      return
    case 'vmap':
      lookup(context, expression.key, mapData(context, expression.key, expression.map, 'verdict'), 0)
      return
    case 'accept':
    case 'drop':
    case 'return':
    case 'continue':
    case 'jump':
    case 'goto':
      context.vm.push({ kind: 'immediate', data: { dreg: 0, data: verdictData(expression) } })
      return
    default:
      compileStatement(context, expression)
  }
}
