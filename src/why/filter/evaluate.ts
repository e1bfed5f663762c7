/** A hook as a whole: run again for every answer that is not known, until all outcomes are seen. */
import type { Packet } from '../packet.ts'
import type { Firewall } from './firewall.ts'
import { passHook } from './hook.ts'
import { newRegisters } from './registers.ts'
import type { Doubt, FilterWorld, HookPoint, HookResult, Outcome } from './result.ts'
import { type Run, Undecidable } from './run.ts'

/** So many passes, then it stays unknown. Every unknown answer on which something depends needs another one. */
const PASSES = 128

interface Choice {
  readonly count: number
  readonly doubt: Doubt
  taken: number
}

type Passed = { readonly outcome: Outcome } | { readonly doubt: Doubt }

/**
 * What becomes of a packet at a hook: all base chains of the family and of `inet`, and the tables of iptables-legacy, in
 * the order in which the kernel calls them. `packet` is as it comes to the hook, with `out` where the route is known.
 * Where something is not known of the packet or the namespace, every answer is tried: when all lead to the same end,
 * that is the result, else it is `unknown`. Throws NetlinkError where a set cannot be read.
 */
export function runHook(firewall: Firewall, point: HookPoint, packet: Packet, world: FilterWorld): HookResult {
  const possible = new Map<string, Outcome>()
  let doubt: Doubt | undefined
  let choices: Choice[] = []
  for (let pass = 0; pass < PASSES; pass++) {
    const passed = passOnce(firewall, point, packet, world, choices)
    if ('doubt' in passed) {
      return { verdict: 'unknown', doubt: passed.doubt, possible: [...possible.values()], isComplete: false }
    }
    const { outcome } = passed
    const key = JSON.stringify([outcome.verdict, outcome.packet])
    // the answer that was changed last made the difference
    if (possible.size > 0 && !possible.has(key)) doubt ??= choices.at(-1)?.doubt
    if (!possible.has(key)) possible.set(key, outcome)
    choices = nextChoices(choices)
    const [only] = possible.values()
    if (choices.length > 0 || !only) continue
    if (!doubt) return only
    return { verdict: 'unknown', doubt, possible: [...possible.values()], isComplete: true }
  }
  const left = doubt ?? choices[0]?.doubt
  if (!left) throw new Error('a pass that never ends without a choice')
  return { verdict: 'unknown', doubt: left, possible: [...possible.values()], isComplete: false }
}

/** The same choices up to the last one that has another answer, and that answer; none when all are seen. */
function nextChoices(choices: readonly Choice[]): Choice[] {
  const next = [...choices]
  for (let last = next.pop(); last; last = next.pop()) {
    if (last.taken + 1 < last.count) return [...next, { ...last, taken: last.taken + 1 }]
  }
  return []
}

/** Takes the given choices, then the first answer to every new one, which is added to `choices`. */
function passOnce(firewall: Firewall, point: HookPoint, packet: Packet, world: FilterWorld, choices: Choice[]): Passed {
  let made = 0
  const run: Run = {
    firewall,
    point,
    world,
    choose: (count, doubt) => {
      const choice = choices[made] ?? { count, doubt, taken: 0 }
      choices[made++] = choice
      return choice.taken
    },
    registers: newRegisters(),
    steps: [],
    translations: [],
    packet,
    frame: undefined,
    priority: 0,
    at: { engine: 'nftables', family: point.family, table: '', chain: '' },
    doubt: undefined,
    isRerouted: false,
    isNatDone: false,
  }
  try {
    const { verdict, by, isNatSkipped } = passHook(run, firewall)
    const { translations, steps, isRerouted } = run
    const decided = by ? { by } : {}
    return { outcome: { verdict, ...decided, packet: run.packet, translations, steps, isNatSkipped, isRerouted } }
  } catch (error) {
    if (error instanceof Undecidable) return { doubt: error.doubt }
    throw error
  }
}
