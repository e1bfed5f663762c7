/**
 * What a topology has, or should have, in the kernel: one vocabulary for both, so that a plan is a comparison of two
 * states and an undo is the plan back to the state before. Plain data; every map is keyed by the object's own text.
 */
import type { Prefix } from '../ip/index.ts'
import type { End, LinkKind, Neighbour, Route, Rule } from '../topology/model.ts'
import type { Ruleset } from './ruleset.ts'

/** The namespace that hardway runs in, or the fresh one of an isolated topology. */
export const HOST = 'host'

export interface State {
  readonly topology: string
  /** by the name in the file */
  readonly namespaces: ReadonlyMap<string, NamespaceState>
  /** absent where no program is to be kept running */
  readonly keeper?: KeeperState
}

export interface NamespaceState {
  /** as in the file */
  readonly name: string
  /** file under /run/netns; absent for the namespace that hardway runs in, which it neither makes nor removes */
  readonly netns?: string
  readonly links: ReadonlyMap<string, LinkState>
  readonly addresses: ReadonlyMap<string, AddressState>
  readonly routes: ReadonlyMap<string, Route>
  readonly rules: ReadonlyMap<string, Rule>
  readonly neighbours: ReadonlyMap<string, Neighbour>
  readonly sysctls: ReadonlyMap<string, SysctlState>
  readonly ruleset: Ruleset
  /** what to put back in a namespace that is not ours; kept in the topology's table, written before the change */
  readonly notes: readonly string[]
  /** rules of ours in chains of others */
  readonly accepts: ReadonlyMap<string, Accept>
  readonly services: ReadonlyMap<string, ServiceState>
}

export interface LinkState {
  readonly name: string
  readonly link: LinkKind
  readonly master?: string
  /** a bridge port that sends a frame back to where it came from; absent: it does not */
  readonly hairpin?: true
  /** wanted: absent means as the kernel chose */
  readonly mac?: string
  readonly mtu?: number
  readonly up: boolean
}

export interface AddressState {
  readonly dev: string
  readonly address: Prefix
}

export interface SysctlState {
  readonly key: string
  readonly value: string
  readonly because?: string
}

/** An accept for packets from and to `prefix` at the head of a chain that is not ours. */
export interface Accept {
  readonly family: 'ip' | 'ip6' | 'inet'
  readonly table: string
  readonly chain: string
  readonly prefix: Prefix
  readonly direction: 'saddr' | 'daddr'
  /** in the kernel, when observed */
  readonly handle?: bigint
}

export interface ServiceState {
  /** counts from 1 among the services of its namespace */
  readonly number: number
  readonly argv: readonly string[]
  /** when observed */
  readonly pid?: number
}

/** The process that starts services again when they end: one for a topology. */
export interface KeeperState {
  readonly services: readonly KeptService[]
  /** when observed */
  readonly pid?: number
}

export interface KeptService {
  /** name in the file, and file under /run/netns if it has one */
  readonly namespace: string
  readonly netns?: string
  readonly number: number
  readonly argv: readonly string[]
}

/** What was found on the machine besides the topology's own state: what a plan must respect or make use of. */
export interface Surroundings {
  /** objects of the host that are not ours, by the same keys as in NamespaceState */
  readonly foreign: {
    readonly links: ReadonlyMap<string, LinkState>
    readonly addresses: ReadonlySet<string>
    readonly routes: ReadonlySet<string>
    readonly rules: ReadonlySet<string>
    readonly neighbours: ReadonlySet<string>
  }
  /** whose the names under /run/netns are that the topology would use: a topology, or `''` for somebody else's */
  readonly owners: ReadonlyMap<string, string>
  /** device of the host's default route */
  readonly defaultDevice: { readonly 4?: string; readonly 6?: string }
  /** chains of others through which forwarded packets must pass and that may drop them */
  readonly forwardChains: readonly {
    readonly family: 'ip' | 'ip6' | 'inet'
    readonly table: string
    readonly chain: string
  }[]
  /** present values, by namespace then key, of every sysctl that the topology sets */
  readonly sysctls: ReadonlyMap<string, ReadonlyMap<string, string>>
}

export function end(namespace: string, name: string): End {
  return { namespace, interface: name }
}
