/**
 * The plan: ordered operations that turn the current state into the wanted one. A pure function; `up`, `down`, repair
 * and undo are the same comparison with other states.
 */

import type { Route } from '../topology/model.ts'
import { diffRuleset } from './diff-ruleset.ts'
import { addressKey } from './keys.ts'
import { differs, formatNote, notesFor, parseNotes, sysctlDevice } from './notes.ts'
import type { LinkChanges, Operation, Place, Plan } from './operations.ts'
import { HOST, type LinkState, type NamespaceState, type State, type Surroundings } from './state.ts'

/** Devices by namespace that a plan removes; what is on them goes with them and is not removed one by one. */
type Gone = Map<string, Set<string>>

interface Context {
  readonly current: State
  readonly wanted: State
  readonly around: Surroundings
  /** namespaces of ours that end */
  readonly ending: ReadonlySet<string>
  readonly gone: Gone
  /** devices that lose an address: the kernel drops routes that lean on it, so they are taken down and set again */
  readonly shaken: Gone
}

export function placeOf(state: NamespaceState): Place {
  return state.netns === undefined ? { name: state.name } : { name: state.name, netns: state.netns }
}

function* removed<T>(
  current: ReadonlyMap<string, T> | undefined,
  wanted: ReadonlyMap<string, T> | undefined,
): Generator<T> {
  for (const [key, item] of current ?? []) if (!wanted?.has(key)) yield item
}

function added<T>(current: ReadonlyMap<string, T> | undefined, wanted: ReadonlyMap<string, T>): T[] {
  return [...wanted].filter(([key]) => !current?.has(key)).map(([, item]) => item)
}

/** The same link still serves: same kind with the same parameters, and for a veth the same other end. */
function isSameLink(a: LinkState | undefined, b: LinkState | undefined): boolean {
  return a !== undefined && b !== undefined && JSON.stringify(a.link) === JSON.stringify(b.link)
}

/** A veth is whole when its other end names it back. */
function isWhole(state: State, link: LinkState, namespace: string): boolean {
  if (link.link.kind !== 'veth') return true
  const { peer } = link.link
  const other = state.namespaces.get(peer.namespace)?.links.get(peer.interface)
  return (
    other?.link.kind === 'veth' && other.link.peer.namespace === namespace && other.link.peer.interface === link.name
  )
}

function* linksOf(state: State): Generator<{ namespace: NamespaceState; link: LinkState }> {
  for (const namespace of state.namespaces.values()) {
    for (const link of namespace.links.values()) yield { namespace, link }
  }
}

function findGone(current: State, wanted: State): Gone {
  const gone: Gone = new Map()
  const add = (namespace: string, name: string): void => {
    const names = gone.get(namespace) ?? new Set()
    gone.set(namespace, names.add(name))
  }
  for (const { namespace, link } of linksOf(current)) {
    if (link.link.kind === 'existing') continue
    const kept = isSameLink(link, wanted.namespaces.get(namespace.name)?.links.get(link.name))
    if (kept && isWhole(current, link, namespace.name)) continue
    add(namespace.name, link.name)
    if (link.link.kind === 'veth') add(link.link.peer.namespace, link.link.peer.interface)
  }
  return gone
}

function findShaken(current: State, wanted: State): Gone {
  const shaken: Gone = new Map()
  for (const state of current.namespaces.values()) {
    const next = wanted.namespaces.get(state.name)
    if (!next) continue
    const devices = new Set([...removed(state.addresses, next.addresses)].map((a) => a.dev))
    if (devices.size > 0) shaken.set(state.name, devices)
  }
  return shaken
}

function isOn(route: Route, devices: ReadonlySet<string> | undefined): boolean {
  if (!devices) return false
  return [route.dev, ...(route.nexthops ?? []).map((hop) => hop.dev)].some(
    (dev) => dev !== undefined && devices.has(dev),
  )
}

function without<T>(items: ReadonlyMap<string, T> | undefined, isGone: (item: T) => boolean): ReadonlyMap<string, T> {
  return new Map([...(items ?? [])].filter(([, item]) => !isGone(item)))
}

function* stopServices({ current, wanted }: Context): Generator<Operation> {
  for (const state of current.namespaces.values()) {
    for (const service of removed(state.services, wanted.namespaces.get(state.name)?.services)) {
      yield { kind: 'service.stop', at: placeOf(state), service }
    }
  }
}

function* removeAccepts({ current, wanted }: Context): Generator<Operation> {
  for (const state of current.namespaces.values()) {
    for (const accept of removed(state.accepts, wanted.namespaces.get(state.name)?.accepts)) {
      yield { kind: 'accept.delete', at: placeOf(state), accept }
    }
  }
}

