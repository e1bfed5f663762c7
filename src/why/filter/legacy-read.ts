/**
 * Tables of iptables-legacy, which has no netlink: the kernel hands each out as one block through getsockopt(2);
 * linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h.
 */
import { readFileSync } from 'node:fs'
import { Reader } from '../../netlink/index.ts'
import * as sys from '../../sys/index.ts'
import type { RuleRef } from './result.ts'

export interface LegacyRule {
  /** bytes from the start of the table, to which jumps lead */
  readonly offset: number
  /** of the chain and the place in it, from 1; 0 for its policy */
  readonly chain: string
  readonly number: number
  /** struct ipt_ip or ip6t_ip6 */
  readonly conditions: Reader
  readonly matches: readonly Extension[]
  readonly target: Extension
  /** offset of the rule after this one */
  readonly next: number
}

interface Extension {
  readonly name: string
  readonly rev: number
  readonly info: Uint8Array
}

export interface LegacyTable {
  readonly family: 'ip' | 'ip6'
  readonly name: string
  /** by offset */
  readonly rules: ReadonlyMap<number, LegacyRule>
  /** by NF_INET_* number: where a hook begins, and its policy; undefined where the table has none */
  readonly hooks: readonly ({ readonly start: number; readonly policy: number } | undefined)[]
}

/** Sizes and places in struct ipt_entry and ip6t_entry */
export const layouts = {
  ip: { domain: sys.AF_INET, level: sys.IPPROTO_IP, conditions: 84, targetAt: 88, matchesAt: 112 },
  ip6: { domain: sys.AF_INET6, level: 41, conditions: 136, targetAt: 140, matchesAt: 168 },
} as const

const GET_INFO = 64
const GET_ENTRIES = 65
const NAME = 32
const INFO_SIZE = 84
/** struct ipt_get_entries: name and size, aligned for the entries */
const ENTRIES_HEADER = 40
const HOOKS = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'] as const

/**
 * The tables of the namespace of this thread. Only those that are there already: asking for another would load its
 * module. Throws SysError, ENOPROTOOPT where a table went meanwhile.
 */
export function readLegacyTables(): LegacyTable[] {
  return (['ip', 'ip6'] as const).flatMap((family) => namesOf(family).map((name) => readTable(family, name)))
}

function namesOf(family: 'ip' | 'ip6'): string[] {
  try {
    return readFileSync(`/proc/thread-self/net/${family}_tables_names`, 'utf8').split('\n').filter(Boolean)
  } catch {
    return [] // this kernel has no iptables of its own
  }
}

function readTable(family: 'ip' | 'ip6', name: string): LegacyTable {
  const { domain, level } = layouts[family]
  const fd = sys.socket(domain, sys.SOCK_RAW, 255)
  try {
    const request = new Uint8Array(INFO_SIZE)
    request.set(new TextEncoder().encode(name))
    const info = new Reader(sys.getsockopt(fd, level, GET_INFO, request))
    const size = info.u32(80)
    const block = new Uint8Array(ENTRIES_HEADER + size)
    block.set(request.subarray(0, NAME))
    new DataView(block.buffer).setUint32(NAME, size, true)
    const entries = new Reader(sys.getsockopt(fd, level, GET_ENTRIES, block)).slice(ENTRIES_HEADER)
    return parseTable(family, name, info, entries)
  } finally {
    sys.close(fd)
  }
}

/** The block as rules by offset. Throws RangeError where it is cut short. */
export function parseTable(family: 'ip' | 'ip6', name: string, info: Reader, entries: Reader): LegacyTable {
  const isValid = info.u32(NAME)
  const hooks = HOOKS.map((_, i) =>
    isValid & (1 << i) ? { start: info.u32(36 + i * 4), policy: info.u32(56 + i * 4) } : undefined,
  )
  const starts = new Map(hooks.flatMap((hook, i) => (hook ? [[hook.start, HOOKS[i] ?? '']] : [])))
  const policies = new Set(hooks.map((hook) => hook?.policy))
  const rules = new Map<number, LegacyRule>()
  const { conditions, targetAt, matchesAt } = layouts[family]
  let chain = ''
  let number = 0
  for (let offset = 0; offset + matchesAt <= entries.length; ) {
    const [target, next] = [entries.u16(offset + targetAt), entries.u16(offset + targetAt + 2)]
    if (next === 0) break
    const at = offset
    const named = starts.get(at)
    const extension = extensionAt(entries, at + target)
    // the head of a chain that a user made is a rule of its own, never run
    const isHead = extension.name === 'ERROR'
    if (named !== undefined || isHead) {
      chain = named ?? new Reader(extension.info).text()
      number = 0
    }
    const found: Extension[] = []
    for (let m = at + matchesAt; m < at + target; m += Math.max(NAME, entries.u16(m)))
      found.push(extensionAt(entries, m))
    if (!isHead) {
      const place = policies.has(at) ? 0 : ++number
      const header = entries.slice(at, at + conditions)
      rules.set(at, {
        offset: at,
        chain,
        number: place,
        conditions: header,
        matches: found,
        target: extension,
        next: at + next,
      })
    }
    offset += next
  }
  return { family, name, rules, hooks }
}

/** struct xt_entry_match, which xt_entry_target is too: size, name, revision, then the module's own. */
function extensionAt(entries: Reader, at: number): Extension {
  const size = Math.max(NAME, entries.u16(at))
  return {
    name: entries.slice(at + 2, at + 31).text(),
    rev: entries.u8(at + 31),
    info: entries.slice(at + NAME, at + size).copy(),
  }
}

/** What can be said without the words of every extension: the table, the chain, the place, the names. */
export function legacyRuleText(table: LegacyTable, ref: RuleRef): string {
  const rule = [...table.rules.values()].find(
    ({ chain, number }) => chain === ref.chain && number === (ref.number ?? 0),
  )
  const words = rule
    ? [...rule.matches.map(({ name }) => `-m ${name}`), ...(rule.target.name ? [`-j ${rule.target.name}`] : [])]
    : []
  const command = table.family === 'ip' ? 'iptables-legacy' : 'ip6tables-legacy'
  return [command, '-t', table.name, ref.chain, ref.number ? `rule ${ref.number}` : 'policy', ...words].join(' ')
}
