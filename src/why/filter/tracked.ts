/**
 * Whether connection tracking is at work: the kernel hooks it in when the first rule asks for it (nf_ct_netns_get), and a
 * chain of type nat alone does not. Without it nat chains are never called.
 */
import { dataOf } from '../../nftables/attributes-expressions.ts'
import type { Family, ImageChain, ImageRule, Vm } from '../../nftables/index.ts'
import type { Firewall } from './firewall.ts'

/** Expressions that ask for it when a rule with them is made */
const kinds: ReadonlySet<string> = new Set(['ct', 'nat', 'masq', 'redir', 'connlimit', 'synproxy'])

/** Matches and targets of iptables that do */
const extensions: ReadonlySet<string> = new Set([
  ...['conntrack', 'state', 'connmark', 'connbytes', 'connlabel', 'connlimit', 'helper', 'cluster'],
  ...['DNAT', 'SNAT', 'MASQUERADE', 'REDIRECT', 'NETMAP', 'CONNMARK', 'CONNSECMARK', 'CT', 'NOTRACK', 'SYNPROXY'],
])

const known = new WeakMap<Firewall, Map<string, boolean>>()

/** Of the families whose chains run at a hook. */
export function isTracking(firewall: Firewall, families: readonly Family[]): boolean {
  const answers = known.get(firewall) ?? new Map<string, boolean>()
  known.set(firewall, answers)
  const key = families.join()
  const answer = answers.get(key) ?? asksForTracking(firewall, families)
  answers.set(key, answer)
  return answer
}

function asksForTracking({ image, legacy }: Firewall, families: readonly Family[]): boolean {
  const chains = image.tables.filter(({ family }) => families.includes(family)).flatMap((t) => [...t.chains.values()])
  // rules that translate are the likeliest to ask
  const isNat = ({ base }: ImageChain): boolean => base?.type === 'nat'
  const ordered = [...chains.filter(isNat), ...chains.filter((chain) => !isNat(chain))]
  return (
    ordered.some(({ rules }) => rules.some(hasAsking)) ||
    legacy.some(
      ({ family, rules }) =>
        families.includes(family) &&
        [...rules.values()].some(({ matches, target }) =>
          [...matches, target].some(({ name }) => extensions.has(name)),
        ),
    )
  )
}

function hasAsking(rule: ImageRule): boolean {
  for (let i = 0, vm = rule.vm(0); vm; vm = rule.vm(++i)) if (asks(vm)) return true
  return false
}

function asks(vm: Vm): boolean {
  const extension = dataOf(vm, 'match') ?? dataOf(vm, 'target')
  return kinds.has(vm.kind) || (extension?.name !== undefined && extensions.has(extension.name))
}
