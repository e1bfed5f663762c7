/** Queueing disciplines: what we send is what tc sends, byte for byte; what we add, it shows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../test/support/need.ts'
import { addHtbClass, addLink, addQdisc, deleteQdisc, getLink, listQdiscs, ROOT } from './index.ts'
import { assertSameBytes, commonLinks, type Golden, goldenNeeds, inFreshNetns, run } from './testing.ts'

const [index, peer] = [4, 3]
const tbf = { kind: 'tbf', rate: 1_250_000, burst: 32_768, limit: 65_536 } as const

const qdiscs: readonly Golden[] = [
  ['tc qdisc add dev v0 ingress', () => addQdisc({ index, qdisc: { kind: 'ingress' } })],
  ['tc qdisc del dev v0 ingress', () => deleteQdisc({ index, qdisc: { kind: 'ingress' } })],
  ['tc qdisc add dev v0 clsact', () => addQdisc({ index, qdisc: { kind: 'clsact' } })],
  ['tc qdisc add dev v0 root tbf rate 10mbit burst 32768 limit 65536', () => addQdisc({ index, qdisc: tbf })],
  [
    'tc qdisc replace dev v0 root tbf rate 20mbit burst 32768 limit 65536',
    () => addQdisc({ index, qdisc: { ...tbf, rate: 2_500_000 } }, { replace: true }),
  ],
  [
    'tc qdisc add dev v1 root handle 1: htb default 1',
    () => addQdisc({ index: peer, qdisc: { kind: 'htb', defaultClass: 1 }, handle: 0x10000 }),
  ],
  [
    'tc class add dev v1 parent 1: classid 1:1 htb rate 1mbit burst 15000 cburst 15000',
    () => addHtbClass({ index: peer, parent: 0x10000, handle: 0x10001, rate: 125_000, burst: 15_000 }),
  ],
  [
    'tc class add dev v1 parent 1:1 classid 1:2 htb rate 500kbit ceil 1mbit burst 15000 cburst 15000',
    () => addHtbClass({ index: peer, parent: 0x10001, handle: 0x10002, rate: 62_500, ceil: 125_000, burst: 15_000 }),
  ],
]

test('qdiscs and classes: our bytes are those of tc for the same request', {
  skip: goldenNeeds || needs('module:sch_tbf', 'module:sch_htb', 'module:sch_ingress'),
}, () => {
  assertSameBytes(commonLinks, qdiscs)
})

test('qdiscs: tc shows the rates that were asked for', { skip: needs('root', 'ip', 'tc') }, () => {
  inFreshNetns((socket) => {
    socket.execute(addLink({ name: 'v0', link: { kind: 'veth', peer: { name: 'v1' } }, up: true }))
    const index = getLink(socket, { name: 'v0' })?.index ?? 0
    const peer = getLink(socket, { name: 'v1' })?.index ?? 0
    socket.execute(addQdisc({ index, qdisc: { kind: 'tbf', rate: 1_250_000, burst: 32_768, limit: 65_536 } }))
    assert.match(run('tc qdisc show dev v0'), /tbf .* rate 10Mbit burst 32Kb/)
    assert.deepEqual(listQdiscs(socket).find((q) => q.kind === 'tbf')?.options, {
      tbf: { rate: 1_250_000, burst: 32_768, limit: 65_536 },
    })
    socket.execute(addQdisc({ index: peer, qdisc: { kind: 'htb', defaultClass: 1 }, handle: 0x10000 }))
    socket.execute(addHtbClass({ index: peer, parent: 0x10000, handle: 0x10001, rate: 125_000, burst: 15_000 }))
    assert.match(run('tc class show dev v1'), /htb 1:1 .*rate 1Mbit ceil 1Mbit/)
    socket.execute(deleteQdisc({ index, qdisc: { kind: 'tbf', rate: 1, burst: 1, limit: 1 }, parent: ROOT }))
    assert.ok(!run('tc qdisc show dev v0').includes('tbf'))
  })
})
