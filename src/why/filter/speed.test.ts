/** `why` is asked while something is broken: a thousand rules must not be felt. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../../test/support/need.ts'
import { outputOf } from '../../../test/support/run.ts'
import { NETLINK_NETFILTER } from '../../netlink/index.ts'
import { inNewNetns } from '../../netlink/testing.ts'
import { runHook } from './evaluate.ts'
import { readFirewall } from './firewall.ts'
import { firstPacket } from './test-wire.ts'

const RULES = 1000
const packet = firstPacket({
  protocol: 'tcp',
  source: '10.9.9.9',
  destination: '10.0.0.2',
  sourcePort: 1,
  destinationPort: 1,
})
const world = {
  addressType: () => undefined,
  route: () => undefined,
  sourceAddress: () => undefined,
  deviceAddress: () => undefined,
}

function timed(work: () => void): number {
  const begin = performance.now()
  work()
  return performance.now() - begin
}

test('1,000 rules are read and run', { skip: needs('root', 'nft') }, () => {
  inNewNetns(NETLINK_NETFILTER, (socket) => {
    const rules = Array.from(
      { length: RULES },
      (_, i) => `ip saddr 10.0.${i >> 8}.${i & 255} tcp dport ${i + 1} counter accept`,
    )
    const text = `table ip t {\nchain c {\ntype filter hook input priority 0; policy drop;\n${rules.join('\n')}\n}\n}\n`
    outputOf('nft', ['-f', '-'], { input: text })
    const once = (): string => {
      const firewall = readFirewall({ nft: () => socket, inside: (work) => work() })
      return runHook(firewall, { family: 'ip', hook: 'input' }, packet, world).verdict
    }
    const cold = timed(() => assert.equal(once(), 'drop'))
    const firewall = readFirewall({ nft: () => socket, inside: (work) => work() })
    const run = (): void => {
      runHook(firewall, { family: 'ip', hook: 'input' }, packet, world)
    }
    for (let i = 0; i < 20; i++) run()
    const warm = Math.min(...Array.from({ length: 20 }, () => timed(run)))
    // about 60 and 3 on an idle machine; the bounds catch what grows with the square of the rules on a busy one
    assert.ok(cold < 2500, `cold: ${cold} ms`)
    assert.ok(warm < 60, `warm: ${warm} ms`)
    if (process.env.HARDWAY_TEST_SPEED) process.stderr.write(`cold ${cold.toFixed(1)} ms, warm ${warm.toFixed(2)} ms\n`)
  })
})
