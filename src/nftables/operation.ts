/** One verb on one object, as plain data: what a transaction is made of, rendered as netlink and as text. Pure. */
import type { Chain, Element, Family, NftMap, NftSet, Rule, Table } from './objects.ts'

export interface TableName {
  readonly family: Family
  readonly name: string
}
export interface InTable {
  readonly family: Family
  readonly table: string
  readonly name: string
}
export interface RuleName {
  readonly family: Family
  readonly table: string
  readonly chain: string
  readonly handle: bigint
}
export interface ChainName {
  readonly family: Family
  readonly table: string
  readonly chain: string
}

export type Operation =
  /** `create` fails where `add` accepts what is there already */
  | { readonly verb: 'add' | 'create'; readonly kind: 'table'; readonly table: Table }
  | { readonly verb: 'delete' | 'flush'; readonly kind: 'table'; readonly table: TableName }
  | { readonly verb: 'add' | 'create'; readonly kind: 'chain'; readonly chain: Chain }
  | { readonly verb: 'delete' | 'flush'; readonly kind: 'chain'; readonly chain: InTable }
  /** `add` puts it at the end, or after the rule `position`; `insert` at the beginning, or before it */
  | { readonly verb: 'add' | 'insert'; readonly kind: 'rule'; readonly rule: Rule; readonly position?: bigint }
  | { readonly verb: 'replace'; readonly kind: 'rule'; readonly rule: Rule; readonly handle: bigint }
  | { readonly verb: 'delete'; readonly kind: 'rule'; readonly rule: RuleName }
  | { readonly verb: 'add' | 'create'; readonly kind: 'set'; readonly set: NftSet | NftMap }
  | {
      readonly verb: 'delete' | 'flush'
      readonly kind: 'set'
      readonly set: InTable & { readonly kind: 'set' | 'map' }
    }
  | {
      readonly verb: 'add' | 'create' | 'delete'
      readonly kind: 'element'
      /** its declaration: what the bytes of an element mean */
      readonly set: NftSet | NftMap
      readonly elements: readonly Element[]
    }
