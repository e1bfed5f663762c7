/**
 * Operations: one change to the kernel each, as frozen tagged data. What an operation says to the kernel, to a shell
 * and to a person are three visitors: `engine/apply/`, `shell.ts` and `prose.ts`.
 *
 * `at` is the namespace: its name in the file, and its file under /run/netns if it has one.
 */
import type { Neighbour, Route, Rule } from '../topology/model.ts'
import type { FlowMatch } from './flows.ts'
import type { ChainState, RuleState } from './ruleset.ts'
import type { Accept, AddressState, KeeperState, LinkState, ServiceState } from './state.ts'

export interface Place {
  readonly name: string
  readonly netns?: string
}

/** Rules of one chain that go, and rules that come; a new rule stands before the one with handle `before`, or last. */
export interface ChainChange {
  readonly chain: ChainState
  readonly change: 'add' | 'delete' | 'edit'
  readonly deleted: readonly RuleState[]
  readonly added: readonly { readonly rule: RuleState; readonly before?: bigint }[]
}

export type LinkChanges = Partial<Pick<LinkState, 'up' | 'mac' | 'mtu' | 'master'>> & {
  readonly noMaster?: true
  readonly hairpin?: boolean
}

export type Operation =
  | { readonly kind: 'netns.add' | 'netns.delete'; readonly at: Place }
  | {
      readonly kind: 'link.add'
      readonly at: Place
      readonly link: LinkState
      /** the other end of a veth */
      readonly peer?: { readonly at: Place; readonly link: LinkState }
    }
  | { readonly kind: 'link.delete'; readonly at: Place; readonly link: LinkState }
  /** every link of the topology in this namespace, by its group, in one message */
  | { readonly kind: 'links.delete'; readonly at: Place; readonly links: readonly string[] }
  | {
      readonly kind: 'link.set'
      readonly at: Place
      readonly name: string
      readonly changes: LinkChanges
      readonly because?: string
    }
  | { readonly kind: 'address.add' | 'address.delete'; readonly at: Place; readonly address: AddressState }
  | { readonly kind: 'route.add' | 'route.delete'; readonly at: Place; readonly route: Route }
  | { readonly kind: 'rule.add' | 'rule.delete'; readonly at: Place; readonly rule: Rule }
  | { readonly kind: 'neighbour.add' | 'neighbour.delete'; readonly at: Place; readonly neighbour: Neighbour }
  | {
      readonly kind: 'sysctl.set'
      readonly at: Place
      readonly key: string
      readonly value: string
      readonly because?: string
    }
  | {
      readonly kind: 'notes.set'
      readonly at: Place
      readonly table: 'add' | 'keep'
      readonly notes: readonly string[]
    }
  | {
      readonly kind: 'ruleset.set'
      readonly at: Place
      readonly table: 'add' | 'keep'
      readonly chains: readonly ChainChange[]
    }
  | { readonly kind: 'table.delete'; readonly at: Place }
  /** connection tracking forgets what a rule that has gone translated, or one that has come would have */
  | { readonly kind: 'flows.delete'; readonly at: Place; readonly flow: FlowMatch }
  | { readonly kind: 'accept.add' | 'accept.delete'; readonly at: Place; readonly accept: Accept }
  | { readonly kind: 'service.start' | 'service.stop'; readonly at: Place; readonly service: ServiceState }
  | { readonly kind: 'keeper.start' | 'keeper.stop'; readonly at: Place; readonly keeper: KeeperState }

export type OperationOf<K extends Operation['kind']> = Extract<Operation, { kind: K }>

export interface Plan {
  readonly topology: string
  readonly operations: readonly Operation[]
}
