/** The topology's own table as it is in the kernel. */
import { listChains, listRules, listTables } from '../nftables/list.ts'
import { readTableName, tableName } from '../plan/marks.ts'
import { type ChainState, NOTES_CHAIN, type RuleState, type Ruleset } from '../plan/ruleset.ts'
import { codeOf } from './errors.ts'
import type { Handle } from './handles.ts'

const FAMILY = 'inet'

export interface OwnTable {
  readonly exists: boolean
  readonly ruleset: Ruleset
  readonly notes: readonly string[]
}

const none: OwnTable = { exists: false, ruleset: [], notes: [] }

/** Topologies that have a table in this namespace. A kernel without nf_tables has none. */
export function listOwnTables(handle: Handle): string[] {
  try {
    return listTables(handle.nft(), { family: FAMILY }).flatMap(({ table }) => readTableName(table.name) ?? [])
  } catch (error) {
    if (codeOf(error) === 'EPROTONOSUPPORT' || codeOf(error) === 'EOPNOTSUPP') return []
    throw error
  }
}

export function readTable(handle: Handle, topology: string): OwnTable {
  if (!listOwnTables(handle).includes(topology)) return none
  const scope = { family: FAMILY, table: tableName(topology) } as const
  const rules = new Map<string, RuleState[]>()
  for (const { rule, handle: number } of listRules(handle.nft(), scope)) {
    const state = {
      expressions: rule.expressions,
      ...(rule.comment === undefined ? {} : { comment: rule.comment }),
      handle: number,
    }
    const known = rules.get(rule.chain)
    if (known) known.push(state)
    else rules.set(rule.chain, [state])
  }
  const ruleset = listChains(handle.nft(), scope).flatMap(({ chain }): ChainState[] => {
    const { name, type, hook, priority } = chain
    if (name === NOTES_CHAIN || (type !== 'nat' && type !== 'filter')) return []
    if (hook === undefined || hook === 'ingress' || hook === 'egress') return []
    return [{ name, type, hook, priority: priority ?? 0, rules: rules.get(name) ?? [] }]
  })
  const notes = (rules.get(NOTES_CHAIN) ?? []).flatMap((rule) => rule.comment ?? [])
  return { exists: true, ruleset, notes }
}
