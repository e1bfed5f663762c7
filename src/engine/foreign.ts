/**
 * Tables of others on the host. A drop in any chain at the forward hook wins over every accept elsewhere, so ours must
 * stand in the very chain that would drop (Docker, ufw, firewalld).
 */
import type { Prefix } from '../ip/index.ts'
import { parsePrefix } from '../ip/index.ts'
import type { Expression } from '../nftables/expression.ts'
import { type ListedChain, type ListedRule, listChains, listRules } from '../nftables/list.ts'
import { acceptKey } from '../plan/keys.ts'
import { readTableName } from '../plan/marks.ts'
import type { Accept, Surroundings } from '../plan/state.ts'
import { codeOf } from './errors.ts'
import type { Handle } from './handles.ts'

/** The chain that Docker keeps for the rules of others; it runs before Docker's own. */
const DOCKER_USER = 'DOCKER-USER'

type At = Surroundings['forwardChains'][number]

function canDrop(rules: readonly ListedRule[], chain: string, seen: Set<string> = new Set()): boolean {
  if (seen.has(chain)) return false
  seen.add(chain)
  return rules
    .filter(({ rule }) => rule.chain === chain)
    .some(({ rule }) =>
      rule.expressions.some((e) => {
        if (e.kind === 'drop' || e.kind === 'reject') return true
        return (e.kind === 'jump' || e.kind === 'goto') && canDrop(rules, e.chain, seen)
      }),
    )
}

function isFamily(family: string): family is At['family'] {
  return family === 'ip' || family === 'ip6' || family === 'inet'
}

/** Reads what is there; a kernel without nf_tables has nothing. */
function readAll(handle: Handle): { chains: ListedChain[]; rules: ListedRule[] } {
  try {
    const chains = listChains(handle.nft()).filter((c) => isFamily(c.chain.family))
    return { chains, rules: chains.length === 0 ? [] : listRules(handle.nft()) }
  } catch (error) {
    if (codeOf(error) === 'EPROTONOSUPPORT' || codeOf(error) === 'EOPNOTSUPP') return { chains: [], rules: [] }
    throw error
  }
}

/** Chains at the forward hook that are not ours and may drop; in Docker's table the chain that it keeps for users. */
export function findForwardChains(handle: Handle): At[] {
  const { chains, rules } = readAll(handle)
  return chains.flatMap(({ chain }): At[] => {
    const { family, table, name, hook, policy } = chain
    if (hook !== 'forward' || !isFamily(family) || readTableName(table) !== undefined) return []
    const same = rules.filter(({ rule }) => rule.family === family && rule.table === table)
    if (policy !== 'drop' && !canDrop(same, name)) return []
    const user = chains.some(
      (c) => c.chain.family === family && c.chain.table === table && c.chain.name === DOCKER_USER,
    )
    return [{ family, table, chain: user ? DOCKER_USER : name }]
  })
}

function prefixOf(expressions: readonly Expression[]): Pick<Accept, 'prefix' | 'direction'> | undefined {
  for (const e of expressions) {
    if (e.kind !== 'match' || e.left.kind !== 'payload') continue
    const { field } = e.left
    if (field !== 'saddr' && field !== 'daddr') continue
    const prefix: Prefix | undefined =
      e.right.kind === 'prefix'
        ? parsePrefix(`${e.right.address}/${e.right.length}`)
        : e.right.kind === 'value'
          ? parsePrefix(String(e.right.value))
          : undefined
    if (prefix) return { prefix, direction: field }
  }
  return undefined
}

/** Our accepts in chains of others, known by their comment. */
export function readAccepts(handle: Handle, comment: string): Map<string, Accept> {
  const found = new Map<string, Accept>()
  for (const { rule, handle: number } of readAll(handle).rules) {
    const { family, table, chain } = rule
    if (rule.comment !== comment || !isFamily(family) || readTableName(table) !== undefined) continue
    const match = prefixOf(rule.expressions)
    if (!match) continue
    const accept: Accept = { family, table, chain, ...match, handle: number }
    found.set(acceptKey(accept), accept)
  }
  return found
}
