/**
 * Firewall rules over a packet, as the kernel runs them, without sending one: nf_tables with the extensions of iptables
 * in it, and iptables-legacy. `readFirewall` reads a namespace's rules, `runHook` says what becomes of a packet at a hook,
 * `ruleText` what the rule that decided says.
 */
export { runHook } from './evaluate.ts'
export { type Firewall, type FirewallSource, readFirewall, ruleText } from './firewall.ts'
export {
  type AddressType,
  addressTypes,
  type Doubt,
  type FilterWorld,
  type HookPoint,
  type HookResult,
  type Outcome,
  type RouteQuestion,
  type RuleRef,
  type Step,
  type Translation,
  type UnknownOutcome,
} from './result.ts'
