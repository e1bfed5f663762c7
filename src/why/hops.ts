/** The answer of `why`: the hops in order, the first fault, and how to mend it. Plain data. */
import type { Code } from './codes.ts'

/** `pass`: it goes on; `stop`: here it ends; `unknown`: this cannot be decided; `note`: worth knowing, decides nothing. */
export type HopVerdict = 'pass' | 'stop' | 'unknown' | 'note'

export type HopKind =
  | 'process'
  | 'socket'
  | 'rule'
  | 'route'
  | 'neighbour'
  | 'device'
  | 'bridge'
  | 'filter'
  | 'nat'
  | 'tracking'
  | 'sysctl'
  | 'address'
  | 'qdisc'

export interface Hop {
  /** the namespace, by the name that `exec` takes */
  readonly where: string
  /** `answer`: on the way back */
  readonly way: 'request' | 'answer'
  readonly kind: HopKind
  /** what decided: a route, a rule with its handle, a sysctl, a device */
  readonly object: string
  readonly verdict: HopVerdict
  /** one plain sentence without a full stop */
  readonly text: string
  /** of a hop that stops the packet */
  readonly code?: Code
}

export interface Remedy {
  /** what to change in a topology file; empty where no file can mend it */
  readonly file: string
  /** the commands that mend it now; lines of sh */
  readonly shell: string
}

/** Something that was seen of a real packet. */
export interface LiveStep {
  readonly where: string
  readonly way: Hop['way']
  readonly text: string
  readonly verdict: 'pass' | 'stop'
}

export interface Live {
  readonly steps: readonly LiveStep[]
  /** null: cannot be seen */
  readonly isAnswered: boolean | null
  /** whether the packet and the analysis agree; null where one of them is silent */
  readonly agrees: boolean | null
  readonly text: string
}

export interface Explanation {
  readonly from: string
  readonly to: string
  /** null: unknown */
  readonly reachable: boolean | null
  readonly code: Code | null
  readonly hops: readonly Hop[]
  readonly remedy: Remedy | null
  /** what a real packet did, when one was sent */
  readonly live?: Live
}
