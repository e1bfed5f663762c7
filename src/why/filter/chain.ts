/** Rules of nf_tables in order, with jumps; nft_do_chain in net/netfilter/nf_tables_core.c. */
import type { ImageChain, ImageRule, ImageTable } from '../../nftables/index.ts'
import { runExpression } from './expressions.ts'
import type { RuleRef } from './result.ts'
import { type Run, undecidable, type Verdict } from './run.ts'

export type FinalVerdict = 'accept' | 'drop' | 'reject'

/** NFT_JUMP_STACK_SIZE */
const DEPTH = 16
/** The kernel refuses loops; a ruleset that changes while it is read could still seem to have one. */
const MOST_RULES = 100_000

interface Place {
  readonly chain: ImageChain
  readonly next: number
}

/** Runs a base chain. The verdict, and the rule or policy that gave it in `run.at`. */
export function runBaseChain(run: Run, table: ImageTable, base: ImageChain): FinalVerdict {
  const stack: Place[] = []
  let chain = base
  let index = 0
  for (let count = 0; count < MOST_RULES; count++) {
    const rule = chain.rules[index++]
    const verdict = rule ? runRule(run, rule) : 'return'
    if (verdict === 'accept' || verdict === 'drop' || verdict === 'reject') return verdict
    if (verdict === 'continue' || verdict === 'break') continue
    if (verdict === 'return') {
      const back = stack.pop()
      if (!back) return policyOf(run, base)
      chain = back.chain
      index = back.next
      continue
    }
    if (verdict.kind === 'jump' && stack.push({ chain, next: index }) > DEPTH) undecidable(run, 'a chain of jumps')
    chain = table.chains.get(verdict.chain) ?? undecidable(run, `the chain ${verdict.chain}`)
    index = 0
  }
  return undecidable(run, 'a chain that comes back to itself')
}

/** Also where a base chain is left by `return`. */
function policyOf(run: Run, { family, table, name, base }: ImageChain): FinalVerdict {
  run.at = { engine: 'nftables', family, table, chain: name }
  return base?.policy ?? 'accept'
}

export function refOf({ family, table, chain, handle, comment }: ImageRule): RuleRef {
  return { engine: 'nftables', family, table, chain, handle, ...(comment === undefined ? {} : { comment }) }
}

function runRule(run: Run, rule: ImageRule): Verdict {
  run.at = refOf(rule)
  run.doubt = undefined
  for (let i = 0; ; i++) {
    const vm = rule.vm(i)
    // a rule that did nothing to the packet is of no account, whether it matched or not
    if (!vm) return 'continue'
    const verdict = runExpression(run, vm)
    if (verdict !== 'continue') return verdict
  }
}
