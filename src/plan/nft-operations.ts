/** The operations that change nf_tables, as nft operations: for the kernel and for a shell alike. */
import { formatPrefix } from '../ip/index.ts'
import { accept, counter, match, payload } from '../nftables/expression.ts'
import type { Chain, Rule } from '../nftables/objects.ts'
import type { Operation as NftOperation } from '../nftables/operation.ts'
import { mark, tableName } from './marks.ts'
import type { ChainChange, Operation, OperationOf } from './operations.ts'
import { type ChainState, NOTES_CHAIN, type RuleState } from './ruleset.ts'
import type { Accept } from './state.ts'

const FAMILY = 'inet'

export type NftPlanOperation = OperationOf<
  'notes.set' | 'ruleset.set' | 'table.delete' | 'accept.add' | 'accept.delete'
>

export function isNftOperation(operation: Operation): operation is NftPlanOperation {
  return ['notes.set', 'ruleset.set', 'table.delete', 'accept.add', 'accept.delete'].includes(operation.kind)
}

function newTable(topology: string): NftOperation {
  return { verb: 'add', kind: 'table', table: { family: FAMILY, name: tableName(topology), comment: mark(topology) } }
}

function chainOf(table: string, { name, type, hook, priority }: ChainState): Chain {
  return { family: FAMILY, table, name, type, hook, priority, policy: 'accept' }
}

function ruleOf(table: string, chain: string, { expressions, comment }: RuleState): Rule {
  return { family: FAMILY, table, chain, expressions, ...(comment === undefined ? {} : { comment }) }
}

function deleteRules(table: string, chain: string, rules: readonly RuleState[]): NftOperation[] {
  return rules.flatMap(({ handle }): NftOperation[] =>
    handle === undefined ? [] : [{ verb: 'delete', kind: 'rule', rule: { family: FAMILY, table, chain, handle } }],
  )
}

function chainOperations(table: string, { chain, change, deleted, added }: ChainChange): NftOperation[] {
  const name = { family: FAMILY, table, name: chain.name } as const
  if (change === 'delete') {
    return [
      { verb: 'flush', kind: 'chain', chain: name },
      { verb: 'delete', kind: 'chain', chain: name },
    ]
  }
  const additions = added.map(({ rule, before }): NftOperation => {
    const ready = ruleOf(table, chain.name, rule)
    return before === undefined
      ? { verb: 'add', kind: 'rule', rule: ready }
      : { verb: 'insert', kind: 'rule', rule: ready, position: before }
  })
  return [
    ...(change === 'add' ? [{ verb: 'add', kind: 'chain', chain: chainOf(table, chain) } as const] : []),
    ...deleteRules(table, chain.name, deleted),
    ...additions,
  ]
}

/** The rule that lets packets of a prefix through a chain of others; recognised later by its comment. */
export function acceptRule(topology: string, a: Accept): Rule {
  const header = a.prefix.family === 4 ? 'ip' : 'ip6'
  return {
    family: a.family,
    table: a.table,
    chain: a.chain,
    expressions: [match(payload(header, a.direction), formatPrefix(a.prefix)), counter, accept],
    comment: mark(topology),
  }
}

export function nftOperations(topology: string, operation: NftPlanOperation): NftOperation[] {
  const table = tableName(topology)
  switch (operation.kind) {
    case 'table.delete':
      return [{ verb: 'delete', kind: 'table', table: { family: FAMILY, name: table } }]
    case 'notes.set': {
      const chain = { family: FAMILY, table, name: NOTES_CHAIN } as const
      return [
        ...(operation.table === 'add' ? [newTable(topology)] : []),
        { verb: 'add', kind: 'chain', chain },
        { verb: 'flush', kind: 'chain', chain },
        ...operation.notes.map(
          (comment): NftOperation => ({
            verb: 'add',
            kind: 'rule',
            rule: ruleOf(table, NOTES_CHAIN, { expressions: [{ kind: 'continue' }], comment }),
          }),
        ),
      ]
    }
    case 'ruleset.set':
      return [
        ...(operation.table === 'add' ? [newTable(topology)] : []),
        ...operation.chains.flatMap((change) => chainOperations(table, change)),
      ]
    case 'accept.add':
      return [{ verb: 'insert', kind: 'rule', rule: acceptRule(topology, operation.accept) }]
    case 'accept.delete': {
      const { family, table, chain, handle } = operation.accept
      if (handle === undefined) return []
      return [{ verb: 'delete', kind: 'rule', rule: { family, table, chain, handle } }]
    }
    default:
      return operation satisfies never
  }
}
