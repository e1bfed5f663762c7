/** What we send is what iproute2 sends, byte for byte; what we list is what it shows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../test/support/need.ts'
import { type Prefix, parsePrefix } from '../ip/index.ts'
import type { Request } from '../netlink/index.ts'
import {
  addAddress,
  addHtbClass,
  addLink,
  addNeighbour,
  addQdisc,
  addRoute,
  addRule,
  deleteAddress,
  deleteLink,
  deleteNeighbour,
  deleteQdisc,
  deleteRoute,
  deleteRule,
  getLink,
  getRoute,
  linkData,
  listAddresses,
  listLinks,
  listNeighbours,
  listQdiscs,
  listRoutes,
  listRules,
  ROOT,
  setLink,
} from './index.ts'
import { capture, inFreshNetns, run } from './testing.ts'

const p = (text: string): Prefix => {
  const prefix = parsePrefix(text)
  if (!prefix) throw new Error(text)
  return prefix
}

/** In order: each command finds what those before it have made. Indices: lo 1, b0 2, then 4 and 3 for v0 and v1. */
const commands: readonly (readonly [string, () => Request])[] = [
  ['ip link add name b0 type bridge', () => addLink({ name: 'b0', link: { kind: 'bridge' } })],
  [
    'ip link add name v0 type veth peer name v1',
    () => addLink({ name: 'v0', link: { kind: 'veth', peer: { name: 'v1' } } }),
  ],
  ['ip link set dev lo up', () => setLink({ index: 1 }, { up: true })],
  ['ip link set dev b0 up', () => setLink({ index: 2 }, { up: true })],
  ['ip link set dev v0 up', () => setLink({ index: 4 }, { up: true })],
  ['ip link set dev v1 up', () => setLink({ index: 3 }, { up: true })],
  ['ip link set dev v0 master b0', () => setLink({ index: 4 }, { master: 2 })],
  ['ip link set dev v0 nomaster', () => setLink({ index: 4 }, { master: 0 })],
  ['ip link set dev v0 mtu 1400', () => setLink({ index: 4 }, { mtu: 1400 })],
  ['ip link set dev v0 address 02:00:00:00:00:07', () => setLink({ index: 4 }, { mac: '02:00:00:00:00:07' })],
  ['ip link set dev v0 alias hardway:x', () => setLink({ index: 4 }, { alias: 'hardway:x' })],
  ['ip link set dev v0 group 77', () => setLink({ index: 4 }, { group: 77 })],
  ['ip link set dev v0 txqueuelen 500', () => setLink({ index: 4 }, { txqlen: 500 })],
  ['ip address add 10.0.0.1/24 dev v0', () => addAddress({ index: 4, address: p('10.0.0.1/24') })],
  [
    'ip address add 10.0.1.1/24 brd + dev v0',
    () => addAddress({ index: 4, address: p('10.0.1.1/24'), broadcast: 'auto' }),
  ],
  ['ip address add fd00::1/64 dev v0', () => addAddress({ index: 4, address: p('fd00::1/64') })],
  ['ip address add fd00::2/64 dev v0 nodad', () => addAddress({ index: 4, address: p('fd00::2/64'), noDad: true })],
  ['ip address add 127.0.0.5/8 dev lo', () => addAddress({ index: 1, address: p('127.0.0.5/8') })],
  ['ip address del 10.0.1.1/24 dev v0', () => deleteAddress({ index: 4, address: p('10.0.1.1/24') })],
  [
    'ip route add 10.1.0.0/16 via 10.0.0.9',
    () => addRoute({ to: p('10.1.0.0/16'), type: 'unicast', via: '10.0.0.9', table: 254 }),
  ],
  [
    'ip route add default via 10.0.0.9',
    () => addRoute({ to: p('0.0.0.0/0'), type: 'unicast', via: '10.0.0.9', table: 254 }),
  ],
  ['ip route add 10.2.0.0/16 dev v0', () => addRoute({ to: p('10.2.0.0/16'), type: 'unicast', index: 4, table: 254 })],
  [
    'ip route add 10.3.0.0/16 via 10.0.0.9 dev v0 proto 104',
    () => addRoute({ to: p('10.3.0.0/16'), type: 'unicast', via: '10.0.0.9', index: 4, table: 254, protocol: 104 }),
  ],
  ['ip route add blackhole 10.4.0.0/16', () => addRoute({ to: p('10.4.0.0/16'), type: 'blackhole', table: 254 })],
  ['ip route add unreachable 10.5.0.0/16', () => addRoute({ to: p('10.5.0.0/16'), type: 'unreachable', table: 254 })],
  ['ip route add prohibit 10.6.0.0/16', () => addRoute({ to: p('10.6.0.0/16'), type: 'prohibit', table: 254 })],
  [
    'ip route add 10.7.0.0/16 via 10.0.0.9 metric 50',
    () => addRoute({ to: p('10.7.0.0/16'), type: 'unicast', via: '10.0.0.9', metric: 50, table: 254 }),
  ],
  [
    'ip route add 10.8.0.0/16 via 10.0.0.9 table 1000',
    () => addRoute({ to: p('10.8.0.0/16'), type: 'unicast', via: '10.0.0.9', table: 1000 }),
  ],
  [
    'ip route add 10.9.0.0/16 via 10.0.0.9 table 100',
    () => addRoute({ to: p('10.9.0.0/16'), type: 'unicast', via: '10.0.0.9', table: 100 }),
  ],
  [
    'ip route add 10.10.0.0/16 via 10.0.0.9 mtu 1300',
    () => addRoute({ to: p('10.10.0.0/16'), type: 'unicast', via: '10.0.0.9', metrics: { mtu: 1300 }, table: 254 }),
  ],
  [
    'ip route add 10.11.0.0/16 via 192.0.2.1 dev v0 onlink',
    () => addRoute({ to: p('10.11.0.0/16'), type: 'unicast', via: '192.0.2.1', index: 4, onlink: true, table: 254 }),
  ],
  [
    'ip route add 10.12.0.0/16 via 10.0.0.9 src 10.0.0.1',
    () => addRoute({ to: p('10.12.0.0/16'), type: 'unicast', via: '10.0.0.9', src: '10.0.0.1', table: 254 }),
  ],
  [
    'ip route add 10.13.0.0/16 nexthop via 10.0.0.9 dev v0 weight 1 nexthop via 10.0.0.8 dev v0 weight 3',
    () =>
      addRoute({
        to: p('10.13.0.0/16'),
        type: 'unicast',
        table: 254,
        nexthops: [
          { via: '10.0.0.9', index: 4, weight: 1 },
          { via: '10.0.0.8', index: 4, weight: 3 },
        ],
      }),
  ],
  [
    'ip route replace 10.1.0.0/16 via 10.0.0.8',
    () => addRoute({ to: p('10.1.0.0/16'), type: 'unicast', via: '10.0.0.8', table: 254 }, { replace: true }),
  ],
  [
    'ip -6 route add fd01::/64 via fd00::9',
    () => addRoute({ to: p('fd01::/64'), type: 'unicast', via: 'fd00::9', table: 254 }),
  ],
  ['ip -6 route add fd02::/64 dev v0', () => addRoute({ to: p('fd02::/64'), type: 'unicast', index: 4, table: 254 })],
  ['ip -6 route add blackhole fd03::/64', () => addRoute({ to: p('fd03::/64'), type: 'blackhole', table: 254 })],
  ['ip route del unicast 10.1.0.0/16', () => deleteRoute({ to: p('10.1.0.0/16'), type: 'unicast', table: 254 })],
  [
    'ip rule add to 10.0.0.5/32 table 254 priority 512',
    () => addRule({ family: 4, to: p('10.0.0.5/32'), table: 254, priority: 512 }),
  ],
  [
    'ip rule add from 10.0.0.0/24 table 100 priority 600',
    () => addRule({ family: 4, from: p('10.0.0.0/24'), table: 100, priority: 600 }),
  ],
  ['ip rule add priority 700 fwmark 7 table 1000', () => addRule({ family: 4, mark: 7, table: 1000, priority: 700 })],
  ['ip rule add priority 800 iif v0 table 100', () => addRule({ family: 4, iif: 'v0', table: 100, priority: 800 })],
  [
    'ip -6 rule add from fd00::/64 table 100 priority 900',
    () => addRule({ family: 6, from: p('fd00::/64'), table: 100, priority: 900 }),
  ],
  [
    'ip rule del priority 700 fwmark 7 table 1000',
    () => deleteRule({ family: 4, mark: 7, table: 1000, priority: 700 }),
  ],
  [
    'ip neighbour add 10.0.0.17 lladdr 06:96:1e:62:50:e7 dev v0',
    () => addNeighbour({ index: 4, ip: '10.0.0.17', mac: '06:96:1e:62:50:e7' }),
  ],
  ['ip neighbour add proxy 10.0.0.18 dev v0', () => addNeighbour({ index: 4, ip: '10.0.0.18', proxy: true })],
  [
    'ip -6 neighbour add fd00::17 lladdr 06:96:1e:62:50:e7 dev v0',
    () => addNeighbour({ index: 4, ip: 'fd00::17', mac: '06:96:1e:62:50:e7' }),
  ],
  ['ip neighbour del 10.0.0.17 dev v0', () => deleteNeighbour({ index: 4, ip: '10.0.0.17' })],
  ['tc qdisc add dev v0 ingress', () => addQdisc({ index: 4, qdisc: { kind: 'ingress' } })],
  ['tc qdisc del dev v0 ingress', () => deleteQdisc({ index: 4, qdisc: { kind: 'ingress' } })],
  ['tc qdisc add dev v0 clsact', () => addQdisc({ index: 4, qdisc: { kind: 'clsact' } })],
  ['ip link del dev v0', () => deleteLink({ index: 4 })],
]

