/** What comes, in order: namespaces, sysctls, links, addresses, bridges up, settings, accepts, services. */

import { added, type Context, isOn, keepsTheSame, linksOf, placeOf, without } from './diff-context.ts'
import { addressKey } from './keys.ts'
import { differs, sysctlDevice } from './notes.ts'
import type { LinkChanges, Operation, Place } from './operations.ts'
import { HOST, type LinkState } from './state.ts'

export function* addNamespaces({ current, wanted }: Context): Generator<Operation> {
  for (const state of wanted.namespaces.values()) {
    if (state.netns !== undefined && !current.namespaces.has(state.name))
      yield { kind: 'netns.add', at: placeOf(state) }
  }
}

export function* setSysctls({ current, wanted, around, gone }: Context, onDevices: boolean): Generator<Operation> {
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
export function withoutUp(link: LinkState): LinkState {
  return link.link.kind === 'bridge' ? { ...link, up: false } : link
}

/** Devices that others rest on come first. */
export const LINK_ORDER = ['bridge', 'veth', 'macvlan', 'vxlan'] as const

function hairpinOn(at: Place, link: LinkState): Operation {
  const because = 'the service behind it may call its own published port'
  return { kind: 'link.set', at, name: link.name, changes: { hairpin: true }, because }
}

export function* addLinks({ current, wanted, gone }: Context): Generator<Operation> {
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
      if (near.link.hairpin) yield hairpinOn(near.at, near.link)
      if (other.link.master !== undefined) {
        yield { kind: 'link.set', at: other.at, name: other.link.name, changes: { master: other.link.master } }
        if (other.link.hairpin) yield hairpinOn(other.at, other.link)
      }
    }
  }
}

export function* changeLinks({ current, wanted, around, gone }: Context): Generator<Operation> {
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
      // a port that joins a bridge has it off
      ...(link.hairpin === (link.master === old.master ? old.hairpin : undefined)
        ? {}
        : { hairpin: link.hairpin === true }),
    }
    yield { kind: 'link.set', at: placeOf(namespace), name: link.name, changes }
  }
}

export function* addAddresses({ current, wanted, around, gone }: Context): Generator<Operation> {
  for (const state of wanted.namespaces.values()) {
    const old = without(current.namespaces.get(state.name)?.addresses, (a) => gone.get(state.name)?.has(a.dev) ?? false)
    for (const address of added(old, state.addresses)) {
      if (state.netns === undefined && around.foreign.addresses.has(addressKey(address))) continue
      yield { kind: 'address.add', at: placeOf(state), address }
    }
  }
}

export function* bringBridgesUp({ current, wanted, gone }: Context): Generator<Operation> {
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

export function* addSettings({ current, wanted, around, gone, shaken }: Context): Generator<Operation> {
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

export function* addAccepts({ current, wanted }: Context): Generator<Operation> {
  for (const state of wanted.namespaces.values()) {
    for (const accept of added(current.namespaces.get(state.name)?.accepts, state.accepts)) {
      yield { kind: 'accept.add', at: placeOf(state), accept }
    }
  }
}

/** A keeper that stays starts again what has ended; a second start beside it would make two of one service. */
export function* startServices({ current, wanted }: Context): Generator<Operation> {
  if (wanted.keeper && keepsTheSame(wanted.keeper, current.keeper)) return
  for (const state of wanted.namespaces.values()) {
    for (const service of added(current.namespaces.get(state.name)?.services, state.services)) {
      yield { kind: 'service.start', at: placeOf(state), service }
    }
  }
}

export function* startKeeper({ current, wanted }: Context): Generator<Operation> {
  const { keeper } = wanted
  if (keeper && !keepsTheSame(keeper, current.keeper)) yield { kind: 'keeper.start', at: { name: HOST }, keeper }
}
