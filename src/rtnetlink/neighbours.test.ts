/** Neighbours, proxies, forwarding entries: what we send is what iproute2 sends, byte for byte. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../test/support/need.ts'
import { addForwarding, addLink, addNeighbour, deleteNeighbour, listForwarding } from './index.ts'
import { assertSameBytes, commonLinks, type Golden, goldenNeeds, inFreshNetns } from './testing.ts'

const mac = '06:96:1e:62:50:e7'
const index = 4

const neighbours: readonly Golden[] = [
  [`ip neighbour add 10.0.0.17 lladdr ${mac} dev v0`, () => addNeighbour({ index, ip: '10.0.0.17', mac })],
  [
    `ip neighbour add 10.0.0.19 lladdr ${mac} dev v0 nud reachable`,
    () => addNeighbour({ index, ip: '10.0.0.19', mac, state: 'reachable' }),
  ],
  [
    `ip neighbour add 10.0.0.20 lladdr ${mac} dev v0 protocol 104`,
    () => addNeighbour({ index, ip: '10.0.0.20', mac, protocol: 104 }),
  ],
  ['ip neighbour add proxy 10.0.0.18 dev v0', () => addNeighbour({ index, ip: '10.0.0.18', proxy: true })],
  [`ip -6 neighbour add fd00::17 lladdr ${mac} dev v0`, () => addNeighbour({ index, ip: 'fd00::17', mac })],
  ['ip -6 neighbour add proxy fd00::18 dev v0', () => addNeighbour({ index, ip: 'fd00::18', proxy: true })],
  ['ip neighbour del 10.0.0.17 dev v0', () => deleteNeighbour({ index, ip: '10.0.0.17' })],
  ['ip neighbour del proxy 10.0.0.18 dev v0', () => deleteNeighbour({ index, ip: '10.0.0.18', proxy: true })],
  ['ip -6 neighbour del fd00::17 dev v0', () => deleteNeighbour({ index, ip: 'fd00::17' })],
  ['ip -6 neighbour del proxy fd00::18 dev v0', () => deleteNeighbour({ index, ip: 'fd00::18', proxy: true })],
]

const everybody = '00:00:00:00:00:00'
const forwarding: readonly Golden[] = [
  [
    `bridge fdb append ${everybody} dev x0 dst 192.0.2.8`,
    () => addForwarding({ index: 2, mac: everybody, ip: '192.0.2.8' }),
  ],
  [
    `bridge fdb append ${everybody} dev x0 dst fd00::8`,
    () => addForwarding({ index: 2, mac: everybody, ip: 'fd00::8' }),
  ],
]

test('neighbours: our bytes are those of iproute2 for the same request', { skip: goldenNeeds }, () => {
  assertSameBytes(commonLinks, neighbours)
})

test('forwarding entries: our bytes are those of iproute2 for the same request', { skip: goldenNeeds }, () => {
  assertSameBytes(['ip link add name x0 type vxlan id 7 dstport 4789'], forwarding.slice(0, 1))
  assertSameBytes(['ip -6 link add name x0 type vxlan id 7 dstport 4789'], forwarding.slice(1))
})

test('a vxlan gets one remote after the other for all it does not know', {
  skip: needs('root', 'module:vxlan'),
}, () => {
  inFreshNetns((socket) => {
    socket.execute(addLink({ name: 'x0', link: { kind: 'vxlan', id: 7, port: 4789 } }))
    const remotes = ['192.0.2.8', '192.0.2.9']
    for (const ip of remotes) socket.execute(addForwarding({ index: 2, mac: everybody, ip }))
    assert.deepEqual(
      listForwarding(socket).map((entry) => [entry.index, entry.mac, entry.ip, entry.state]),
      remotes.map((ip) => [2, everybody, ip, 'permanent']),
    )
  })
})