test('bytes on the wire are those of iproute2 for the same request', {
  skip: needs('root', 'ip', 'tc', 'strace'),
}, () => {
  inFreshNetns(() => {
    const differences: unknown[] = []
    for (const [command, build] of commands) {
      const theirs = capture(command)
      const ours = build()
      const wanted = { type: ours.type, flags: ours.flags | 1, body: Buffer.from(ours.body).toString('hex') }
      const same = theirs.some((m) => m.type === wanted.type && m.flags === wanted.flags && m.body === wanted.body)
      if (!same) differences.push({ command, ours: wanted, theirs })
    }
    assert.deepEqual(differences, [])
  })
})

test('what we make, iproute2 shows: links of every kind, with their details', { skip: needs('root', 'ip') }, () => {
  inFreshNetns((socket) => {
    socket.execute(addLink({ name: 'b0', link: { kind: 'bridge' }, up: true, group: 9 }))
    const master = getLink(socket, { name: 'b0' })?.index ?? 0
    socket.execute(
      addLink({
        name: 'v0',
        link: { kind: 'veth', peer: { name: 'v1', mac: '02:00:00:00:00:02', mtu: 1300 } },
        mac: '02:00:00:00:00:01',
        mtu: 1400,
        master,
        up: true,
      }),
    )
    socket.execute(addLink({ name: 'x0', link: { kind: 'vxlan', id: 42, port: 4789, remote: '192.0.2.7' } }))
    const v1 = getLink(socket, { name: 'v1' })?.index ?? 0
    socket.execute(addLink({ name: 'm0', link: { kind: 'macvlan', parent: v1, mode: 'bridge' } }))
    socket.execute(addLink({ name: 'i0', link: { kind: 'ifb' } }))
    interface Shown {
      ifname: string
      mtu: number
      address: string
      master?: string
      linkinfo?: { info_kind: string; info_data?: Record<string, unknown> }
    }
    const shown = new Map((JSON.parse(run('ip -j -d link show')) as Shown[]).map((l) => [l.ifname, l]))
    assert.equal(shown.get('v0')?.master, 'b0')
    assert.equal(shown.get('v0')?.mtu, 1400)
    assert.equal(shown.get('v1')?.address, '02:00:00:00:00:02')
    assert.equal(shown.get('x0')?.linkinfo?.info_data?.id, 42)
    assert.equal(shown.get('m0')?.linkinfo?.info_data?.mode, 'bridge')
    const links = listLinks(socket)
    assert.deepEqual(
      links.map((l) => [l.name, l.mtu, l.mac, l.kind]),
      [...shown.values()].map((l) => [l.ifname, l.mtu, l.address, l.linkinfo?.info_kind]),
    )
    const x0 = links.find((l) => l.name === 'x0')
    assert.deepEqual(x0 && [linkData(x0, 'vxlan')?.id, linkData(x0, 'vxlan')?.group, linkData(x0, 'vxlan')?.port], [
      42,
      '192.0.2.7',
      4789,
    ])
    assert.equal(getLink(socket, { name: 'nope' }), undefined)
    socket.execute(deleteLink({ group: 9 }))
    assert.equal(getLink(socket, { name: 'b0' }), undefined)
  })
})

