/** Every firewall rule of a namespace: of nf_tables, and of iptables-legacy beside it. */
import type { Socket } from '../../netlink/index.ts'
import { type Image, imageRuleText, readImage } from '../../nftables/index.ts'
import { type LegacyTable, legacyRuleText, readLegacyTables } from './legacy-read.ts'
import type { RuleRef } from './result.ts'

export interface Firewall {
  readonly image: Image
  readonly legacy: readonly LegacyTable[]
}

/** What is needed of a namespace; `Space` has it. */
export interface FirewallSource {
  readonly nft: () => Socket
  readonly inside: <T>(work: () => T) => T
}

/**
 * Reads the rules. Sets are read when a rule is evaluated that names one, so that the socket must stay open. Throws
 * NetlinkError, SysError.
 */
export function readFirewall(source: FirewallSource): Firewall {
  return { image: readImage(source.nft()), legacy: source.inside(readLegacyTables) }
}

/** The rule as nft or iptables writes it; of a policy `policy drop`. Empty when it is not there. */
export function ruleText({ image, legacy }: Firewall, ref: RuleRef): string {
  if (ref.engine === 'iptables') {
    const table = legacy.find((t) => t.family === ref.family && t.name === ref.table)
    return table ? legacyRuleText(table, ref) : ''
  }
  const chain = image.tables.find((t) => t.family === ref.family && t.name === ref.table)?.chains.get(ref.chain)
  if (ref.handle === undefined) return chain?.base ? `policy ${chain.base.policy}` : ''
  const rule = chain?.rules.find((r) => r.handle === ref.handle)
  return rule ? imageRuleText(image, rule) : ''
}
