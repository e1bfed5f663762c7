/**
 * Flows that connection tracking must forget: a UDP flow keeps the translation of its first packet for as long as it is
 * busy, so it goes on to the old target when a published port has gone or leads elsewhere, and past a port that was
 * published after its first packet.
 */
import type { Family } from '../ip/index.ts'
import type { Expression } from '../nftables/expression.ts'
import type { RuleState } from './ruleset.ts'

/** What connection tracking remembers of every flow that one rule has translated, or would translate now. */
export interface FlowMatch {
  readonly family: Family
  readonly protocol: 'udp'
  /** where the client sends to; absent for every address of the host */
  readonly destination?: string
  readonly port: number
  /** where it was sent instead; the destination itself where no rule was there yet */
  readonly target: { readonly address: string; readonly port: number }
}

function matchedValue(
  expressions: readonly Expression[],
  protocol: string,
  field: string,
): string | number | undefined {
  for (const e of expressions) {
    if (e.kind !== 'match' || e.op !== '==' || e.left.kind !== 'payload' || e.right.kind !== 'value') continue
    if (e.left.protocol === protocol && e.left.field === field) return e.right.value
  }
  return undefined
}

function flowOf({ expressions }: RuleState): FlowMatch | undefined {
  const nat = expressions.find((e) => e.kind === 'dnat')
  const port = matchedValue(expressions, 'udp', 'dport')
  if (nat?.kind !== 'dnat' || typeof port !== 'number') return undefined
  if (nat.to.kind !== 'address' || nat.to.address === undefined) return undefined
  const destination = matchedValue(expressions, nat.family, 'daddr')
  return {
    family: nat.family === 'ip' ? 4 : 6,
    protocol: 'udp',
    ...(typeof destination === 'string' ? { destination } : {}),
    port,
    target: { address: nat.to.address, port: nat.to.ports?.from ?? port },
  }
}

/** Each once: the same rule stands in several chains. */
function flowsOf(rules: readonly RuleState[]): FlowMatch[] {
  const flows = rules.map(flowOf).filter((flow) => flow !== undefined)
  return [...new Map(flows.map((flow) => [JSON.stringify(flow), flow])).values()]
}

function isToSame(a: FlowMatch, b: FlowMatch): boolean {
  return a.family === b.family && a.destination === b.destination && a.port === b.port
}

/**
 * The flows that a change of rules makes wrong: those of rules that go, and those that came before a rule. Of a port
 * that is published on every address only the first: which of the others are meant for this host, a file does not say.
 */
export function staleFlows(gone: readonly RuleState[], come: readonly RuleState[]): FlowMatch[] {
  const old = flowsOf(gone)
  const early = flowsOf(come).flatMap((flow): FlowMatch[] => {
    const { destination, port } = flow
    if (destination === undefined || old.some((other) => isToSame(flow, other))) return []
    return [{ ...flow, target: { address: destination, port } }]
  })
  return [...old, ...early]
}

/** Whether no rule had translated it. */
export function isEarly({ destination, port, target }: FlowMatch): boolean {
  return destination === target.address && port === target.port
}

/** `udp 192.0.2.1:53 to 10.0.0.2:5353` */
export function flowKey({ protocol, family, destination, port, target }: FlowMatch): string {
  const host = (address: string): string => (address.includes(':') ? `[${address}]` : address)
  const to = destination === undefined ? (family === 6 ? '[::]' : '*') : host(destination)
  return `${protocol} ${to}:${port} to ${host(target.address)}:${target.port}`
}
