/**
 * The language of rules: plain data that netlink messages, nft text and explanations are all made from. Pure.
 *
 * Values are written as nft writes them: addresses and names as text, ports, marks and ids as numbers. The canonical
 * form is the one that listing gives back: the symbol where nft has one (`tcp`, `new`, `echo-request`), addresses as
 * src/ip formats them, the elements of a set in ascending order, flags in the order of their bits.
 */
import { canonicalAddress, networkOf, parsePrefix } from '../ip/index.ts'
import type { Vm } from './attributes-expressions.ts'

export type Value = string | number
/** A set's key: prefixes (`10.0.0.0/8`) and ranges (`80-90`) are text; several values are a concatenation. */
export type Key = Value | readonly Value[]

export type Selector =
  /** a field of a header: `{ kind: 'payload', protocol: 'ip', field: 'saddr' }` */
  | { readonly kind: 'payload'; readonly protocol: string; readonly field: string }
  /** bytes at a place: `@nh,96,32`; offset and length in bits, whole bytes */
  | { readonly kind: 'raw'; readonly base: 'll' | 'nh' | 'th'; readonly offset: number; readonly length: number }
  | { readonly kind: 'meta'; readonly key: string }
  | { readonly kind: 'ct'; readonly key: string; readonly direction?: 'original' | 'reply' }
  | { readonly kind: 'fib'; readonly flags: readonly FibFlag[]; readonly result: 'type' | 'oif' | 'oifname' | 'check' }
  | { readonly kind: 'rt'; readonly key: string }
  | { readonly kind: 'socket'; readonly key: string }
  | {
      readonly kind: 'numgen'
      readonly mode: 'inc' | 'random'
      readonly modulus: number
      readonly offset?: number
    }
  | {
      readonly kind: 'jhash'
      readonly of: readonly Selector[]
      readonly modulus: number
      readonly seed?: number
      readonly offset?: number
    }
  | { readonly kind: 'symhash'; readonly modulus: number; readonly offset?: number }
  | { readonly kind: 'concat'; readonly of: readonly Selector[] }
  /** `meta mark & 0xff` */
  | { readonly kind: 'and'; readonly of: Selector; readonly mask: Value }

export type FibFlag = 'saddr' | 'daddr' | 'mark' | 'iif' | 'oif'

/** A named set or map, or one of the rule's own. */
export type SetRight =
  | { readonly kind: 'set'; readonly name: string }
  | { readonly kind: 'elements'; readonly elements: readonly Key[] }

export type Right =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'prefix'; readonly address: string; readonly length: number }
  | { readonly kind: 'range'; readonly from: Value; readonly to: Value }
  /** any of these bits is set (`==`), or none is (`!=`): `ct state established,related` */
  | { readonly kind: 'flags'; readonly flags: readonly string[] }
  | SetRight

export type Verdict =
  | { readonly kind: 'accept' | 'drop' | 'return' | 'continue' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string }

export type VerdictMap =
  | { readonly kind: 'set'; readonly name: string }
  | { readonly kind: 'elements'; readonly elements: readonly (readonly [Key, Verdict])[] }

/** `data`: several values are a concatenation, as an address and a port. */
export type DataMap =
  | { readonly kind: 'set'; readonly name: string }
  | { readonly kind: 'elements'; readonly elements: readonly (readonly [Key, Value | readonly Value[]])[] }

export type NatFlag = 'random' | 'fully-random' | 'persistent'
export interface Ports {
  readonly from: number
  readonly to?: number
}

export type NatTarget =
  | { readonly kind: 'address'; readonly address?: string; readonly last?: string; readonly ports?: Ports }
  /** `withPort`: the map gives `address . port` */
  | { readonly kind: 'map'; readonly key: Selector; readonly map: DataMap; readonly withPort?: true }

export type LogFlag = 'tcp sequence' | 'tcp options' | 'ip options' | 'skuid' | 'ether'

export type RejectWith =
  | { readonly kind: 'icmp' | 'icmpv6' | 'icmpx'; readonly code: string }
  | { readonly kind: 'tcp reset' }

export interface Limit {
  readonly kind: 'limit'
  readonly rate: number
  readonly per: 'second' | 'minute' | 'hour' | 'day' | 'week'
  readonly unit: 'packets' | 'bytes'
  readonly burst: number
  readonly over?: true
}
export interface Counter {
  readonly kind: 'counter'
}
export interface Quota {
  readonly kind: 'quota'
  readonly bytes: number
  readonly over?: true
}
/** `ct count`: connections with the same key */
export interface ConnectionLimit {
  readonly kind: 'connlimit'
  readonly count: number
  readonly over?: true
}

/** Where the value of `meta mark set …` comes from. */
export type Source =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'selector'; readonly selector: Selector }
  /** `(selector & mask) ^ xor` */
  | { readonly kind: 'bitwise'; readonly selector: Selector; readonly mask: number; readonly xor: number }
  /** `key map @name` or `key map { … }` */
  | { readonly kind: 'map'; readonly key: Selector; readonly map: DataMap }

export type Match = {
  readonly kind: 'match'
  readonly left: Selector
  readonly op: '==' | '!=' | '<' | '<=' | '>' | '>='
  readonly right: Right
}

