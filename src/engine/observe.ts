/** Reads the kernel: the present state of a topology, and of its surroundings what a plan needs. Changes nothing. */
import { readFileSync } from 'node:fs'
import { deadMark, listNetns } from '../netns/index.ts'
import { netnsOf, sysctlsOf } from '../plan/desired.ts'
import { addressKey, neighbourKey, routeKey, ruleKey, serviceKey } from '../plan/keys.ts'
import { linkGroup, mark, readMark } from '../plan/marks.ts'
import { parseNotes } from '../plan/notes.ts'
import type { Place } from '../plan/operations.ts'
import { HOST, type LinkState, type NamespaceState, type State, type Surroundings } from '../plan/state.ts'
import { getLinkLabel, type Link, type LinkLabel } from '../rtnetlink/index.ts'
import type { Model, Namespace } from '../topology/model.ts'
import { codeOf } from './errors.ts'
import { findForwardChains, readAccepts } from './foreign.ts'
import { type Handle, type Handles, openHandles } from './handles.ts'
import { linkStates } from './links.ts'
import { listProcesses, type Process } from './services.ts'
import { readAddresses, readNeighbours, readRoutes, readRules, type Settings } from './settings.ts'
import { readTable } from './table.ts'

export interface Observed {
  readonly state: State
  readonly around: Surroundings
}

/** A namespace under /run/netns and whose it is. */
export interface OwnedNetns {
  readonly netns: string
  readonly topology: string
  /** name in the file; `host` for that of an isolated topology */
  readonly namespace: string
}

const LOOPBACK = 1

