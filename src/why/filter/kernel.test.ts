/** The kernel and the evaluation see the same rules and the same packet: they must come to the same end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../../test/support/need.ts'
import { runSync } from '../../../test/support/run.ts'
import { randomFrom } from '../../netlink/testing.ts'
import { randomPacket, randomTable } from './test-rules.ts'
import { openWire, type Wire } from './test-wire.ts'

const skip = needs('root', 'nft')
const RULESETS = Number(process.env.HARDWAY_TEST_RULESETS ?? 120)
const PACKETS = 4

/** Loads a ruleset in place of the last one; false when the kernel will not have it. */
function load(wire: Wire, text: string): boolean {
  const input = `flush ruleset\n${text}`
  return wire.lab.enter('r', () => runSync('nft', ['-f', '-'], { input })).status === 0
}

test('random rulesets of nft: every packet ends where the evaluation says', { skip }, () => {
  const seed = Number(process.env.HARDWAY_TEST_SEED ?? Date.now() % 1_000_000)
  const random = randomFrom(seed)
  using wire = openWire()
  let port = 10_000
  let [loaded, sent, unknown] = [0, 0, 0]
  for (let i = 0; i < RULESETS; i++) {
    const text = Array.from({ length: 1 + random(2) }, (_, n) => randomTable(random, `t${n}`)).join('')
    if (!load(wire, text)) continue
    loaded++
    for (let n = 0; n < PACKETS; n++) {
      const { from, packet } = randomPacket(random, port++)
      const { ends, doubts } = wire.predict(from, packet)
      const end = wire.send(from, packet, ends)
      const story = `seed ${seed}, ruleset ${i}\n${JSON.stringify(packet)} from ${from}\n${doubts.join(', ')}\n${text}`
      assert.ok(ends.includes(end) || ends.includes('any'), `${end} is none of ${ends.join(' | ')}\n${story}`)
      sent++
      if (doubts.length) unknown++
    }
  }
  assert.ok(loaded > RULESETS / 2, `the kernel took ${loaded} of ${RULESETS} rulesets, seed ${seed}`)
  assert.ok(unknown < sent / 10, `${unknown} of ${sent} packets could not be decided, seed ${seed}`)
})
