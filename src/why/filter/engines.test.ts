/** The rules of container engines, and our own, are decided for ordinary packets: nothing stays unknown. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../../test/support/need.ts'
import { outputOf } from '../../../test/support/run.ts'
import { NETLINK_NETFILTER, type Socket } from '../../netlink/index.ts'
import { inNewNetns } from '../../netlink/testing.ts'
import { type Hook, transaction } from '../../nftables/index.ts'
import { buildRuleset } from '../../plan/ruleset.ts'
import type { Packet, PacketDevice } from '../packet.ts'
import { runHook } from './evaluate.ts'
import { readFirewall, ruleText } from './firewall.ts'
import type { FilterWorld, Outcome, UnknownOutcome } from './result.ts'
import { cni, docker, kubeProxy, netavark } from './test-engines.ts'
import { firstPacket } from './test-wire.ts'

const skip = needs('root', 'nft', 'iptables')

const outside: PacketDevice = { index: 2, name: 'eth9', group: 0, mac: '02:00:00:00:00:09' }
const bridge: PacketDevice = { index: 3, name: 'docker0', kind: 'bridge', group: 0, mac: '02:00:00:00:00:03' }
const host = '192.0.2.1'
const container = '172.17.0.2'

const world: FilterWorld = {
  addressType: (address) =>
    address === host || address === '172.17.0.1' || address.startsWith('127.') ? 'local' : 'unicast',
  route: () => ({ type: 'unicast', device: outside }),
  sourceAddress: (device) => (device.name === 'docker0' ? '172.17.0.1' : host),
  deviceAddress: (device) => (device.name === 'docker0' ? '172.17.0.1' : host),
}

function tcp(source: string, destination: string, destinationPort: number): Packet {
  return firstPacket({ protocol: 'tcp', source, destination, sourcePort: 40_000, destinationPort })
}

type Walk = (hook: Hook, packet: Packet) => Outcome | UnknownOutcome

/** The hooks of IPv4 in a new namespace with these rules. */
function withRules<T>(load: (socket: Socket) => void, body: (walk: Walk, text: (outcome: Outcome) => string) => T): T {
  return inNewNetns(NETLINK_NETFILTER, (socket) => {
    load(socket)
    const firewall = readFirewall({ nft: () => socket, inside: (work) => work() })
    return body(
      (hook, packet) => runHook(firewall, { family: 'ip', hook }, packet, world),
      ({ by }) => (by ? ruleText(firewall, by) : ''),
    )
  })
}

function decided(result: Outcome | UnknownOutcome): Outcome {
  if (result.verdict === 'unknown') assert.fail(JSON.stringify(result.doubt, (_, value) => String(value)))
  return result
}

const restore = (rules: string) => (): void => void outputOf('iptables-nft-restore', [], { input: rules })

for (const [name, rules] of Object.entries({ docker, cni, netavark })) {
  test(`${name}: a published port from outside, and the way out`, { skip }, () => {
    withRules(restore(rules), (walk) => {
      const came = decided(walk('prerouting', { ...tcp('198.51.100.7', host, 8080), in: outside }))
      assert.equal(came.packet.destination, container)
      assert.equal(came.packet.destinationPort, 80)
      assert.deepEqual(
        came.translations.map(({ kind, address, port }) => [kind, address, port]),
        [['dnat', container, 80]],
      )
      const through = decided(walk('forward', { ...came.packet, out: bridge }))
      assert.equal(through.verdict, 'accept')
      const gone = decided(walk('postrouting', through.packet))
      assert.equal(gone.packet.source, '198.51.100.7')

      const start = decided(walk('forward', { ...tcp(container, '198.51.100.7', 443), in: bridge, out: outside }))
      assert.equal(start.verdict, 'accept')
      const left = decided(walk('postrouting', start.packet))
      assert.deepEqual(
        left.translations.map(({ kind, address }) => [kind, address]),
        [['masquerade', host]],
      )
      assert.equal(left.packet.source, host)

      // the answer finds back without a rule
      const tracking = { ...left.packet.tracking, state: 'established', direction: 'reply' } as const
      const answer = { ...tcp('198.51.100.7', host, 40_000), sourcePort: 443, tracking, in: outside }
      const back = decided(walk('prerouting', answer))
      assert.equal(back.packet.destination, container)
      assert.equal(back.isNatSkipped, true)
      assert.equal(decided(walk('forward', { ...back.packet, out: bridge })).verdict, 'accept')
    })
  })
}

