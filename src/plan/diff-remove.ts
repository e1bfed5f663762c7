/** What goes, in order: services, accepts, settings, links; and what is put back. */

import { type Context, isOn, keepsTheSame, placeOf, removed } from './diff-context.ts'
import { formatNote, parseNotes, sysctlDevice } from './notes.ts'
import type { LinkChanges, Operation } from './operations.ts'
import { HOST } from './state.ts'

export function* stopServices({ current, wanted }: Context): Generator<Operation> {
  for (const state of current.namespaces.values()) {
    for (const service of removed(state.services, wanted.namespaces.get(state.name)?.services)) {
      yield { kind: 'service.stop', at: placeOf(state), service }
    }
  }
}

/** First of all: it would start again what is stopped. */
export function* stopKeeper({ current, wanted }: Context): Generator<Operation> {
  const { keeper } = current
  if (keeper && !keepsTheSame(keeper, wanted.keeper)) yield { kind: 'keeper.stop', at: { name: HOST }, keeper }
}

export function* removeAccepts({ current, wanted }: Context): Generator<Operation> {
  for (const state of current.namespaces.values()) {
    for (const accept of removed(state.accepts, wanted.namespaces.get(state.name)?.accepts)) {
      yield { kind: 'accept.delete', at: placeOf(state), accept }
    }
  }
}

/** Rules, neighbours, routes and addresses that go, on devices that stay. */
export function* removeSettings({ current, wanted, ending, gone, shaken }: Context): Generator<Operation> {
  for (const state of current.namespaces.values()) {
    if (ending.has(state.name)) continue
    const at = placeOf(state)
    const next = wanted.namespaces.get(state.name)
    const isGone = (dev: string | undefined): boolean => dev !== undefined && (gone.get(state.name)?.has(dev) ?? false)
    for (const rule of removed(state.rules, next?.rules)) yield { kind: 'rule.delete', at, rule }
    for (const neighbour of removed(state.neighbours, next?.neighbours)) {
      if (!isGone(neighbour.dev)) yield { kind: 'neighbour.delete', at, neighbour }
    }
    for (const [key, route] of state.routes) {
      const isKept = next?.routes.has(key) && !isOn(route, shaken.get(state.name))
      if (!isKept && !isOn(route, gone.get(state.name))) yield { kind: 'route.delete', at, route }
    }
    for (const address of removed(state.addresses, next?.addresses)) {
      if (!isGone(address.dev)) yield { kind: 'address.delete', at, address }
    }
  }
}

/**
 * One message for each link; the host's all in one when all of them go. Links whose ends are both in namespaces that
 * end go with those.
 */
export function* removeLinks({ current, wanted, ending, gone }: Context): Generator<Operation> {
  const done = new Set<string>()
  for (const state of current.namespaces.values()) {
    if (ending.has(state.name)) continue
    const at = placeOf(state)
    const made = [...state.links.values()].filter((l) => l.link.kind !== 'existing')
    const going = made.filter((l) => gone.get(state.name)?.has(l.name) && !done.has(`${state.name} ${l.name}`))
    for (const { link } of going) if (link.kind === 'veth') done.add(`${link.peer.namespace} ${link.peer.interface}`)
    const isWhole = wanted.namespaces.size === 0 && state.netns === undefined
    if (isWhole && going.length > 1 && going.length === made.length) {
      yield { kind: 'links.delete', at, links: going.map((l) => l.name) }
    } else {
      for (const link of going) yield { kind: 'link.delete', at, link }
    }
  }
}

/** What was noted and is not wanted any more gets its value from before. */
export function* putBack(
  { current, gone }: Context,
  notes: ReadonlyMap<string, readonly string[]>,
): Generator<Operation> {
  for (const state of current.namespaces.values()) {
    const at = placeOf(state)
    const kept = new Set(notes.get(state.name))
    for (const note of parseNotes(state.notes)) {
      if (kept.has(formatNote(note))) continue
      const device = note.kind === 'sysctl' ? sysctlDevice(note.key) : undefined
      if (note.kind === 'sysctl' && !(device !== undefined && gone.get(state.name)?.has(device))) {
        yield { kind: 'sysctl.set', at, key: note.key, value: note.before, because: 'as it was before' }
      }
      if (note.kind === 'link') {
        const { master, ...before } = note.before
        const changes: LinkChanges = { ...before, ...(master === undefined ? { noMaster: true } : { master }) }
        yield { kind: 'link.set', at, name: note.name, changes, because: 'as it was before' }
      }
    }
  }
}
