/** The kernel and the evaluation see the same rules and the same packet: they must come to the same end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../../test/support/need.ts'
import { runSync } from '../../../test/support/run.ts'
import { randomFrom } from '../../netlink/testing.ts'
import { randomRestore } from './test-iptables.ts'
import { type Random, randomPacket, randomTable } from './test-rules.ts'
import { openWire, type Wire } from './test-wire.ts'

const skip = needs('root', 'nft')
const RULESETS = Number(process.env.HARDWAY_TEST_RULESETS ?? 25)
const PACKETS = 4
/** printed with every failure; another one tries other rulesets */
const seed = Number(process.env.HARDWAY_TEST_SEED ?? 281_960)

/** Sends packets through rulesets of one kind and compares. `load` says whether the kernel took the ruleset. */
function compare(make: (random: Random) => string, load: (wire: Wire, text: string) => boolean): void {
  const random = randomFrom(seed)
  using wire = openWire()
  let port = 10_000
  let [loaded, sent, unknown] = [0, 0, 0]
  for (let i = 0; i < RULESETS; i++) {
    const text = make(random)
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
  assert.ok(unknown < sent / 4, `${unknown} of ${sent} packets could not be decided, seed ${seed}`)
}

/** Feeds a program in the router. */
const feed =
  (program: string, before = '') =>
  (wire: Wire, text: string): boolean =>
    wire.lab.enter('r', () => runSync(program, program === 'nft' ? ['-f', '-'] : [], { input: before + text }))
      .status === 0

test('random rulesets of nft: every packet ends where the evaluation says', { skip }, () => {
  const make = (random: Random): string =>
    Array.from({ length: 1 + random(2) }, (_, n) => randomTable(random, `t${n}`)).join('')
  compare(make, feed('nft', 'flush ruleset\n'))
})

test('random rulesets of iptables in nf_tables: the same', { skip: skip || needs('iptables') }, () => {
  compare(randomRestore, feed('iptables-nft-restore'))
})

test('random rulesets of iptables-legacy: the same', { skip: skip || needs('iptables-legacy') }, () => {
  compare(randomRestore, feed('iptables-legacy-restore'))
})

test('iptables-legacy beside nf_tables: the same', { skip: skip || needs('iptables-legacy') }, () => {
  const make = (random: Random): string => `${randomRestore(random)}#\n${randomTable(random, 't')}`
  compare(make, (wire, text) => {
    const [legacy = '', nft = ''] = text.split('#\n')
    return feed('nft', 'flush ruleset\n')(wire, nft) && feed('iptables-legacy-restore')(wire, legacy)
  })
})
