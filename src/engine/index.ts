/** Where plan meets kernel: make it so, take it away, say what would be done. */
import { type Conflict, findConflicts } from '../plan/conflicts.ts'
import { desiredState, nothing } from '../plan/desired.ts'
import { diff } from '../plan/diff.ts'
import type { Operation, Plan } from '../plan/operations.ts'
import { describeObject } from '../plan/prose.ts'
import { HOST, type State } from '../plan/state.ts'
import type { Model } from '../topology/model.ts'
import { applyOperation, isAlreadyGone, removeDeadFiles } from './apply/index.ts'
import { codeOf, EngineError } from './errors.ts'
import { type Handles, openHandles } from './handles.ts'
import { hintFor } from './hints.ts'
import { lock } from './lock.ts'
import { isOwnedLink, observe } from './observe.ts'
import { listProcesses, removeLogs, stopProcess } from './services.ts'

export { EngineError } from './errors.ts'

export interface Progress {
  /** somebody else is changing the kernel: we wait */
  readonly onWait?: () => void
  readonly onOperation?: (done: number, total: number) => void
}

export interface Outcome {
  readonly topology: string
  /** what was done, in order */
  readonly operations: readonly Operation[]
  /** ms, without the wait for the lock */
  readonly ms: number
}

/** What `up` would do. Throws EngineError when something stands in the way. */
export function planUp(model: Model): Plan {
  using handles = openHandles()
  return makePlan(handles, model).plan
}

/** What `down` would do. */
export function planDown(topology: string): Plan {
  using handles = openHandles()
  const first = silenceBridges(handles, topology)
  const { state, around } = observe(topology, {}, handles)
  return { topology, operations: [...first, ...diff(state, nothing(topology), around).operations] }
}

/** From this many links on, what is flooded on a bridge that ends costs more than a message of its own. */
const MANY_LINKS = 50

/**
 * Bridges of the host with many ports go down first, before the rest is even looked at: each port that comes or goes
 * has multicast flooded to all others, in the background and for seconds, and everything is slow meanwhile.
 */
function silenceBridges(handles: Handles, topology: string): Operation[] {
  const host = { name: HOST }
  const ours = handles
    .at(host)
    .labels()
    .filter((link) => isOwnedLink(link, topology))
  if (ours.length < MANY_LINKS) return []
  const because = 'a bridge that is down floods nothing while its ports go'
  return ours
    .filter((link) => link.kind === 'bridge' && link.isUp)
    .map(({ name }) => ({ kind: 'link.set', at: host, name, changes: { up: false }, because }))
}

function makePlan(handles: Handles, model: Model): { plan: Plan; before: State } {
  const { state, around } = observe(model.name, { model }, handles)
  const conflicts = findConflicts(model, around)
  const [first] = conflicts
  if (first) {
    const placed = (c: Conflict): string => `${c.at ? `line ${c.at.line}: ` : ''}${c.message}`
    const details = conflicts.map((c) => `${placed(c)}; ${c.hint}`)
    throw new EngineError(placed(first), { hint: first.hint, details, code: 'EEXIST' })
  }
  const wasIsolated = state.namespaces.get('host')?.netns !== undefined
  if (state.namespaces.size > 0 && wasIsolated !== model.isolated) {
    throw new EngineError(`${model.name} is up ${wasIsolated ? 'with an isolated host' : 'on this host itself'}`, {
      hint: `take it down first: hardway down ${model.name}`,
    })
  }
  return { plan: diff(state, desiredState(model, around), around), before: state }
}

/** Makes the kernel as the file says. When an operation fails, what was done is undone. Throws EngineError. */
export function up(model: Model, progress: Progress = {}): Outcome {
  using _ = lock(progress.onWait)
  using handles = openHandles()
  const start = performance.now()
  removeDeadFiles(model.name)
  const { plan, before } = makePlan(handles, model)
  run(handles, plan, progress, () => restore(model.name, before))
  return { topology: model.name, operations: plan.operations, ms: performance.now() - start }
}

/** Takes a topology away, by its name alone. Not an error when nothing is there. Throws EngineError. */
export function down(topology: string, progress: Progress = {}): Outcome {
  using _ = lock(progress.onWait)
  using handles = openHandles()
  const start = performance.now()
  removeDeadFiles(topology)
  const first = silenceBridges(handles, topology)
  run(handles, { topology, operations: first }, {})
  const { state, around } = observe(topology, { isShallow: true }, handles)
  const plan = diff(state, nothing(topology), around)
  run(handles, plan, progress)
  // what was run inside by `exec`, `shell` and services has lost its network
  for (const { pid } of listProcesses(topology)) stopProcess(pid, { group: false })
  removeLogs(topology)
  return { topology, operations: [...first, ...plan.operations], ms: performance.now() - start }
}

function run(handles: Handles, plan: Plan, progress: Progress, undo?: () => void): void {
  const { operations, topology } = plan
  for (const [i, op] of operations.entries()) {
    try {
      applyOperation(handles, topology, op)
    } catch (error) {
      if (isAlreadyGone(op, error)) continue
      fail(op, error, undo)
    }
    progress.onOperation?.(i + 1, operations.length)
  }
}

function fail(op: Operation, error: unknown, undo: (() => void) | undefined): never {
  const message = error instanceof Error ? error.message : String(error)
  const code = codeOf(error)
  const details: string[] = []
  try {
    undo?.()
    if (undo) details.push('what was done before it has been undone')
  } catch (second) {
    details.push(`undoing what was done failed too: ${second instanceof Error ? second.message : String(second)}`)
  }
  throw new EngineError(`${op.kind} failed: ${describeObject(op)}: ${message}`, {
    hint: hintFor(op, code),
    operation: op,
    ...(code === undefined ? {} : { code }),
    details,
    cause: error,
  })
}

/** The way back: the plan from what is there now to what was there before. */
function restore(topology: string, before: State): void {
  using handles = openHandles()
  const { state, around } = observe(topology, {}, handles)
  run(handles, diff(state, before, around), {})
}
