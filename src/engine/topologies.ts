/** Which topologies are up: read from the marks in the kernel, nothing else. */
import { deadMark, listNetns } from '../netns/index.ts'
import { readMark } from '../plan/marks.ts'
import { HOST, type NamespaceState } from '../plan/state.ts'
import { type Handles, openHandles } from './handles.ts'
import { listOwnedNetns, observe } from './observe.ts'
import { listProcesses, type Process } from './services.ts'
import { listOwnTables } from './table.ts'

export interface TopologySummary {
  readonly name: string
  readonly isolated: boolean
  /** names under /run/netns */
  readonly namespaces: readonly string[]
  /** links of the host itself */
  readonly hostLinks: readonly string[]
  /** programs that are kept running, as `namespace: words` */
  readonly services: readonly string[]
  /** pid of the process that starts them again when they end */
  readonly keeper?: number
}

/** Every topology of which anything is in the kernel. */
export function listTopologies(shared?: Handles): TopologySummary[] {
  using own = shared ? undefined : openHandles()
  const handles = shared ?? own ?? openHandles()
  const host = handles.at({ name: HOST })
  const found = new Map<string, { namespaces: string[]; hostLinks: string[]; isolated: boolean }>()
  const of = (name: string): { namespaces: string[]; hostLinks: string[]; isolated: boolean } => {
    const known = found.get(name) ?? { namespaces: [], hostLinks: [], isolated: false }
    found.set(name, known)
    return known
  }
  for (const { topology, netns, namespace } of listOwnedNetns(handles)) {
    const entry = of(topology)
    entry.namespaces.push(netns)
    if (namespace === HOST) entry.isolated = true
  }
  for (const name of listNetns()) {
    const owner = readMark(deadMark(name))
    if (owner) of(owner.topology)
  }
  for (const link of host.links()) {
    const owner = readMark(link.alias)
    if (owner && owner.namespace === undefined) of(owner.topology).hostLinks.push(link.name)
  }
  for (const topology of listOwnTables(host)) of(topology)
  const processes = listProcesses()
  // a topology may be no more than programs on the host
  for (const { topology, service, keeper } of processes) if (service ?? keeper) of(topology)
  return [...found]
    .map(([name, entry]) => ({ name, ...entry, ...running(processes.filter((p) => p.topology === name)) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function running(processes: readonly Process[]): Pick<TopologySummary, 'services' | 'keeper'> {
  const keeper = processes.find((p) => p.keeper)
  return {
    services: processes
      .filter((p) => p.service)
      .sort((a, b) => a.namespace.localeCompare(b.namespace) || (a.service?.number ?? 0) - (b.service?.number ?? 0))
      .map((p) => `${p.namespace}: ${p.service?.argv.join(' ')}`),
    ...(keeper ? { keeper: keeper.pid } : {}),
  }
}

/** What a topology has in each of its namespaces, the host first, from the kernel. */
export function showTopology(name: string): NamespaceState[] {
  const states = [...observe(name).state.namespaces.values()]
  return [...states.filter((s) => s.name === HOST), ...states.filter((s) => s.name !== HOST)]
}

/** Whether there is a file of that name under /run/netns. */
export function netnsExists(name: string): boolean {
  return listNetns().includes(name)
}
