/** What a ruleset is made of, as plain data. Names are nft's. Pure. */
import type { TypeName } from './datatypes.ts'
import type { Expression, Key, Value, Verdict } from './expression.ts'

export type Family = 'inet' | 'ip' | 'ip6' | 'arp' | 'bridge' | 'netdev'
export type Hook = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting' | 'ingress' | 'egress'
export type Policy = 'accept' | 'drop'

export interface Table {
  readonly family: Family
  readonly name: string
  readonly comment?: string
  /** `dormant`: the base chains are not hooked in; `owner`: it goes when the socket that made it is closed */
  readonly flags?: readonly ('dormant' | 'owner')[]
}

export interface Chain {
  readonly family: Family
  readonly table: string
  readonly name: string
  /** a base chain has these three; a regular chain none */
  readonly type?: 'filter' | 'nat' | 'route'
  readonly hook?: Hook
  /** lower runs first; dstnat is -100, filter 0, srcnat 100 */
  readonly priority?: number
  readonly policy?: Policy
  /** netdev family, and ingress of inet */
  readonly device?: string
  readonly comment?: string
}

export interface Rule {
  readonly family: Family
  readonly table: string
  readonly chain: string
  readonly expressions: readonly Expression[]
  /** at most 128 bytes, as nft has it */
  readonly comment?: string
}

/** nft's names of data types: `ipv4_addr`, `inet_service`, `ifname`, `mark`, … */
export type { TypeName }

interface SetLike {
  readonly family: Family
  readonly table: string
  readonly name: string
  /** one type, or several for a concatenation */
  readonly key: readonly TypeName[]
  readonly flags?: readonly ('constant' | 'interval' | 'timeout' | 'dynamic')[]
  /** of each element, in ms */
  readonly timeout?: number
  /** in ms */
  readonly gcInterval?: number
  /** at most so many elements */
  readonly size?: number
  readonly policy?: 'performance' | 'memory'
  /** every element counts its packets */
  readonly counter?: true
  readonly comment?: string
}

export interface NftSet extends SetLike {
  readonly kind: 'set'
}

export interface NftMap extends SetLike {
  readonly kind: 'map'
  /** one type or a concatenation, or verdicts */
  readonly data: readonly TypeName[] | 'verdict'
}

export interface Element {
  readonly key: Key
  /** of a map: a value, several for a concatenation */
  readonly value?: Value | readonly Value[]
  /** of a verdict map */
  readonly verdict?: Verdict
  /** in ms */
  readonly timeout?: number
  readonly comment?: string
}