/** The mark of a namespace; undefined when it has none or is none. */
export function readNetnsMark(handles: Handles, netns: string): ReturnType<typeof readMark> {
  try {
    return readMark(getLinkLabel(handles.at({ name: netns, netns }).route, { index: LOOPBACK })?.alias)
  } catch (error) {
    // EINVAL: a file on which nothing is mounted; ENOENT: gone since the directory was read
    if (codeOf(error) === 'EINVAL' || codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Every namespace that hardway made. Those stay open for what comes next, unless `isBrief`. */
export function listOwnedNetns(handles: Handles, isBrief = false): OwnedNetns[] {
  return listNetns().flatMap((netns) => {
    const found = readNetnsMark(handles, netns)
    if (!found || isBrief) handles.release({ name: netns, netns })
    return found ? [{ netns, topology: found.topology, namespace: found.namespace ?? netns }] : []
  })
}

/** Whether a link of the host is the topology's: by its alias, or by its group while the alias is not yet set. */
export function isOwnedLink(link: LinkLabel, topology: string): boolean {
  const owner = readMark(link.alias)
  return owner ? owner.topology === topology : link.group === linkGroup(topology)
}

const noSettings: Settings = { addresses: [], routes: [], rules: [], neighbours: [] }

function keyed<T>(items: readonly T[], key: (item: T) => string): Map<string, T> {
  return new Map(items.map((item) => [key(item), item]))
}

function settingMaps(s: Settings): Pick<NamespaceState, 'addresses' | 'routes' | 'rules' | 'neighbours'> {
  return {
    addresses: keyed(s.addresses, addressKey),
    routes: keyed(s.routes, routeKey),
    rules: keyed(s.rules, ruleKey),
    neighbours: keyed(s.neighbours, neighbourKey),
  }
}

function readSettings(handle: Handle, links: readonly Link[], only: 'ours' | 'all'): Settings {
  const names = new Map(links.map((l) => [l.index, l.name]))
  return {
    addresses: readAddresses(handle.route, names),
    routes: readRoutes(handle.route, names, only),
    rules: readRules(handle.route, only),
    neighbours: readNeighbours(handle.route, names),
  }
}

/** The value under /proc/sys, or undefined when there is no such key. */
export function readSysctl(key: string): string | undefined {
  try {
    return readFileSync(sysctlPath(key), 'utf8').trim()
  } catch {
    return undefined
  }
}

/** `net.ipv4.conf.eth0.1.rp_filter`: a device's dots are written as in sysctl(8), which takes the device as a whole. */
export function sysctlPath(key: string): string {
  const device = /^(net\.ipv[46]\.(?:conf|neigh))\.(.+)\.([^.]+)$/.exec(key)
  const parts = device ? [...(device[1] ?? '').split('.'), device[2] ?? '', device[3] ?? ''] : key.split('.')
  return `/proc/sys/${parts.map((part) => part.replaceAll('/', '.')).join('/')}`
}

function readSysctls(handles: Handles, places: readonly Place[], model: Model | undefined): Surroundings['sysctls'] {
  const values = new Map<string, Map<string, string>>()
  for (const place of places) {
    const namespace = model?.namespaces.find((n) => n.name === place.name)
    const keys = model && namespace ? sysctlsOf(model, namespace) : []
    if (keys.length === 0) continue
    const found = handles.at(place).inside(() => keys.map(({ key }) => [key, readSysctl(key)] as const))
    values.set(place.name, new Map(found.filter((pair): pair is readonly [string, string] => pair[1] !== undefined)))
  }
  return values
}

/** What on the host is ours: by device, and by the notes. */
function ownSettings(settings: Settings, ownLinks: ReadonlySet<string>, notes: readonly string[]): Settings {
  const noted = new Set(
    parseNotes(notes).flatMap((n) => (n.kind === 'sysctl' || n.kind === 'link' ? [] : [`${n.kind} ${n.key}`])),
  )
  const on = (dev: string | undefined): boolean => dev !== undefined && ownLinks.has(dev)
  return {
    addresses: settings.addresses.filter((a) => on(a.dev) || noted.has(`address ${addressKey(a)}`)),
    routes: settings.routes.filter(
      (r) => on(r.dev) || (r.nexthops?.every((hop) => on(hop.dev)) ?? false) || noted.has(`route ${routeKey(r)}`),
    ),
    rules: settings.rules.filter((r) => noted.has(`rule ${ruleKey(r)}`)),
    neighbours: settings.neighbours.filter((n) => on(n.dev) || noted.has(`neighbour ${neighbourKey(n)}`)),
  }
}

/** What is not ours, the kernel's own routes among it. */
function otherSettings(all: Settings, ours: Settings): Settings {
  const not = <T>(items: readonly T[], own: readonly T[], key: (item: T) => string): T[] => {
    const keys = new Set(own.map(key))
    return items.filter((item) => !keys.has(key(item)))
  }
  return {
    addresses: not(all.addresses, ours.addresses, addressKey),
    routes: not(all.routes, ours.routes, routeKey),
    rules: not(all.rules, ours.rules, ruleKey),
    neighbours: not(all.neighbours, ours.neighbours, neighbourKey),
  }
}

export interface ObserveOptions {
  /** the file, when there is one: what it names is looked for */
  readonly model?: Model
  /** only what is needed to take everything away */
  readonly isShallow?: boolean
}

/** Whether to look for processes, which costs a look at every process of this machine. */
function mayRunProcesses(places: readonly Place[], model: Model | undefined): boolean {
  if (model === undefined || places.some((place) => place.netns !== undefined)) return true
  // what runs on the host itself may be all that there is of a topology
  return model.namespaces.every((n) => n.name === HOST) || model.namespaces.some((n) => n.run.length > 0)
}

/** Finds the topology's places: its namespaces that exist, and the host. */
function findPlaces(handles: Handles, topology: string, host: Place, isBrief: boolean): Place[] {
  const owned = listOwnedNetns(handles, isBrief).filter((n) => n.topology === topology)
  const places = owned.map((n): Place => ({ name: n.namespace, netns: n.netns }))
  return places.some((p) => p.name === HOST) ? places : [host, ...places]
}

function foreignLink(link: Link, names: ReadonlyMap<number, string>): LinkState {
  const master = link.master === undefined ? undefined : names.get(link.master)
  return {
    name: link.name,
    link: { kind: 'existing' },
    up: link.isUp,
    mtu: link.mtu,
    ...(link.mac === undefined ? {} : { mac: link.mac }),
    ...(master === undefined ? {} : { master }),
  }
}

/** Whether a file puts settings on the host itself, beside those on its own links. */
function touchesHost(namespace: Namespace | undefined): boolean {
  if (!namespace) return false
  const { interfaces, routes, rules, neighbours } = namespace
  return interfaces.some((i) => i.link.kind === 'existing') || routes.length + rules.length + neighbours.length > 0
}

/** `topology` as it is in the kernel now. Throws SysError EPERM without CAP_SYS_ADMIN. */
export function observe(topology: string, options: ObserveOptions = {}, shared?: Handles): Observed {
  using own = shared ? undefined : openHandles()
  const handles = shared ?? own ?? openHandles()
  const { model } = options
  const host: Place = { name: HOST }
  const isShallow = options.isShallow ?? false
  const places = findPlaces(handles, topology, host, isShallow)
  // what is in a namespace that ends goes with it: only the host's own needs a look
  const deep = isShallow ? places.filter((p) => p.netns === undefined) : places
  const links = new Map(deep.map((p) => [p.name, handles.at(p).links()]))
  const ownLinks = new Map(
    deep.map((p) => {
      const all = links.get(p.name) ?? []
      return [p.name, p.netns === undefined ? all.filter((l) => isOwnedLink(l, topology)) : all]
    }),
  )
  const states = linkStates(handles, deep, links, ownLinks)
  const processes = mayRunProcesses(places, model) ? listProcesses(topology) : []
  const keeper = processes.find((p) => p.keeper)?.keeper
  const foreign = { links: new Map<string, LinkState>(), settings: noSettings }
  const namespaces = new Map<string, NamespaceState>()
  for (const place of places) {
    if (isShallow && place.netns !== undefined) {
      namespaces.set(place.name, unread(place, servicesOf(processes, place.name)))
      continue
    }
    const handle = handles.at(place)
    const all = links.get(place.name) ?? []
    const table = readTable(handle, topology)
    const isHost = place.netns === undefined
    const isNeeded = !isShallow || hasNotedSettings(table.notes)
    const hostIsTouched = table.notes.length > 0 || (ownLinks.get(place.name)?.length ?? 0) > 0
    // the host of an isolated topology is another one
    const isMeant = !isHost || model?.isolated !== true
    const wanted = isMeant ? model?.namespaces.find((n) => n.name === place.name) : undefined
    const reads = isNeeded && (!isHost || hostIsTouched || touchesHost(wanted))
    let settings = reads ? readSettings(handle, all, 'ours') : noSettings
    if (isHost) {
      const own = new Set((ownLinks.get(place.name) ?? []).map((l) => l.name))
      settings = ownSettings(settings, own, table.notes)
      foreign.settings = reads && !isShallow ? otherSettings(readSettings(handle, all, 'all'), settings) : noSettings
      const names = new Map(all.map((l) => [l.index, l.name]))
      for (const l of all) if (!own.has(l.name)) foreign.links.set(l.name, foreignLink(l, names))
    }
    const notedSysctls = parseNotes(table.notes).flatMap((n) => (n.kind === 'sysctl' ? [n.key] : []))
    const existing = existingLinks(wanted, table.notes, foreign.links)
    namespaces.set(place.name, {
      name: place.name,
      ...(place.netns === undefined ? {} : { netns: place.netns }),
      links: new Map([...existing, ...(states.get(place.name) ?? [])]),
      ...settingMaps(settings),
      sysctls: observedSysctls(
        handle,
        isHost ? notedSysctls : model && wanted ? sysctlsOf(model, wanted).map((s) => s.key) : [],
      ),
      ruleset: table.ruleset,
      notes: table.notes,
      accepts: isHost ? readAccepts(handle, mark(topology)) : new Map(),
      services: servicesOf(processes, place.name),
    })
  }
  return {
    state: {
      topology,
      namespaces: isEmpty(namespaces) ? new Map() : namespaces,
      ...(keeper ? { keeper } : {}),
    },
    around: surroundings(handles, places, foreign, model, topology),
  }
}

/** Whether the host has settings of ours that do not go with a link of ours. */
function hasNotedSettings(notes: readonly string[]): boolean {
  return parseNotes(notes).some(({ kind }) => kind !== 'sysctl' && kind !== 'link')
}

/** A namespace of ours of which only the existence counts. */
function unread(place: Place, services: NamespaceState['services']): NamespaceState {
  return {
    name: place.name,
    ...(place.netns === undefined ? {} : { netns: place.netns }),
    links: new Map(),
    ...settingMaps(noSettings),
    sysctls: new Map(),
    ruleset: [],
    notes: [],
    accepts: new Map(),
    services,
  }
}

/** Whether nothing of the topology is there: the host alone, with nothing of it. */
function isEmpty(namespaces: ReadonlyMap<string, NamespaceState>): boolean {
  if (namespaces.size !== 1) return namespaces.size === 0
  return [...namespaces.values()].every(
    (n) =>
      n.netns === undefined &&
      [...n.links.values()].every((l) => l.link.kind === 'existing') &&
      n.addresses.size + n.routes.size + n.rules.size + n.neighbours.size + n.accepts.size + n.services.size === 0 &&
      n.ruleset.length + n.notes.length === 0,
  )
}

/** Devices of the machine that the topology uses or has changed. */
function existingLinks(
  wanted: Namespace | undefined,
  notes: readonly string[],
  foreign: ReadonlyMap<string, LinkState>,
): [string, LinkState][] {
  const names = new Set([
    ...(wanted?.interfaces.filter((i) => i.link.kind === 'existing').map((i) => i.name) ?? []),
    ...parseNotes(notes).flatMap((n) => (n.kind === 'link' ? [n.name] : [])),
  ])
  return [...names].flatMap((name): [string, LinkState][] => {
    const link = foreign.get(name)
    return link ? [[name, link]] : []
  })
}

function observedSysctls(handle: Handle, keys: readonly string[]): NamespaceState['sysctls'] {
  if (keys.length === 0) return new Map()
  return handle.inside(
    () =>
      new Map(
        keys.flatMap((key) => {
          const value = readSysctl(key)
          return value === undefined ? [] : [[key, { key, value }] as const]
        }),
      ),
  )
}

function servicesOf(processes: readonly Process[], namespace: string): NamespaceState['services'] {
  const services = processes.flatMap((p) => (p.namespace === namespace && p.service ? [p.service] : []))
  return keyed(services, serviceKey)
}

function surroundings(
  handles: Handles,
  places: readonly Place[],
  foreign: { links: ReadonlyMap<string, LinkState>; settings: Settings },
  model: Model | undefined,
  topology: string,
): Surroundings {
  const host = places.find((p) => p.netns === undefined)
  const owners = new Map<string, string>()
  const existing = new Set(listNetns())
  for (const namespace of model?.namespaces ?? []) {
    const netns = model && netnsOf(model, namespace.name)
    if (netns === undefined || !existing.has(netns)) continue
    // a dead file of ours is as good as none
    const owner = readNetnsMark(handles, netns) ?? readMark(deadMark(netns))
    if (owner?.topology !== topology) owners.set(netns, owner?.topology ?? '')
  }
  const usesDefault = model?.masquerade.some((m) => m.namespace === HOST && m.out === 'default') ?? false
  return {
    foreign: {
      links: foreign.links,
      addresses: new Set(foreign.settings.addresses.map(addressKey)),
      routes: new Set(foreign.settings.routes.map(routeKey)),
      rules: new Set(foreign.settings.rules.map(ruleKey)),
      neighbours: new Set(foreign.settings.neighbours.map(neighbourKey)),
    },
    owners,
    defaultDevice: host && usesDefault ? defaultDevices(handles, host) : {},
    forwardChains:
      host && model && !model.isolated && model.forward.length > 0 ? findForwardChains(handles.at(host)) : [],
    sysctls: readSysctls(handles, places, model),
  }
}

function defaultDevices(handles: Handles, host: Place): Surroundings['defaultDevice'] {
  const handle = handles.at(host)
  const names = new Map(handle.links().map((l) => [l.index, l.name]))
  const best: { 4?: { dev: string; metric: number }; 6?: { dev: string; metric: number } } = {}
  for (const route of readRoutes(handle.route, names, 'all')) {
    const { family } = route.to
    if (route.to.length > 0 || route.dev === undefined || route.table !== 254) continue
    const metric = route.metric ?? 0
    if (metric < (best[family]?.metric ?? Number.POSITIVE_INFINITY)) best[family] = { dev: route.dev, metric }
  }
  return {
    ...(best[4] ? { 4: best[4].dev } : {}),
    ...(best[6] ? { 6: best[6].dev } : {}),
  }
}
