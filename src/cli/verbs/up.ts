/** `up`, `down`, `plan`: a file and the kernel. */
import { down, planDown, planUp, up } from '../../engine/index.ts'
import { listTopologies } from '../../engine/topologies.ts'
import type { Operation, Plan } from '../../plan/operations.ts'
import { describe } from '../../plan/prose.ts'
import { shellScript } from '../../plan/shell.ts'
import { checkJson, printChecks, tryExpectations } from '../checks.ts'
import { UsageError } from '../failure.ts'
import { type FileOptions, topologyName, withTopology } from '../load.ts'
import { bold, dim, print, printError, printJson, progressLine } from '../output.ts'

const onWait = (): void => printError('another hardway is at work on this host; waiting for it')

function counted(n: number, word: string): string {
  return `${n} ${word}${n === 1 ? '' : 's'}`
}

function ms(value: number): string {
  return value < 10
    ? `${value.toFixed(1)} ms`
    : value < 10_000
      ? `${value.toFixed(0)} ms`
      : `${(value / 1000).toFixed(1)} s`
}

function summary(operations: readonly Operation[]): string {
  const counts = new Map<string, number>()
  for (const { kind } of operations) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  const names: Record<string, string> = {
    'netns.add': 'namespace',
    'link.add': 'link',
    'address.add': 'address',
    'route.add': 'route',
  }
  const parts = Object.entries(names).flatMap(([kind, name]) => {
    const n = counts.get(kind) ?? 0
    counts.delete(kind)
    if (n === 0) return []
    return name === 'address' && n > 1 ? [`${n} addresses`] : [counted(n, name)]
  })
  const others = [...counts.values()].reduce((a, b) => a + b, 0)
  return [...parts, ...(others > 0 ? [`${others} more`] : [])].join(', ')
}

export interface UpOptions extends FileOptions {
  readonly verify?: boolean
  readonly dryRun?: boolean
  readonly json?: boolean
}

/** Services that `up` has just started need a moment before they answer; ms. */
const PATIENCE = 5000

export async function runUp(file: string, options: UpOptions): Promise<number> {
  if (options.dryRun) {
    return printPlan((await withTopology(file, options, planUp)).result, options.json ? 'json' : 'text')
  }
  const { model, result: outcome } = await withTopology(file, options, (model) => {
    const progress = progressLine(`${model.name}: operation`)
    try {
      return up(model, { onWait, onOperation: progress.update })
    } finally {
      progress.end()
    }
  })
  const isVerified = options.verify !== false && model.expect.length > 0
  const checks = isVerified ? await tryExpectations(model, PATIENCE) : []
  const isGood = checks.every((c) => c.holds)
  if (options.json) {
    printJson({
      topology: outcome.topology,
      operations: outcome.operations,
      ms: outcome.ms,
      checks: checks.map(checkJson),
    })
    return isGood ? 0 : 1
  }
  const what =
    outcome.operations.length === 0 ? 'is as the file says; nothing to do' : `up: ${summary(outcome.operations)}`
  print(`${bold(model.name)} ${what} ${dim(`(${ms(outcome.ms)})`)}`)
  if (isVerified) printChecks(checks)
  return isGood ? 0 : 1
}

export async function runDown(
  argument: string | undefined,
  options: { readonly all?: boolean; readonly json?: boolean },
): Promise<number> {
  if (options.all === (argument !== undefined)) {
    throw new UsageError('down wants a file, a name, or --all', 'hardway ls shows what is up')
  }
  const names = argument === undefined ? listTopologies().map((t) => t.name) : [await topologyName(argument)]
  const outcomes = names.map((name) => {
    const progress = progressLine(`${name}: operation`)
    const outcome = down(name, { onWait, onOperation: progress.update })
    progress.end()
    return outcome
  })
  if (options.json) {
    printJson(outcomes)
    return 0
  }
  for (const { topology, operations, ms: time } of outcomes) {
    const what = operations.length === 0 ? 'is not up; nothing to do' : 'down: nothing of it remains'
    print(`${bold(topology)} ${what} ${dim(`(${ms(time)})`)}`)
  }
  if (outcomes.length === 0) print('nothing is up')
  return 0
}

type Form = 'text' | 'shell' | 'json'

function printPlan(plan: Plan, as: Form): number {
  if (as === 'json')
    printJson({ topology: plan.topology, operations: plan.operations.map((op) => ({ ...op, why: describe(op) })) })
  else if (as === 'shell') print(shellScript(plan).trimEnd())
  else if (plan.operations.length === 0) print(`${bold(plan.topology)} is as the file says; nothing to do`)
  else
    for (const [i, op] of plan.operations.entries())
      print(`${dim(String(i + 1).padStart(String(plan.operations.length).length))}  ${describe(op)}`)
  return 0
}

export async function runPlan(
  file: string,
  options: FileOptions & { readonly as: Form; readonly json?: boolean; readonly down?: boolean },
): Promise<number> {
  const plan = options.down
    ? planDown(await topologyName(file, options))
    : (await withTopology(file, options, planUp)).result
  return printPlan(plan, options.json ? 'json' : options.as)
}