/** Rules, neighbours, routes and addresses that go, on devices that stay. */
function* removeSettings({ current, wanted, ending, gone, shaken }: Context): Generator<Operation> {
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

/** From this many links on, what the ports of a running bridge flood to each other as they go costs more than a message. */
const MANY_LINKS = 50

/**
 * One message for each link; the host's all in one when all of them go. Links whose ends are both in namespaces that
 * end go with those.
 */
function* removeLinks({ current, wanted, ending, gone }: Context): Generator<Operation> {
  const done = new Set<string>()
  for (const state of current.namespaces.values()) {
    if (ending.has(state.name)) continue
    const at = placeOf(state)
    const made = [...state.links.values()].filter((l) => l.link.kind !== 'existing')
    const going = made.filter((l) => gone.get(state.name)?.has(l.name) && !done.has(`${state.name} ${l.name}`))
    for (const { link } of going) if (link.kind === 'veth') done.add(`${link.peer.namespace} ${link.peer.interface}`)
    const isWhole = wanted.namespaces.size === 0 && state.netns === undefined
    if (isWhole && going.length > 1 && going.length === made.length) {
      for (const bridge of going.length < MANY_LINKS ? [] : going.filter((l) => l.link.kind === 'bridge' && l.up)) {
        const because = 'a bridge that is down floods nothing while its ports go'
        yield { kind: 'link.set', at, name: bridge.name, changes: { up: false }, because }
      }
      yield { kind: 'links.delete', at, links: going.map((l) => l.name) }
    } else {
      for (const link of going) yield { kind: 'link.delete', at, link }
    }
  }
}

/** What was noted and is not wanted any more gets its value from before. */
function* putBack({ current, gone }: Context, notes: ReadonlyMap<string, readonly string[]>): Generator<Operation> {
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

function* addNamespaces({ current, wanted }: Context): Generator<Operation> {
  for (const state of wanted.namespaces.values()) {
    if (state.netns !== undefined && !current.namespaces.has(state.name))
      yield { kind: 'netns.add', at: placeOf(state) }
  }
}

function* setSysctls({ current, wanted, around, gone }: Context, onDevices: boolean): Generator<Operation> {
  for (const state of wanted.namespaces.values()) {
    const values = around.sysctls.get(state.name)
    for (const { key, value, because } of state.sysctls.values()) {
      const device = sysctlDevice(key)
      if ((device !== undefined) !== onDevices) continue
      const isFresh = device !== undefined && (gone.get(state.name)?.has(device) ?? false)
      const isSet = current.namespaces.has(state.name) && !isFresh && values?.get(key) === value
      if (!isSet)
        yield { kind: 'sysctl.set', at: placeOf(state), key, value, ...(because === undefined ? {} : { because }) }
    }
  }
}

/** A bridge is brought up after its ports: each port that joins a running bridge would flood all the others. */
function withoutUp(link: LinkState): LinkState {
  return link.link.kind === 'bridge' ? { ...link, up: false } : link
}

/** Devices that others rest on come first. */
const LINK_ORDER = ['bridge', 'veth', 'macvlan', 'vxlan'] as const

function* addLinks({ current, wanted, gone }: Context): Generator<Operation> {
  const isThere = (namespace: string, name: string): boolean =>
    (current.namespaces.get(namespace)?.links.has(name) ?? false) && !gone.get(namespace)?.has(name)
  const done = new Set<string>()
  const missing = [...linksOf(wanted)].filter(
    ({ namespace, link }) => link.link.kind !== 'existing' && !isThere(namespace.name, link.name),
  )
  for (const kind of LINK_ORDER) {
    for (const { namespace, link } of missing) {
      if (link.link.kind !== kind || done.has(`${namespace.name} ${link.name}`)) continue
      if (link.link.kind !== 'veth') {
        yield { kind: 'link.add', at: placeOf(namespace), link: withoutUp(link) }
        continue
      }
      const { peer } = link.link
      const far = wanted.namespaces.get(peer.namespace)
      const farLink = far?.links.get(peer.interface)
      if (!far || !farLink) continue
      done.add(`${peer.namespace} ${peer.interface}`)
      // the end that the message itself makes can be enslaved by it; the peer can not
      const isTurned = link.master === undefined && farLink.master !== undefined
      const near = isTurned ? { at: placeOf(far), link: farLink } : { at: placeOf(namespace), link }
      const other = isTurned ? { at: placeOf(namespace), link } : { at: placeOf(far), link: farLink }
      yield { kind: 'link.add', at: near.at, link: near.link, peer: other }
      if (other.link.master !== undefined) {
        yield { kind: 'link.set', at: other.at, name: other.link.name, changes: { master: other.link.master } }
      }
    }
  }
}

function* changeLinks({ current, wanted, around, gone }: Context): Generator<Operation> {
  for (const { namespace, link } of linksOf(wanted)) {
    const old =
      link.link.kind === 'existing' && namespace.netns === undefined
        ? around.foreign.links.get(link.name)
        : current.namespaces.get(namespace.name)?.links.get(link.name)
    if (!old || gone.get(namespace.name)?.has(link.name) || !differs(old, link)) continue
    const changes: LinkChanges = {
      ...(old.up === link.up ? {} : { up: link.up }),
      ...(link.mac === undefined || old.mac === link.mac ? {} : { mac: link.mac }),
      ...(link.mtu === undefined || old.mtu === link.mtu ? {} : { mtu: link.mtu }),
      ...(link.master === old.master ? {} : link.master === undefined ? { noMaster: true } : { master: link.master }),
    }
    yield { kind: 'link.set', at: placeOf(namespace), name: link.name, changes }
  }
}

function* addAddresses({ current, wanted, around, gone }: Context): Generator<Operation> {
  for (const state of wanted.namespaces.values()) {
    const old = without(current.namespaces.get(state.name)?.addresses, (a) => gone.get(state.name)?.has(a.dev) ?? false)
    for (const address of added(old, state.addresses)) {
      if (state.netns === undefined && around.foreign.addresses.has(addressKey(address))) continue
      yield { kind: 'address.add', at: placeOf(state), address }
    }
  }
}

function* bringBridgesUp({ current, wanted, gone }: Context): Generator<Operation> {
  for (const { namespace, link } of linksOf(wanted)) {
    if (link.link.kind !== 'bridge' || !link.up) continue
    const isThere =
      current.namespaces.get(namespace.name)?.links.has(link.name) && !gone.get(namespace.name)?.has(link.name)
    if (!isThere) {
      yield {
        kind: 'link.set',
        at: placeOf(namespace),
        name: link.name,
        changes: { up: true },
        because: 'after its ports, or each new port would flood all others',
      }
    }
  }
}

function* addSettings({ current, wanted, around, gone, shaken }: Context): Generator<Operation> {
  for (const state of wanted.namespaces.values()) {
    const at = placeOf(state)
    const old = current.namespaces.get(state.name)
    const names = gone.get(state.name)
    const isForeign = (keys: ReadonlySet<string>, key: string): boolean => state.netns === undefined && keys.has(key)
    const routes = without(old?.routes, (r) => isOn(r, names) || isOn(r, shaken.get(state.name)))
    // a gateway must be reachable before a route may use it
    const missing = [...state.routes].filter(([key]) => !routes.has(key) && !isForeign(around.foreign.routes, key))
    for (const [, route] of missing)
      if (route.via === undefined && !route.nexthops) yield { kind: 'route.add', at, route }
    for (const [, route] of missing)
      if (route.via !== undefined || route.nexthops) yield { kind: 'route.add', at, route }
    for (const [key, rule] of state.rules) {
      if (!old?.rules.has(key) && !isForeign(around.foreign.rules, key)) yield { kind: 'rule.add', at, rule }
    }
    const neighbours = without(old?.neighbours, (n) => names?.has(n.dev) ?? false)
    for (const [key, neighbour] of state.neighbours) {
      if (!neighbours.has(key) && !isForeign(around.foreign.neighbours, key))
        yield { kind: 'neighbour.add', at, neighbour }
    }
  }
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
      continue
    }
    const changes = diffRuleset(old?.ruleset ?? [], next?.ruleset ?? [])
    const isMade = has || wantedNotes.length > 0
    if (changes.length > 0) yield { kind: 'ruleset.set', at, table: isMade ? 'keep' : 'add', chains: changes }
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

function* addAccepts({ current, wanted }: Context): Generator<Operation> {
  for (const state of wanted.namespaces.values()) {
    for (const accept of added(current.namespaces.get(state.name)?.accepts, state.accepts)) {
      yield { kind: 'accept.add', at: placeOf(state), accept }
    }
  }
}

function* startServices({ current, wanted }: Context): Generator<Operation> {
  for (const state of wanted.namespaces.values()) {
    for (const service of added(current.namespaces.get(state.name)?.services, state.services)) {
      yield { kind: 'service.start', at: placeOf(state), service }
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
  ]
  return { topology: wanted.topology, operations }
}
