/** The rules of a topology's own table, from what the file asks for. Same types as what a listing gives. */
import { familyOf, formatPrefix, type Prefix } from '../ip/index.ts'
import {
  counter,
  ct,
  dnat,
  drop,
  type Expression,
  fib,
  flags,
  type Match,
  masquerade,
  match,
  meta,
  payload,
} from '../nftables/expression.ts'
import type { Masquerade, Publish } from '../topology/model.ts'

export interface RuleState {
  readonly expressions: readonly Expression[]
  readonly comment?: string
  /** in the kernel, when observed */
  readonly handle?: bigint
}

/** A base chain with its rules in order. */
export interface ChainState {
  readonly name: string
  readonly type: 'filter' | 'nat'
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting'
  readonly priority: number
  readonly rules: readonly RuleState[]
}

export type Ruleset = readonly ChainState[]

/** The chain of rules that match nothing and hold the notes in their comments; it has no hook. */
export const NOTES_CHAIN = 'notes'

/** nft's names for these are `raw`, `dstnat`, `srcnat`. */
const RAW = -300
const DSTNAT = -100
const SRCNAT = 100

const LOOPBACK_NET = '127.0.0.0/8'

function header(family: 4 | 6): 'ip' | 'ip6' {
  return family === 4 ? 'ip' : 'ip6'
}

function saddr(prefix: Prefix): Match {
  return match(payload(header(prefix.family), 'saddr'), formatPrefix(prefix))
}

function masqueradeRule(m: Masquerade, defaultDevice: { readonly 4?: string; readonly 6?: string }): RuleState {
  const out = m.out === 'default' ? defaultDevice[m.from.family] : m.out
  const leaving =
    out === undefined
      ? match(payload(header(m.from.family), 'daddr'), formatPrefix(m.from), '!=')
      : match(meta('oifname'), out)
  return {
    expressions: [saddr(m.from), leaving, counter, masquerade()],
    comment: `masquerade ${formatPrefix(m.from)}`,
  }
}

function listenText(p: Publish): string {
  const address = p.address === undefined ? '' : p.family === 6 ? `[${p.address}]` : p.address
  return `${address}:${p.port}/${p.protocol}`
}

/** Published on every address of the host, or on its loopback: then a program on the host may come from 127.0.0.1. */
export function publishesLoopback(p: Publish): boolean {
  return p.family === 4 && (p.address === undefined || p.address.startsWith('127.'))
}

function publishRule(p: Publish): RuleState {
  const toUs: Expression[] =
    p.address === undefined
      ? [match(meta('nfproto'), p.family === 4 ? 'ipv4' : 'ipv6'), match(fib(['daddr'], 'type'), 'local')]
      : [match(payload(header(p.family), 'daddr'), p.address)]
  return {
    expressions: [...toUs, match(payload(p.protocol, 'dport'), p.port), counter, dnat(p.to.address, p.to.port)],
    comment: `publish ${listenText(p)}`,
  }
}

/**
 * A client in the target's own network would get its answer past the address translation, straight over the bridge;
 * one on the host's loopback none at all. Both come to the target from the host's address instead.
 */
function hairpinRules(p: Publish): RuleState[] {
  const sources = [formatPrefix(p.network), ...(publishesLoopback(p) ? [LOOPBACK_NET] : [])]
  return sources.map((source) => ({
    expressions: [
      match(payload(header(familyOf(p.to.address)), 'saddr'), source),
      match(payload(header(familyOf(p.to.address)), 'daddr'), p.to.address),
      match(payload(p.protocol, 'dport'), p.to.port),
      match(ct('status'), flags('dnat')),
      counter,
      masquerade(),
    ],
    comment: `hairpin ${listenText(p)} from ${source}`,
  }))
}

/** route_localnet lets a neighbour reach services that listen on 127.0.0.1 only: this keeps the door shut. */
const loopbackGuard: RuleState = {
  expressions: [match(meta('iifname'), 'lo', '!='), match(payload('ip', 'daddr'), LOOPBACK_NET), counter, drop],
  comment: 'loopback addresses do not come over a wire',
}

/** The chains of one namespace; those without rules are left out. */
export function buildRuleset(
  masquerades: readonly Masquerade[],
  publishes: readonly Publish[],
  defaultDevice: { readonly 4?: string; readonly 6?: string },
): Ruleset {
  const translate = publishes.map(publishRule)
  const chains: ChainState[] = [
    {
      name: 'guard',
      type: 'filter',
      hook: 'prerouting',
      priority: RAW,
      rules: publishes.some(publishesLoopback) ? [loopbackGuard] : [],
    },
    { name: 'prerouting', type: 'nat', hook: 'prerouting', priority: DSTNAT, rules: translate },
    { name: 'output', type: 'nat', hook: 'output', priority: DSTNAT, rules: translate },
    {
      name: 'postrouting',
      type: 'nat',
      hook: 'postrouting',
      priority: SRCNAT,
      rules: [...publishes.flatMap(hairpinRules), ...masquerades.map((m) => masqueradeRule(m, defaultDevice))],
    },
  ]
  return chains.filter((chain) => chain.rules.length > 0)
}

/** Equal for equal rules, wherever they were read. */
export function ruleKey(rule: RuleState): string {
  return JSON.stringify([rule.expressions, rule.comment])
}
