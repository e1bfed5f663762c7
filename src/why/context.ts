/** What a walk carries along, and how it ends. */
import type { Code } from './codes.ts'
import type { Hop, HopKind, HopVerdict } from './hops.ts'
import type { Packet, Tracking } from './packet.ts'
import type { Fault } from './segment.ts'
import type { Space } from './space.ts'
import type { World } from './world.ts'

export interface Context {
  readonly world: World
  readonly way: Hop['way']
  readonly hops: Hop[]
  /** translations of the flow, by namespace (inode): written by the request, read by the answer */
  readonly trackings: Map<number, Tracking>
  /** namespaces in which the packet was made or came in from outside: a route or a rule may be asked for it there */
  readonly visits: Map<string, number>
  /** flows that connection tracking remembers count for nothing */
  readonly forgets?: true
  /** where connection tracking has known the flow before */
  remembered?: Space
  /** who made the packet that is on its way */
  sender?: Space
}

/** The packet does not get further, or nobody can say whether it does. */
export type Ended =
  | { readonly kind: 'stopped'; readonly fault: Fault; readonly packet: Packet }
  | {
      readonly kind: 'unknown'
      readonly text: string
      /** what makes it so, where that is a fault of its own */
      readonly fault?: Fault
    }

export type Outcome = { readonly kind: 'delivered'; readonly space: Space; readonly packet: Packet } | Ended

export function stopped(fault: Fault, packet: Packet): Ended {
  return { kind: 'stopped', fault, packet }
}

export function unknown(text: string, fault?: Fault): Ended {
  return { kind: 'unknown', text, ...(fault ? { fault } : {}) }
}

export function addHop(
  context: Context,
  space: Space,
  kind: HopKind,
  object: string,
  text: string,
  verdict: HopVerdict = 'pass',
  code?: Code,
): void {
  const { way, hops } = context
  hops.push({ where: space.name, way, kind, object, verdict, text, ...(code === undefined ? {} : { code }) })
}

/** The hop at which the packet ends. */
export function addFault(context: Context, kind: HopKind, fault: Fault): void {
  addHop(context, fault.space, kind, fault.object, fault.text, 'stop', fault.code)
}
