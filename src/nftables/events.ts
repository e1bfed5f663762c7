/** Changes of the ruleset, as the kernel announces them after each transaction. */
import { Reader, type Received, type Socket } from '../netlink/index.ts'
import {
  chainShape,
  familyName,
  genShape,
  msg,
  NFNL_SUBSYS_NFTABLES,
  NFNLGRP_NFTABLES,
  ruleShape,
  setShape,
  tableShape,
} from './attributes.ts'
import type { Family } from './objects.ts'

export interface RulesetEvent {
  readonly change: 'new' | 'delete'
  readonly kind: 'table' | 'chain' | 'rule' | 'set'
  readonly family: Family
  readonly table: string
  /** of the table, chain or set; of a rule, its chain's */
  readonly name: string
  readonly handle: bigint
}

/** The end of a transaction. */
export interface GenerationEvent {
  readonly kind: 'generation'
  readonly generation: number
  /** of the program that made the change */
  readonly process: string
  readonly pid: number
}

const NFGENMSG = 4

/** After this, `socket.events` gives messages for `decodeEvent`. Throws SysError. */
export function subscribeRuleset(socket: Socket): void {
  socket.subscribe(NFNLGRP_NFTABLES)
}

/** Undefined for messages about elements, objects and flow tables, and of other subsystems. */
export function decodeEvent({ type, payload }: Received): RulesetEvent | GenerationEvent | undefined {
  if (type >> 8 !== NFNL_SUBSYS_NFTABLES || payload.length < NFGENMSG) return undefined
  const family = familyName(payload.u8())
  const body = new Reader(payload.bytes.subarray(NFGENMSG))
  const number = type & 0xff
  if (number === msg.newGen) {
    const { id = 0, pid = 0, process = '' } = genShape.table.decode(body)
    return { kind: 'generation', generation: id, process, pid }
  }
  if (!family) return undefined
  const event = (
    change: 'new' | 'delete',
    kind: RulesetEvent['kind'],
    table = '',
    name = '',
    handle = 0n,
  ): RulesetEvent => ({
    change,
    kind,
    family,
    table,
    name,
    handle,
  })
  switch (number) {
    case msg.newTable:
    case msg.delTable: {
      const { name, handle } = tableShape.table.decode(body)
      return event(number === msg.newTable ? 'new' : 'delete', 'table', name, name, handle)
    }
    case msg.newChain:
    case msg.delChain: {
      const { table, name, handle } = chainShape.table.decode(body)
      return event(number === msg.newChain ? 'new' : 'delete', 'chain', table, name, handle)
    }
    case msg.newRule:
    case msg.delRule: {
      const { table, chain, handle } = ruleShape.table.decode(body)
      return event(number === msg.newRule ? 'new' : 'delete', 'rule', table, chain, handle)
    }
    case msg.newSet:
    case msg.delSet: {
      const { table, name, handle } = setShape.table.decode(body)
      return event(number === msg.newSet ? 'new' : 'delete', 'set', table, name, handle)
    }
    default:
      return undefined
  }
}
