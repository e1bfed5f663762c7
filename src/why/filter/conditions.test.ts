/** Every kind of match, one rule each: the kernel counts which of them a packet meets, and the evaluation must agree. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../../test/support/need.ts'
import { runSync } from '../../../test/support/run.ts'
import { dataOf } from '../../nftables/attributes-expressions.ts'
import { type Hook, type Image, type ImageChain, type ImageRule, imageRuleText, type Vm } from '../../nftables/index.ts'
import type { Packet, Tracking } from '../packet.ts'
import { runHook } from './evaluate.ts'
import { iptablesMatches, nftMatches, nftSets } from './test-conditions.ts'
import { client, firstPacket, openWire, routerAddresses, type Sent, server, type Wire } from './test-wire.ts'

const skip = needs('root', 'nft')
const hooks = ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const

const drop: Vm = { kind: 'immediate', data: { dreg: 0, data: { verdict: { code: 0 } } } }

/** The rule alone, with a drop at its end: that is how a match is seen. */
function alone(image: Image, chain: ImageChain, rule: ImageRule): Image {
  const length = lengthOf(rule)
  const ending: ImageRule = { ...rule, vm: (i) => (i < length ? rule.vm(i) : i === length ? drop : undefined) }
  const only = { ...chain, rules: [ending] }
  const tables = image.tables
    .filter(({ family, name }) => family === chain.family && name === chain.table)
    .map((table) => ({ ...table, chains: new Map([[chain.name, only]]) }))
  return { ...image, tables }
}

function lengthOf(rule: ImageRule): number {
  let length = 0
  while (rule.vm(length)) length++
  return length
}

/** Packets that the rule counted: its last expression, so that all matches are before it. */
function countOf(rule: ImageRule): bigint {
  return dataOf(rule.vm(lengthOf(rule) - 1), 'counter')?.packets ?? 0n
}

/** The packet as it comes to each hook on its way through the router. */
function way(
  wire: Wire,
  sent: Sent,
  tracking: Tracking | undefined,
  from: 'a' | 'r' | 'b',
): Partial<Record<Hook, Packet>> {
  const first = firstPacket(sent)
  const base = tracking ? { ...first, tracking } : first
  const [near, far] = from === 'b' ? [wire.device('r2'), wire.device('r1')] : [wire.device('r1'), wire.device('r2')]
  if (from === 'r') return { output: { ...base, out: far }, postrouting: { ...base, out: far } }
  const macs = { sourceMac: '', destinationMac: near.mac ?? '' }
  const come = { ...base, in: near, ...(from === 'a' ? { ...macs, sourceMac: '02:00:00:00:00:0a' } : {}) }
  if (sent.destination === routerAddresses[0]) return { prerouting: come, input: come }
  const gone = { ...come, ttl: 63, out: far }
  return { prerouting: come, forward: gone, postrouting: gone }
}

const udp: Sent = { protocol: 'udp', source: client, destination: server, sourcePort: 4000, destinationPort: 53 }
const answer: Sent = { protocol: 'udp', source: server, destination: client, sourcePort: 53, destinationPort: 4000 }
const cases: readonly (readonly [from: 'a' | 'r' | 'b', sent: Sent, tracking?: Tracking])[] = [
  ['a', udp],
  ['b', answer, { ...firstPacket(udp).tracking, state: 'established', direction: 'reply' }],
  ['a', { ...udp, protocol: 'tcp' }],
  ['a', { ...udp, protocol: 'icmp' }],
  ['a', { ...udp, destination: routerAddresses[0] }],
  ['r', { ...udp, source: routerAddresses[1] }],
]

interface Tally {
  agreed: number
  unknown: number
}

/** Sends each packet and compares the counts of all rules at the hooks that it came by. */
function compare(wire: Wire): Tally {
  const tally: Tally = { agreed: 0, unknown: 0 }
  for (const [from, sent, tracking] of cases) {
    const before = countsOf(wire)
    wire.send(from, sent, [''])
    const firewall = wire.firewall()
    const packets = way(wire, sent, tracking, from)
    for (const chain of chainsOf(firewall.image)) {
      const hook = chain.base?.hook
      const packet = hook && packets[hook]
      if (!hook || !packet) continue
      for (const rule of chain.rules) {
        const counted = countOf(rule) > (before.get(`${chain.table} ${rule.handle}`) ?? 0n)
        const image = alone(firewall.image, chain, rule)
        const { verdict } = runHook({ image, legacy: [] }, { family: 'ip', hook }, packet, wire.world)
        if (verdict === 'unknown') tally.unknown++
        else {
          const text: string = `${imageRuleText(firewall.image, rule)}\n${hook} of ${JSON.stringify(packet)}`
          assert.equal(verdict === 'drop', counted, `the kernel ${counted ? 'counted' : 'did not count'}: ${text}`)
          tally.agreed++
        }
      }
    }
  }
  return tally
}

const chainsOf = (image: Image): ImageChain[] => image.tables.flatMap(({ chains }) => [...chains.values()])

function countsOf(wire: Wire): Map<string, bigint> {
  const chains = chainsOf(wire.firewall().image)
  return new Map(chains.flatMap(({ table, rules }) => rules.map((rule) => [`${table} ${rule.handle}`, countOf(rule)])))
}

/** Feeds a program in the router; what it complains of. */
function feed(wire: Wire, program: string, args: readonly string[], input: string): string {
  return wire.lab.enter('r', () => runSync(program, args, { input })).stderr
}

test('matches of nft', { skip }, () => {
  using wire = openWire()
  const chains = hooks.map((hook) => `chain ${hook} { type filter hook ${hook} priority 0;\n}`).join('\n')
  assert.equal(feed(wire, 'nft', ['-f', '-'], `table ip t {\n${nftSets}${chains}\n}\n`), '')
  const rules = hooks.flatMap((hook) => nftMatches.map((match) => `add rule ip t ${hook} ${match} counter\n`))
  assert.equal(feed(wire, 'nft', ['-f', '-'], rules.join('')), '')
  const { agreed, unknown } = compare(wire)
  assert.ok(unknown < agreed / 8, `${unknown} unknown, ${agreed} agreed`)
})

/** The kernel refuses to look for where a packet came from, where a packet may be the host's own. */
const isFor = (match: string, chain: string): boolean =>
  !/-m (mac|devgroup)/.test(match) || (chain !== 'OUTPUT' && chain !== 'POSTROUTING')

test('matches of iptables', { skip: skip || needs('iptables') }, () => {
  using wire = openWire()
  const chains = hooks.map((hook) => hook.toUpperCase())
  const rules = chains.flatMap((chain) =>
    iptablesMatches.filter((match) => isFor(match, chain)).map((match) => `-A ${chain} ${match}`),
  )
  const heads = chains.map((chain) => `:${chain} ACCEPT`)
  const input = ['*mangle', ...heads, ...rules, 'COMMIT', ''].join('\n')
  assert.equal(feed(wire, 'iptables-nft-restore', [], input), '')
  const { agreed, unknown } = compare(wire)
  assert.ok(unknown < agreed / 8, `${unknown} unknown, ${agreed} agreed`)
})
