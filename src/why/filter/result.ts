/** What goes into the evaluation of a hook, and what comes out. Plain data. */
import type { Family, Hook } from '../../nftables/index.ts'
import type { Packet, PacketDevice } from '../packet.ts'

/** Where the kernel calls filters. Chains of the family `inet` run at the hooks of `ip` and `ip6`. */
export interface HookPoint {
  readonly family: 'ip' | 'ip6' | 'bridge' | 'netdev' | 'arp'
  readonly hook: Hook
  /** of `netdev`: the device whose hook it is */
  readonly device?: string
}

/** RTN_*, linux/rtnetlink.h */
export const addressTypes = {
  unspec: 0,
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
} as const
export type AddressType = keyof typeof addressTypes

export interface RouteQuestion {
  readonly destination: string
  readonly source?: string
  readonly mark?: number
  /** only routes by this device */
  readonly device?: PacketDevice
}

/** What rules ask of the namespace. Undefined says: not known; then the evaluation looks at every answer. */
export interface FilterWorld {
  /** What kind of address it is here, or, with a device, as seen on that device alone. */
  readonly addressType: (address: string, device?: PacketDevice) => AddressType | undefined
  /** The type of the route that the kernel would take and its device; `unreachable` where there is none. */
  readonly route: (
    question: RouteQuestion,
  ) => { readonly type: AddressType; readonly device?: PacketDevice } | undefined
  /**
   * The address that masquerading gives to packets to `destination` by the device: one of global scope, where it has none
   * that of another device; null: there is none.
   */
  readonly sourceAddress: (device: PacketDevice, destination: string) => string | null | undefined
  /** The first address of the device, to which `redirect` leads; null: it has none. */
  readonly deviceAddress: (device: PacketDevice, family: 4 | 6) => string | null | undefined
  /** The bridge of which the device is a port; null: of none. */
  readonly bridgeOf?: (device: PacketDevice) => PacketDevice | null | undefined
}

/** A rule, or with neither handle nor number the policy of a base chain. */
export interface RuleRef {
  /** `iptables`: iptables-legacy, which nf_tables does not show */
  readonly engine: 'nftables' | 'iptables'
  readonly family: Family
  readonly table: string
  readonly chain: string
  readonly handle?: bigint
  /** of an iptables rule: its place in the chain, from 1 */
  readonly number?: number
  readonly comment?: string
}

export interface Translation {
  readonly kind: 'dnat' | 'redirect' | 'snat' | 'masquerade'
  readonly address: string
  /** absent: the port is kept, or the kernel chooses one */
  readonly port?: number
  /** absent: connection tracking did it, as for the packets before */
  readonly rule?: RuleRef
}

/** What rules did on the way, in order. */
export interface Step {
  readonly kind: 'accept' | 'drop' | 'reject' | 'translate' | 'mark' | 'log' | 'untrack' | 'change' | 'assume'
  readonly rule: RuleRef
  /** one plain phrase, `sets the mark 0x1` */
  readonly text: string
}

export interface Outcome {
  /** `reject`: dropped, and the sender is told */
  readonly verdict: 'accept' | 'drop' | 'reject'
  /** the rule or policy that decided: of a packet that passes, the one of the last base chain; absent: no chain is there */
  readonly by?: RuleRef
  /** as it is after the hook */
  readonly packet: Packet
  readonly translations: readonly Translation[]
  readonly steps: readonly Step[]
  /** a nat chain is here, but the flow was seen before: its translation, or that it has none, is settled */
  readonly isNatSkipped: boolean
  /** the kernel asks for the route again: a chain of type `route` or nat in `output` changed the packet */
  readonly isRerouted: boolean
}

/** What could not be decided. */
export interface Doubt {
  readonly rule: RuleRef
  /** what is not known, `the source port`, `[ xt match u32 ]` */
  readonly what: string
}

export interface UnknownOutcome {
  readonly verdict: 'unknown'
  /** on whose answer the outcome depends */
  readonly doubt: Doubt
  /** the outcomes seen, different ones only: a load balancer has one for each of its targets */
  readonly possible: readonly Outcome[]
  /** there are no others */
  readonly isComplete: boolean
}

export type HookResult = Outcome | UnknownOutcome
