/**
 * The plan: ordered operations that turn the current state into the wanted one. A pure function; `up`, `down`, repair
 * and undo are the same comparison with other states.
 */
import {
  addAccepts,
  addAddresses,
  addLinks,
  addNamespaces,
  addSettings,
  bringBridgesUp,
  changeLinks,
  setSysctls,
  startKeeper,
  startServices,
} from './diff-add.ts'
import { type Context, findGone, findShaken, placeOf } from './diff-context.ts'
import { putBack, removeAccepts, removeLinks, removeSettings, stopKeeper, stopServices } from './diff-remove.ts'
import { diffRuleset } from './diff-ruleset.ts'
import { staleFlows } from './flows.ts'
import { notesFor } from './notes.ts'
import type { Operation, Place, Plan } from './operations.ts'
import type { RuleState } from './ruleset.ts'
import { HOST, type State, type Surroundings } from './state.ts'

function* forget(at: Place, gone: readonly RuleState[], come: readonly RuleState[]): Generator<Operation> {
  for (const flow of staleFlows(gone, come)) yield { kind: 'flows.delete', at, flow }
}

function* setRulesets(
  { current, wanted, ending }: Context,
  notes: ReadonlyMap<string, readonly string[]>,
): Generator<Operation> {
  for (const name of new Set([...wanted.namespaces.keys(), ...current.namespaces.keys()])) {
    const old = current.namespaces.get(name)
    const next = wanted.namespaces.get(name)
    const state = next ?? old
    if (!state || ending.has(name)) continue
    const at = placeOf(state)
    const has = (old?.ruleset.length ?? 0) + (old?.notes.length ?? 0) > 0
    const wantedNotes = notes.get(name) ?? []
    const wantsTable = (next?.ruleset.length ?? 0) + wantedNotes.length > 0
    if (has && !wantsTable) {
      yield { kind: 'table.delete', at }
      yield* forget(at, old?.ruleset.flatMap((chain) => chain.rules) ?? [], [])
      continue
    }
    const changes = diffRuleset(old?.ruleset ?? [], next?.ruleset ?? [])
    const isMade = has || wantedNotes.length > 0
    if (changes.length > 0) yield { kind: 'ruleset.set', at, table: isMade ? 'keep' : 'add', chains: changes }
    yield* forget(
      at,
      changes.flatMap((change) => change.deleted),
      // a namespace that is made by this plan has no flows yet
      old || at.netns === undefined ? changes.flatMap((change) => change.added.map(({ rule }) => rule)) : [],
    )
    if ((old?.notes ?? []).some((note) => !wantedNotes.includes(note))) {
      yield { kind: 'notes.set', at, table: 'keep', notes: wantedNotes }
    }
  }
}

/** Before anything else changes: the notes of all that will. Old ones stay until all is done. */
function* writeNotes(
  { current, wanted }: Context,
  notes: ReadonlyMap<string, readonly string[]>,
): Generator<Operation> {
  for (const [name, texts] of notes) {
    const old = current.namespaces.get(name)
    const state = wanted.namespaces.get(name)
    if (!state || texts.every((text) => old?.notes.includes(text))) continue
    const has = (old?.ruleset.length ?? 0) + (old?.notes.length ?? 0) > 0
    yield {
      kind: 'notes.set',
      at: placeOf(state),
      table: has ? 'keep' : 'add',
      notes: [...new Set([...(old?.notes ?? []), ...texts])],
    }
  }
}

export function diff(current: State, wanted: State, around: Surroundings): Plan {
  const ending = new Set(
    [...current.namespaces.values()]
      .filter((n) => n.netns !== undefined && !wanted.namespaces.has(n.name))
      .map((n) => n.name),
  )
  const context: Context = {
    current,
    wanted,
    around,
    ending,
    gone: findGone(current, wanted),
    shaken: findShaken(current, wanted),
  }
  const notes = new Map<string, readonly string[]>()
  for (const state of wanted.namespaces.values()) {
    if (state.netns === undefined && state.name === HOST) {
      notes.set(state.name, notesFor(state, current.namespaces.get(state.name), around))
    }
  }
  const operations = [
    ...stopKeeper(context),
    ...stopServices(context),
    ...removeAccepts(context),
    ...removeSettings(context),
    ...removeLinks(context),
    ...[...current.namespaces.values()]
      .filter((state) => ending.has(state.name))
      .map((state): Operation => ({ kind: 'netns.delete', at: placeOf(state) })),
    ...writeNotes(context, notes),
    ...putBack(context, notes),
    ...addNamespaces(context),
    ...setSysctls(context, false),
    ...addLinks(context),
    ...changeLinks(context),
    ...setSysctls(context, true),
    ...addAddresses(context),
    ...bringBridgesUp(context),
    ...addSettings(context),
    ...setRulesets(context, notes),
    ...addAccepts(context),
    ...startServices(context),
    ...startKeeper(context),
  ]
  return { topology: wanted.topology, operations }
}
