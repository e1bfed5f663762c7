/**
 * nf_tables: rules as typed expressions, atomic transactions, listing back into the same expressions, nft text.
 *
 * Writing: `transaction().addTable(…).addChain(…).addRule(…).commit(socket)`; the socket is one of NETLINK_NETFILTER.
 * Reading: `listRuleset(socket)` and its parts. `expression.ts` is the language of rules; it, `text.ts` and `compile.ts`
 * are pure and may be imported by themselves.
 * Sources: linux/netfilter/nf_tables.h, nft(8); what nft 1.0.6 sends.
 */
export type { Vm } from './attributes-expressions.ts'
export { type CompiledRule, compileRule } from './compile.ts'
export { CompileError } from './datatypes.ts'
export type { Counters } from './decompile.ts'
export { isAlreadyExists, isNotFound, NftablesError } from './errors.ts'
export { decodeEvent, type GenerationEvent, type RulesetEvent, subscribeRuleset } from './events.ts'
export * from './expression.ts'
export {
  type Image,
  type ImageBase,
  type ImageChain,
  type ImageRule,
  type ImageSet,
  type ImageTable,
  imageRuleText,
  readImage,
} from './image.ts'
export {
  getGeneration,
  type Listed,
  type ListedChain,
  type ListedElements,
  type ListedRule,
  type ListedSet,
  type ListedTable,
  listChains,
  listElements,
  listRules,
  listRuleset,
  listSets,
  listTables,
  type Ruleset,
  type Scope,
} from './list.ts'
export type { Chain, Element, Family, Hook, NftMap, NftSet, Policy, Rule, Table, TypeName } from './objects.ts'
export type { ChainName, InTable, Operation, RuleName, TableName } from './operation.ts'
export {
  isExpressible,
  renderElement,
  renderExpression,
  renderOperation,
  renderRule,
  renderRuleset,
  renderSelector,
  renderTable,
  shellCommand,
  type TableContent,
} from './text.ts'
export { decodeTrace, subscribeTraces, type TraceEvent } from './trace.ts'
export { type Transaction, transaction } from './transaction.ts'
export { iptablesComment, xtComment } from './xt.ts'
