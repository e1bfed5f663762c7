/** Rules from anywhere: the evaluation ends with a result, never with an error. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Reader } from '../../netlink/index.ts'
import { decodeBody } from '../../netlink/message.ts'
import { damage, randomFrom } from '../../netlink/testing.ts'
import { ruleShape } from '../../nftables/attributes.ts'
import { cases } from '../../nftables/corpus.testing.ts'
import { encodeOperation, newIds } from '../../nftables/encode.ts'
import type { Image, ImageChain, ImageRule, ImageSet, Vm } from '../../nftables/index.ts'
import type { Packet } from '../packet.ts'
import { runHook } from './evaluate.ts'
import type { LegacyTable } from './legacy-read.ts'
import { parseTable } from './legacy-read.ts'
import type { FilterWorld } from './result.ts'
import { firstPacket } from './test-wire.ts'
import { matches } from './xt-match.ts'
import { silentTargets, targets } from './xt-target.ts'

const world: FilterWorld = {
  addressType: () => undefined,
  route: () => undefined,
  sourceAddress: () => undefined,
  deviceAddress: () => undefined,
}

const device = { index: 2, name: 'v0', kind: 'veth', group: 0, mac: '02:00:00:00:00:01' }
const packet: Packet = {
  ...firstPacket({ protocol: 'tcp', source: '10.0.0.1', destination: '10.0.0.2', sourcePort: 1, destinationPort: 80 }),
  in: device,
  out: device,
}
const { sourcePort: _, ...unnamed } = packet

/** A chain of the rules, one that jumps may lead to, and a set of every name. */
function imageOf(rules: readonly (readonly Vm[])[], set: ImageSet): Image {
  const at = { family: 'ip', table: 't' } as const
  const ruleOf = (vm: readonly Vm[]): ImageRule => ({ ...at, chain: 'c', handle: 1n, vm: (i) => vm[i] })
  const base = { type: 'filter', hook: 'forward', priority: 0, policy: 'accept', devices: [] } as const
  const chain: ImageChain = { ...at, name: 'c', handle: 1n, base, rules: rules.map(ruleOf) }
  const chains = new Map([['c', chain]])
  const table = { family: 'ip', name: 't', handle: 1n, isDormant: false, chains } as const
  return { generation: 1, tables: [table], set: () => set, object: () => undefined }
}

const forward = { family: 'ip', hook: 'forward' } as const

test('damaged rules of nf_tables', () => {
  const random = randomFrom(20_261_127)
  const samples = cases.flatMap(([, expressions]) =>
    encodeOperation(
      { verb: 'add', kind: 'rule', rule: { family: 'inet', table: 't', chain: 'c', expressions } },
      newIds(),
    ).map(({ body }) => body),
  )
  const verdicts = new Set<string>()
  for (let i = 0; i < 5_000; i++) {
    const bytes = damage(samples[random(samples.length)] ?? new Uint8Array(0), random)
    let vm: readonly Vm[]
    try {
      vm = decodeBody(ruleShape, new Reader(bytes)).attrs.expressions ?? []
    } catch {
      continue // the decoders have a test of their own
    }
    const keyLen = 1 + random(20)
    const key = { value: Uint8Array.from({ length: random(2) ? keyLen : random(24) }, () => random(256)) }
    const attributes = {
      keyLen,
      flags: random(256),
      ...(random(2) ? { desc: { concat: [{ len: 4 }, { len: random(9) }] } } : {}),
    }
    const elements = [
      { key, flags: random(4) },
      { key, data: { verdict: { code: random(9) - 5 } } },
    ]
    const image = imageOf([vm, vm], { attributes, elements: () => (random(9) ? elements : undefined) })
    verdicts.add(runHook({ image, legacy: [] }, forward, random(2) ? packet : unnamed, world).verdict)
  }
  for (const verdict of ['accept', 'unknown']) assert.ok(verdicts.has(verdict), verdict)
})

test('extensions of iptables with any bytes in them', () => {
  const random = randomFrom(20_261_127)
  const names = [...Object.keys(matches), ...Object.keys(targets), ...silentTargets, 'nobody', 'toString']
  for (let i = 0; i < 20_000; i++) {
    const info = Uint8Array.from({ length: random(8) ? 200 : random(200) }, () => (random(3) ? 0 : random(256)))
    const data = { name: names[random(names.length)] ?? '', rev: random(4), info }
    const vm: Vm = random(2) ? { kind: 'match', data } : { kind: 'target', data }
    const image = imageOf([[vm]], { attributes: {}, elements: () => [] })
    runHook({ image, legacy: [] }, forward, random(2) ? packet : unnamed, world)
  }
})

test('blocks of iptables-legacy with any bytes in them', () => {
  const random = randomFrom(20_261_127)
  const image = { ...imageOf([], { attributes: {}, elements: () => [] }), tables: [] }
  for (let i = 0; i < 5_000; i++) {
    const info = new Uint8Array(84)
    new DataView(info.buffer).setUint32(32, 31, true)
    const block = Uint8Array.from({ length: random(600) }, (_, at) => (at % 4 === 0 && !random(3) ? random(160) : 0))
    let legacy: LegacyTable[]
    try {
      legacy = [parseTable('ip', 'filter', new Reader(info), new Reader(block))]
    } catch (error) {
      assert.ok(error instanceof RangeError)
      continue
    }
    runHook({ image, legacy }, forward, packet, world)
  }
})
