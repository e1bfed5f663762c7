/** Short words for the corpus. */
import * as x from './expression.ts'

export const ip = (field: string): x.Selector => x.payload('ip', field)
export const ip6 = (field: string): x.Selector => x.payload('ip6', field)
export const tcp = (field: string): x.Selector => x.payload('tcp', field)
export const l4 = (protocol: string): x.Match => x.match(x.meta('l4proto'), protocol)
/** What nft reads as the same rule; with the rule's comment, if it has one. */
export type Case = readonly [expressions: readonly x.Expression[], text: string, comment?: string]

export function inVmap(name: string): { readonly kind: 'set'; readonly name: string } {
  return { kind: 'set', name }
}
