/** What we make, iproute2 shows; what it makes, we list; refusals. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../test/support/need.ts'
import {
  addLink,
  addRoute,
  deleteLink,
  getLink,
  getRoute,
  linkData,
  listAddresses,
  listLinks,
  listNeighbours,
  listRoutes,
  listRules,
  setLink,
} from './index.ts'
import { inFreshNetns, p, run } from './testing.ts'

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