test('lists agree with iproute2 on a namespace full of things', { skip: needs('root', 'ip') }, () => {
  inFreshNetns((socket) => {
    for (const command of [
      'ip link add v0 type veth peer name v1',
      'ip link set v0 up',
      'ip link set v1 up',
      'ip address add 10.0.0.1/24 dev v0',
      'ip address add fd00::1/64 dev v0 nodad',
      'ip route add default via 10.0.0.9',
      'ip route add 10.13.0.0/16 nexthop via 10.0.0.9 weight 1 nexthop via 10.0.0.8 weight 3',
      'ip route add blackhole 10.4.0.0/16 table 77',
      'ip rule add to 10.0.0.5/32 table main priority 512',
      'ip neighbour add 10.0.0.17 lladdr 06:96:1e:62:50:e7 dev v0',
      'ip neighbour add proxy 10.0.0.18 dev v0',
    ]) {
      run(command)
    }
    assert.ok(listAddresses(socket).some((a) => a.address.address === 'fd00::1' && a.flags.includes('nodad')))
    const routes = listRoutes(socket, { family: 4 })
    const shown = JSON.parse(run('ip -4 -j route show table all')) as { dst: string }[]
    assert.equal(routes.length, shown.length)
    assert.equal(routes.find((r) => r.nexthops)?.nexthops?.[1]?.weight, 3)
    assert.equal(routes.find((r) => r.type === 'blackhole')?.table, 77)
    assert.equal(listRules(socket, { family: 4 }).length, (JSON.parse(run('ip -j rule show')) as unknown[]).length)
    assert.ok(listNeighbours(socket).some((n) => n.ip === '10.0.0.17' && n.state === 'permanent'))
    assert.deepEqual(
      listNeighbours(socket, { proxy: true }).map((n) => n.ip),
      ['10.0.0.18'],
    )
    assert.equal(getRoute(socket, { to: '1.1.1.1' }).via, '10.0.0.9')
  })
})

