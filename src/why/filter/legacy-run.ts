/** Rules of iptables-legacy in order; ipt_do_table in net/ipv4/netfilter/ip_tables.c. */
import { parseAddress } from '../../ip/index.ts'
import type { Reader } from '../../netlink/index.ts'
import type { FinalVerdict } from './chain.ts'
import { protocolNumbers } from './frame.ts'
import type { LegacyRule, LegacyTable } from './legacy-read.ts'
import { type Run, undecidable, type Verdict } from './run.ts'
import { runMatch, runTarget } from './xt.ts'
import { isNamed } from './xt-match.ts'

/** NF_INET_*; the order of `LegacyTable.hooks` */
const hookIndexes: Readonly<Record<string, number>> = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 }

/** IPT_INV_*, IP6T_INV_* */
const inverted = { in: 1, out: 2, source: 8, destination: 16, fragment: 32, protocol: 64 } as const

/** Where the fields are in struct ipt_ip and ip6t_ip6 */
const places = {
  ip: { size: 4, names: 16, protocol: 80, flags: 82, inverted: 83 },
  ip6: { size: 16, names: 64, protocol: 128, flags: 131, inverted: 132 },
} as const

/** IPT_F_FRAG, IPT_F_GOTO */
const FRAGMENT = 1
const GOTO = 2

/** XT_RETURN, and NF_DROP and NF_ACCEPT as targets hold them */
const RETURN = -5
const codes: Readonly<Record<number, FinalVerdict>> = { [-1]: 'drop', [-2]: 'accept' }

const MOST_RULES = 100_000

export function hasHook(table: LegacyTable, hook: string): boolean {
  const index = hookIndexes[hook]
  return index !== undefined && table.hooks[index] !== undefined
}

/** Runs a table at a hook that it has. The verdict, and the rule or policy that gave it in `run.at`. */
export function runLegacyTable(run: Run, table: LegacyTable): FinalVerdict {
  const hook = table.hooks[hookIndexes[run.point.hook] ?? -1]
  if (!hook) return 'accept'
  const stack: number[] = []
  let offset = hook.start
  for (let count = 0; count < MOST_RULES; count++) {
    const rule = table.rules.get(offset)
    if (!rule) return undecidable(run, `a rule of the table ${table.name}`)
    run.at = {
      engine: 'iptables',
      family: table.family,
      table: table.name,
      chain: rule.chain,
      ...(rule.number ? { number: rule.number } : {}),
    }
    const verdict = runRule(run, table, rule)
    if (verdict === 'accept' || verdict === 'drop' || verdict === 'reject') return verdict
    if (typeof verdict !== 'number') {
      offset = verdict === 'return' ? (stack.pop() ?? hook.policy) : rule.next
      continue
    }
    // the target of a rule without one leads to the next rule
    if (verdict !== rule.next && !(flagsOf(table, rule) & GOTO)) stack.push(rule.next)
    offset = verdict
  }
  return undecidable(run, 'a chain that comes back to itself')
}

const flagsOf = ({ family }: LegacyTable, { conditions }: LegacyRule): number => conditions.u8(places[family].flags)

/** A verdict, or the offset to which it jumps. */
function runRule(run: Run, table: LegacyTable, rule: LegacyRule): Exclude<Verdict, object> | number {
  run.doubt = undefined
  if (!meets(run, table, rule)) return 'break'
  for (const match of rule.matches) if (runMatch(run, match) === 'break') return 'break'
  const { name, info } = rule.target
  if (name !== '') {
    const verdict = runTarget(run, rule.target)
    return typeof verdict === 'object' ? undecidable(run, `the target ${name}`) : verdict
  }
  return standard(run, rule, new DataView(info.buffer, info.byteOffset, info.byteLength).getInt32(0, true))
}

/** A verdict or a jump, before which it must be sure that the rule matches. */
function standard(run: Run, rule: LegacyRule, code: number): FinalVerdict | 'return' | 'break' | number {
  if (code === rule.next) return 'break'
  const what = run.doubt
  run.doubt = undefined
  if (what !== undefined && run.choose(2, { rule: run.at, what }) === 0) return 'break'
  if (code === RETURN) return 'return'
  return code >= 0 ? code : (codes[code] ?? undecidable(run, 'a program in user space'))
}

/** Addresses, devices and protocol, which every rule has. No packet here is a fragment. */
function meets({ packet }: Run, { family }: LegacyTable, { conditions: fields }: LegacyRule): boolean {
  const { size, names, protocol, ...at } = places[family]
  const [flags, not] = [fields.u8(at.flags), fields.u8(at.inverted)]
  const test = (claim: boolean, bit: number): boolean => claim !== ((not & bit) !== 0)
  const wanted = fields.u16(protocol)
  return (
    test(isInNetwork(packet.source, fields, 0, size * 2), inverted.source) &&
    test(isInNetwork(packet.destination, fields, size, size * 3), inverted.destination) &&
    test(isNamed(packet.in, fields, names, names + 32), inverted.in) &&
    test(isNamed(packet.out, fields, names + 16, names + 48), inverted.out) &&
    (wanted === 0 || test(wanted === protocolNumbers[packet.protocol], inverted.protocol)) &&
    (!(flags & FRAGMENT) || family === 'ip6' || test(false, inverted.fragment))
  )
}

function isInNetwork(text: string, fields: Reader, addressAt: number, maskAt: number): boolean {
  const address = parseAddress(text) ?? new Uint8Array(0)
  return address.every((byte, i) => ((byte & fields.u8(maskAt + i)) ^ fields.u8(addressAt + i)) === 0)
}
