/** One pass of a packet through the chains of a hook, while it goes on. */
import type { Packet, PacketDevice, Tracking } from '../packet.ts'
import type { Maybe } from './bits.ts'
import type { Firewall } from './firewall.ts'
import { type Frame, frameOf } from './frame.ts'
import type { Registers } from './registers.ts'
import type { Doubt, FilterWorld, HookPoint, RuleRef, Step, Translation } from './result.ts'

export interface Run {
  readonly firewall: Firewall
  readonly point: HookPoint
  readonly world: FilterWorld
  /** Which of `count` answers to take this time; the hook is run again for the others. */
  readonly choose: (count: number, doubt: Doubt) => number
  readonly registers: Registers
  readonly steps: Step[]
  readonly translations: Translation[]
  packet: Packet
  frame: Frame | undefined
  /** of the base chain that runs */
  priority: number
  /** the rule that runs */
  at: RuleRef
  /** a match of this rule could not be answered, and was taken for a yes so far */
  doubt: string | undefined
  isRerouted: boolean
  /** a nat rule has settled what the flow becomes on this hook's side */
  isNatDone: boolean
}

/** What a rule or an expression says. `break`: the rule does not match. */
export type Verdict =
  | 'continue'
  | 'break'
  | 'accept'
  | 'drop'
  | 'reject'
  | 'return'
  | { readonly kind: 'jump' | 'goto'; readonly chain: string }

/** Thrown where not even the possible answers are known. */
export class Undecidable extends Error {
  readonly doubt: Doubt

  constructor(doubt: Doubt) {
    super(`not known: ${doubt.what}`)
    this.doubt = doubt
  }
}

export function undecidable(run: Run, what: string): never {
  throw new Undecidable({ rule: run.at, what })
}

/** A match of the rule: an unknown one counts as a yes until the rule is about to do something. */
export function verdictOf(run: Run, claim: Maybe, what: string): Verdict {
  if (claim === undefined) run.doubt ??= what
  return claim === false ? 'break' : 'continue'
}

/** Before a rule does something: whether its unknown matches are to be taken for a yes. */
export function commit(run: Run): boolean {
  if (run.doubt === undefined) return true
  const what = run.doubt
  run.doubt = undefined
  return run.choose(2, { rule: run.at, what }) === 1
}

export function noteStep(run: Run, kind: Step['kind'], text: string): void {
  run.steps.push({ kind, rule: run.at, text })
}

export function frameFor(run: Run): Frame {
  run.frame ??= frameOf(run.packet)
  return run.frame
}

/** Changes the packet; its headers are made again when they are read. */
export function setPacket(run: Run, packet: Packet): void {
  run.packet = packet
  run.frame = undefined
}

export function setTracking(run: Run, change: Partial<Tracking>): void {
  // headers do not depend on it
  run.packet = { ...run.packet, tracking: { ...run.packet.tracking, ...change } }
}

export const isLoopbackDevice = (device: PacketDevice | undefined): boolean => device?.name === 'lo'

/** Where connection tracking finds or makes the entry of a packet (NF_IP_PRI_CONNTRACK). */
export const CONNTRACK_PRIORITY = -200

/**
 * What connection tracking says at this place: nothing before it has seen the packet. A packet that comes back from the
 * loopback device keeps what it had.
 */
export function trackingOf(run: Run): Tracking | 'none' | 'untracked' {
  const { tracking, in: from } = run.packet
  if (tracking.state === 'untracked') return 'untracked'
  if (tracking.state === 'invalid' || run.point.family === 'netdev' || run.point.family === 'arp') return 'none'
  const { hook } = run.point
  const isFirst = hook === 'output' || (hook === 'prerouting' && !isLoopbackDevice(from))
  return isFirst && run.priority < CONNTRACK_PRIORITY ? 'none' : tracking
}