test('qdiscs: tc shows the rates that were asked for', { skip: needs('root', 'ip', 'tc') }, () => {
  inFreshNetns((socket) => {
    socket.execute(addLink({ name: 'v0', link: { kind: 'veth', peer: { name: 'v1' } }, up: true }))
    const index = getLink(socket, { name: 'v0' })?.index ?? 0
    const peer = getLink(socket, { name: 'v1' })?.index ?? 0
    socket.execute(addQdisc({ index, qdisc: { kind: 'tbf', rate: 1_250_000, burst: 32_768, limit: 65_536 } }))
    assert.match(run('tc qdisc show dev v0'), /tbf .* rate 10Mbit burst 32Kb/)
    assert.deepEqual(listQdiscs(socket).find((q) => q.kind === 'tbf')?.options, {
      tbf: { rate: 1_250_000, limit: 65_536 },
    })
    socket.execute(addQdisc({ index: peer, qdisc: { kind: 'htb', defaultClass: 1 }, handle: 0x10000 }))
    socket.execute(addHtbClass({ index: peer, parent: 0x10000, handle: 0x10001, rate: 125_000, burst: 15_000 }))
    assert.match(run('tc class show dev v1'), /htb 1:1 .*rate 1Mbit ceil 1Mbit/)
    socket.execute(deleteQdisc({ index, qdisc: { kind: 'tbf', rate: 1, burst: 1, limit: 1 }, parent: ROOT }))
    assert.ok(!run('tc qdisc show dev v0').includes('tbf'))
  })
})

test("a refused request carries the kernel's own words and the attribute at fault", { skip: needs('root') }, () => {
  inFreshNetns((socket) => {
    const errors = socket.batch([
      addRoute({ to: p('10.1.0.0/16'), type: 'unicast', via: '10.0.0.9', table: 254 }),
      setLink({ index: 1 }, { up: true }),
      addLink({ name: 'v0', link: { kind: 'veth', peer: { name: 'v0' } } }),
    ])
    assert.deepEqual(
      errors.map((e) => e?.code),
      ['ENETUNREACH', undefined, 'EEXIST'],
    )
    assert.equal(errors[0]?.kernelMessage, 'Nexthop has invalid gateway')
  })
})