test('docker: the policy of FORWARD drops what no rule lets through, and is named', { skip }, () => {
  withRules(restore(docker), (walk, text) => {
    const dropped = decided(walk('forward', { ...tcp('10.0.0.1', '10.0.0.2', 80), in: outside, out: outside }))
    assert.equal(dropped.verdict, 'drop')
    assert.deepEqual(dropped.by, { engine: 'nftables', family: 'ip', table: 'filter', chain: 'FORWARD' })
    assert.equal(text(dropped), 'policy drop')
    const other = decided(walk('forward', { ...tcp('10.0.0.1', container, 22), in: outside, out: bridge }))
    assert.equal(other.verdict, 'drop')
  })
})

test('kube-proxy: one endpoint is decided, several are all found', { skip }, () => {
  const asked = { ...tcp('198.51.100.7', '10.96.0.10', 8080), in: outside }
  withRules(restore(kubeProxy([container])), (walk) => {
    const came = decided(walk('prerouting', asked))
    assert.equal(came.packet.destination, container)
    assert.equal(came.packet.mark, 0x4000)
    const left = decided(walk('postrouting', { ...came.packet, out: bridge }))
    assert.equal(left.packet.source, '172.17.0.1')
    assert.equal(left.packet.sourcePort, undefined)
    assert.equal(left.packet.mark, 0)
  })
  const endpoints = [2, 3, 4, 5].map((n) => `172.17.0.${n}`)
  withRules(restore(kubeProxy(endpoints)), (walk) => {
    const result = walk('prerouting', asked)
    if (result.verdict !== 'unknown') assert.fail('the choice is by chance')
    assert.equal(result.isComplete, true)
    assert.deepEqual(result.possible.map(({ packet }) => packet.destination).sort(), endpoints)
    assert.equal(result.doubt.what, 'the match statistic')
  })
})

test('our own table', { skip }, () => {
  const network = { address: '172.17.0.0', length: 16, family: 4 } as const
  const publish = {
    family: 4,
    port: 8080,
    protocol: 'tcp',
    to: { namespace: 'c', address: container, port: 80 },
    network,
    namespace: 'host',
  } as const
  const chains = buildRuleset([{ namespace: 'host', from: network }], [publish], { 4: 'eth9' })
  const load = (socket: Socket): void => {
    const commit = transaction()
    const table = { family: 'inet', name: 'hardway-t' } as const
    commit.addTable(table)
    for (const { rules, ...chain } of chains) {
      commit.addChain({ family: 'inet', table: table.name, ...chain })
      for (const { expressions, comment } of rules) {
        const named = comment === undefined ? {} : { comment }
        commit.addRule({ family: 'inet', table: table.name, chain: chain.name, expressions, ...named })
      }
    }
    commit.commit(socket)
  }
  withRules(load, (walk, text) => {
    const came = decided(walk('prerouting', { ...tcp('198.51.100.7', host, 8080), in: outside }))
    assert.equal(came.packet.destination, container)
    assert.equal(came.steps.find(({ kind }) => kind === 'translate')?.rule.comment, 'publish :8080/tcp')
    const hairpin = decided(walk('prerouting', { ...tcp(container, host, 8080), in: bridge }))
    const back = decided(walk('postrouting', { ...hairpin.packet, out: bridge }))
    assert.equal(back.packet.source, '172.17.0.1')
    const guarded = decided(walk('prerouting', { ...tcp('198.51.100.7', '127.0.0.1', 80), in: outside }))
    assert.equal(guarded.verdict, 'drop')
    assert.match(text(guarded), /^iifname != "lo" ip daddr 127\.0\.0\.0\/8 counter drop/)
    const ours = decided(walk('output', { ...tcp(host, host, 8080), out: { index: 1, name: 'lo', group: 0 } }))
    assert.equal(ours.packet.destination, container)
    assert.equal(ours.isRerouted, true)
  })
})
