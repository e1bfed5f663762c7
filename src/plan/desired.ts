/** The state that a file asks for, on this machine. Pure. */
import type { Prefix } from '../ip/index.ts'
import { prefixContains } from '../ip/index.ts'
import type { Interface, Model, Namespace, Publish } from '../topology/model.ts'
import { acceptKey, addressKey, neighbourKey, routeKey, ruleKey, serviceKey } from './keys.ts'
import { isolatedHost } from './marks.ts'
import { buildRuleset, publishesLoopback } from './ruleset.ts'
import {
  type Accept,
  HOST,
  type KeptService,
  type LinkState,
  type NamespaceState,
  type State,
  type Surroundings,
  type SysctlState,
} from './state.ts'

function keyed<T>(items: readonly T[], key: (item: T) => string): Map<string, T> {
  return new Map(items.map((item) => [key(item), item]))
}

/** File under /run/netns of a namespace of the model; undefined for the namespace that hardway runs in. */
export function netnsOf(model: Model, namespace: string): string | undefined {
  if (namespace !== HOST) return namespace
  return model.isolated ? isolatedHost(model.name) : undefined
}

/** Ends of wires to the targets of published ports, as `namespace interface`. */
function endsToTargets(model: Model): Set<string> {
  const targets = new Set(model.publish.map(({ to }) => `${to.namespace} ${to.address}`))
  const interfaces = model.namespaces.flatMap(({ name, interfaces }) => interfaces.map((i) => ({ name, i })))
  return new Set(
    interfaces.flatMap(({ name, i }) =>
      i.link.kind === 'veth' && i.addresses.some((a) => targets.has(`${name} ${a.address}`))
        ? [`${i.link.peer.namespace} ${i.link.peer.interface}`]
        : [],
    ),
  )
}

/**
 * Where br_netfilter is loaded, a bridge translates addresses before it forwards: a target that calls its own published
 * port then has to get its frame back on the port that it came from.
 */
function linkState(i: Interface, leadsToTarget: boolean): LinkState {
  return {
    name: i.name,
    link: i.link,
    ...(i.master === undefined ? {} : { master: i.master, ...(leadsToTarget ? { hairpin: true } : {}) }),
    ...(i.mac === undefined ? {} : { mac: i.mac }),
    ...(i.mtu === undefined ? {} : { mtu: i.mtu }),
    up: i.up,
  }
}

/** The sysctls of a namespace: those of the file, and those that its published ports need. */
export function sysctlsOf(model: Model, namespace: Namespace): SysctlState[] {
  const publishes = model.publish.filter((p) => p.namespace === namespace.name)
  return [...localnetSysctls(namespace, publishes), ...namespace.sysctls]
}

/** Devices through which published loopback addresses reach their targets must route 127.0.0.0/8. */
function localnetSysctls(namespace: Namespace, publishes: readonly Publish[]): SysctlState[] {
  const targets = publishes.filter(publishesLoopback)
  const devices = namespace.interfaces.filter((i) =>
    i.addresses.some((a) => targets.some((p) => prefixContains(a, p.to.address))),
  )
  return devices.map((i) => ({
    key: `net.ipv4.conf.${i.name}.route_localnet`,
    value: '1',
    because: 'a published port is reached from 127.0.0.1 too',
  }))
}

/** Chains of others that may drop forwarded packets get an accept for each of our networks, from it and to it. */
export function buildAccepts(forward: readonly Prefix[], chains: Surroundings['forwardChains']): Accept[] {
  return chains.flatMap((at) =>
    forward
      .filter((prefix) => at.family === 'inet' || at.family === (prefix.family === 4 ? 'ip' : 'ip6'))
      .flatMap((prefix) => [
        { ...at, prefix, direction: 'saddr' as const },
        { ...at, prefix, direction: 'daddr' as const },
      ]),
  )
}

function namespaceState(
  model: Model,
  namespace: Namespace,
  around: Surroundings,
  toTargets: ReadonlySet<string>,
): NamespaceState {
  const netns = netnsOf(model, namespace.name)
  const here = <T extends { readonly namespace: string }>(items: readonly T[]): T[] =>
    items.filter((item) => item.namespace === namespace.name)
  const publishes = here(model.publish)
  const ownDefault = defaultDevice(namespace)
  const device = netns === undefined ? { ...around.defaultDevice, ...ownDefault } : ownDefault
  return {
    name: namespace.name,
    ...(netns === undefined ? {} : { netns }),
    links: keyed(
      namespace.interfaces.map((i) => linkState(i, toTargets.has(`${namespace.name} ${i.name}`))),
      (l) => l.name,
    ),
    addresses: keyed(
      namespace.interfaces.flatMap((i) => i.addresses.map((address) => ({ dev: i.name, address }))),
      addressKey,
    ),
    routes: keyed(namespace.routes, routeKey),
    rules: keyed(namespace.rules, ruleKey),
    neighbours: keyed(namespace.neighbours, neighbourKey),
    sysctls: keyed(sysctlsOf(model, namespace), (s) => s.key),
    ruleset: buildRuleset(here(model.masquerade), publishes, device),
    notes: [],
    accepts: keyed(
      netns === undefined && namespace.name === HOST ? buildAccepts(model.forward, around.forwardChains) : [],
      acceptKey,
    ),
    services: keyed(
      namespace.run.map((s, i) => ({ number: i + 1, argv: s.argv })),
      serviceKey,
    ),
  }
}

function defaultDevice(namespace: Namespace): { 4?: string; 6?: string } {
  const found: { 4?: string; 6?: string } = {}
  for (const r of namespace.routes) {
    if (r.to.length === 0 && r.type === 'unicast' && r.dev !== undefined) found[r.to.family] ??= r.dev
  }
  return found
}

function keptServices(model: Model, { name, run }: Namespace): KeptService[] {
  const netns = netnsOf(model, name)
  return run.map(({ argv }, i) => ({
    namespace: name,
    ...(netns === undefined ? {} : { netns }),
    number: i + 1,
    argv,
  }))
}

export function desiredState(model: Model, around: Surroundings): State {
  // a host that stays as it is needs no state; an isolated one must exist all the same
  const services = model.namespaces.flatMap((n) => keptServices(model, n))
  const toTargets = endsToTargets(model)
  return {
    topology: model.name,
    namespaces: new Map(model.namespaces.map((n) => [n.name, namespaceState(model, n, around, toTargets)])),
    ...(services.length === 0 ? {} : { keeper: { services } }),
  }
}

/** The state of a topology that is not there. */
export function nothing(topology: string): State {
  return { topology, namespaces: new Map() }
}
