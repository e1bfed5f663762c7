/** What has to change in a table so that its chains hold the wanted rules; rules that stay keep their counters. */
import type { ChainChange } from './operations.ts'
import { type ChainState, type RuleState, type Ruleset, ruleKey } from './ruleset.ts'

/** Pairs of indices of a longest common subsequence; chains are short. */
function commonRules(a: readonly string[], b: readonly string[]): Map<number, number> {
  const lengths = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0))
  const at = (i: number, j: number): number => lengths[i]?.[j] ?? 0
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const row = lengths[i]
      if (row) row[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const pairs = new Map<number, number>()
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) pairs.set(i++, j++)
    else if (at(i + 1, j) >= at(i, j + 1)) i++
    else j++
  }
  return pairs
}

function editChain(current: ChainState, wanted: ChainState): ChainChange | undefined {
  const kept = commonRules(current.rules.map(ruleKey), wanted.rules.map(ruleKey))
  const keptWanted = new Map([...kept].map(([i, j]) => [j, current.rules[i]?.handle]))
  const deleted = current.rules.filter((_, i) => !kept.has(i))
  const added: { rule: RuleState; before?: bigint }[] = []
  // from the end, so that each new rule knows the kept one that follows it
  let next: bigint | undefined
  for (let j = wanted.rules.length - 1; j >= 0; j--) {
    const rule = wanted.rules[j]
    if (keptWanted.has(j)) next = keptWanted.get(j)
    else if (rule) added.unshift(next === undefined ? { rule } : { rule, before: next })
  }
  if (deleted.length + added.length === 0) return undefined
  return { chain: wanted, change: 'edit', deleted, added }
}

function hasSameHook(a: ChainState, b: ChainState): boolean {
  return a.type === b.type && a.hook === b.hook && a.priority === b.priority
}

export function diffRuleset(current: Ruleset, wanted: Ruleset): ChainChange[] {
  const changes: ChainChange[] = []
  const present = new Map(current.map((chain) => [chain.name, chain]))
  const all = (chain: ChainState): ChainChange => ({
    chain,
    change: 'add',
    deleted: [],
    added: chain.rules.map((rule) => ({ rule })),
  })
  const names = new Set(wanted.map((chain) => chain.name))
  for (const chain of current) {
    if (!names.has(chain.name)) changes.push({ chain, change: 'delete', deleted: chain.rules, added: [] })
  }
  for (const chain of wanted) {
    const old = present.get(chain.name)
    if (old && !hasSameHook(old, chain)) changes.push({ chain: old, change: 'delete', deleted: old.rules, added: [] })
    const change = old && hasSameHook(old, chain) ? editChain(old, chain) : all(chain)
    if (change) changes.push(change)
  }
  return changes
}