export type Expression =
  | Match
  | Verdict
  | { readonly kind: 'vmap'; readonly key: Selector; readonly map: VerdictMap }
  | Counter
  | Limit
  | Quota
  | ConnectionLimit
  | {
      readonly kind: 'snat' | 'dnat'
      readonly family: 'ip' | 'ip6'
      readonly to: NatTarget
      readonly flags?: readonly NatFlag[]
    }
  | { readonly kind: 'masquerade'; readonly ports?: Ports; readonly flags?: readonly NatFlag[] }
  | { readonly kind: 'redirect'; readonly ports?: Ports; readonly flags?: readonly NatFlag[] }
  | { readonly kind: 'reject'; readonly with: RejectWith }
  | {
      readonly kind: 'log'
      readonly prefix?: string
      readonly group?: number
      readonly snaplen?: number
      readonly queueThreshold?: number
      /** syslog: emerg, alert, crit, err, warn, notice, info, debug, audit */
      readonly level?: string
      readonly flags?: readonly LogFlag[]
    }
  | { readonly kind: 'notrack' }
  /** sets a mark, a zone, a field of a header */
  | { readonly kind: 'mangle'; readonly target: Selector; readonly value: Source }
  /** puts the packet's key into a set */
  | {
      readonly kind: 'dynset'
      readonly op: 'add' | 'update' | 'delete'
      readonly set: string
      readonly key: Selector
      /** in ms */
      readonly timeout?: number
      readonly stateful?: readonly (Limit | Counter | Quota | ConnectionLimit)[]
    }
  /** what this language has no words for: one expression of the kernel's virtual machine, kept as it is */
  | { readonly kind: 'vm'; readonly expression: Vm }

// ---- builders: nft's words, in nft's order ----

export function payload(protocol: string, field: string): Selector {
  return { kind: 'payload', protocol, field }
}
export function meta(key: string): Selector {
  return { kind: 'meta', key }
}
export function ct(key: string, direction?: 'original' | 'reply'): Selector {
  return direction ? { kind: 'ct', key, direction } : { kind: 'ct', key }
}
export function fib(flags: readonly FibFlag[], result: 'type' | 'oif' | 'oifname' | 'check'): Selector {
  return { kind: 'fib', flags, result }
}
export function concat(...of: Selector[]): Selector {
  return { kind: 'concat', of }
}
export function numgen(mode: 'inc' | 'random', modulus: number): Selector {
  return { kind: 'numgen', mode, modulus }
}
export function jhash(of: readonly Selector[], modulus: number, seed?: number): Selector {
  return seed === undefined ? { kind: 'jhash', of, modulus } : { kind: 'jhash', of, modulus, seed }
}
export function symhash(modulus: number): Selector {
  return { kind: 'symhash', modulus }
}

/** `10.0.0.7/24` becomes the prefix 10.0.0.0/24 (a whole address stays a value), everything else a value. */
function rightOf(value: Value | Right): Right {
  if (typeof value === 'object') return value
  const prefix = typeof value === 'string' && value.includes('/') ? parsePrefix(value) : undefined
  if (!prefix) return { kind: 'value', value: typeof value === 'string' ? (canonicalAddress(value) ?? value) : value }
  const isHost = prefix.length === (prefix.family === 4 ? 32 : 128)
  if (isHost) return { kind: 'value', value: prefix.address }
  return { kind: 'prefix', address: networkOf(prefix).address, length: prefix.length }
}

/** `match(payload('ip', 'saddr'), '10.0.0.0/24')`. */
export function match(left: Selector, right: Value | Right, op: Match['op'] = '=='): Match {
  return { kind: 'match', left, op, right: rightOf(right) }
}
export function range(from: Value, to: Value): Right {
  return { kind: 'range', from, to }
}
export function inSet(name: string): SetRight {
  return { kind: 'set', name }
}
export function oneOf(...elements: Key[]): SetRight {
  return { kind: 'elements', elements }
}
export function flags(...names: string[]): Right {
  return { kind: 'flags', flags: names }
}
export function ctState(...states: string[]): Match {
  return { kind: 'match', left: ct('state'), op: '==', right: flags(...states) }
}

export const accept: Verdict = { kind: 'accept' }
export const drop: Verdict = { kind: 'drop' }
export const counter: Counter = { kind: 'counter' }
export function jump(chain: string): Verdict {
  return { kind: 'jump', chain }
}
export function goto(chain: string): Verdict {
  return { kind: 'goto', chain }
}

function natTo(kind: 'snat' | 'dnat', text: string, port?: number): Expression {
  const address = canonicalAddress(text) ?? text
  const family = address.includes(':') ? 'ip6' : 'ip'
  const to: NatTarget =
    port === undefined ? { kind: 'address', address } : { kind: 'address', address, ports: { from: port } }
  return { kind, family, to }
}
/** `dnat ip to 10.0.0.101:8080` */
export function dnat(address: string, port?: number): Expression {
  return natTo('dnat', address, port)
}
/** `snat ip to 192.0.2.1` */
export function snat(address: string): Expression {
  return natTo('snat', address)
}
export function masquerade(...natFlags: NatFlag[]): Expression {
  return natFlags.length ? { kind: 'masquerade', flags: natFlags } : { kind: 'masquerade' }
}
export function redirect(port: number): Expression {
  return { kind: 'redirect', ports: { from: port } }
}
/** `meta mark set 0x1` */
export function setMark(value: number): Expression {
  return { kind: 'mangle', target: meta('mark'), value: { kind: 'value', value } }
}
