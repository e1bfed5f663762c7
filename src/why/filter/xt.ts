/** Extensions of iptables, inside nf_tables and in its own tables: one place that runs them by name. */
import { Reader } from '../../netlink/index.ts'
import type { VmData } from '../../nftables/attributes-expressions.ts'
import type { Maybe } from './bits.ts'
import { commit, type Run, type Verdict, verdictOf } from './run.ts'
import { giveAway } from './statements.ts'
import { matches } from './xt-match.ts'
import { silentTargets, targets } from './xt-target.ts'

/** What a match sees: the structure of its module, which the kernel pads to 8 bytes, and that structure's revision. */
export type XtMatch = (run: Run, info: Reader, revision: number) => Maybe
export type XtTarget = (run: Run, info: Reader, revision: number) => Verdict

export interface Extension {
  readonly name?: string | undefined
  readonly rev?: number | undefined
  readonly info?: Uint8Array | undefined
}

/** What `compute` gives; undefined where the structure is shorter than its name promises. */
function unlessShort<T>(compute: () => T): T | undefined {
  try {
    return compute()
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

const readerOf = (info: Uint8Array | undefined): Reader => new Reader(info ?? new Uint8Array(0))

/** A match; one that is not in the table is neither yes nor no. */
export function runMatch(run: Run, { name = '', rev = 0, info }: Extension): Verdict {
  const match = Object.hasOwn(matches, name) ? matches[name] : undefined
  const claim = match && unlessShort(() => match(run, readerOf(info), rev))
  return verdictOf(run, claim, `the match ${name}`)
}

/** A target; one that is not in the table may do anything. */
export function runTarget(run: Run, { name = '', rev = 0, info }: Extension | VmData<'target'>): Verdict {
  if (silentTargets.has(name)) return 'continue'
  const target = Object.hasOwn(targets, name) ? targets[name] : undefined
  if (!target) return giveAway(run, `what the target ${name} does`)
  if (!commit(run)) return 'break'
  return unlessShort(() => target(run, readerOf(info), rev)) ?? giveAway(run, `what the target ${name} does`)
}
