/** Every kind of link, made by us and by iproute2 with the same options; and our list beside what ip(8) shows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../test/support/need.ts'
import type { Socket } from '../netlink/index.ts'
import {
  addLink,
  addTap,
  deleteLink,
  getLink,
  type Link,
  type LinkSpec,
  listLinks,
  setBridgePort,
  setLink,
} from './index.ts'
import { inWordsOfIp } from './test-ip-words.ts'
import { inFreshNetns, run } from './testing.ts'

type Json = Readonly<Record<string, unknown>>

const show = (): Json[] => JSON.parse(run('ip -d -j link show')) as Json[]
/** Without the timer that runs from the moment a bridge gets an ageing time. */
const showStill = (): string => JSON.stringify(show(), (key, value) => (key === 'gc_timer' ? undefined : value), 1)
const mac = (number: number): string => `02:00:00:00:00:${String(number).padStart(2, '0')}`
const index = (socket: Socket, name: string): number => getLink(socket, { name })?.index ?? 0

const byIp: readonly string[] = [
  `ip link add name b0 address ${mac(1)} mtu 1400 type bridge forward_delay 200 hello_time 100 max_age 1000 ageing_time 10000 priority 4096 group_fwd_mask 8 mcast_snooping 0 mcast_router 2 mcast_querier 1 mcast_query_use_ifaddr 1 mcast_hash_max 512 mcast_last_member_count 3 mcast_startup_query_count 4 mcast_last_member_interval 200 mcast_membership_interval 20000 mcast_querier_interval 20001 mcast_query_interval 10000 mcast_query_response_interval 900 mcast_startup_query_interval 3000 mcast_stats_enabled 1 mcast_igmp_version 3 mcast_mld_version 2 nf_call_iptables 1 no_linklocal_learn 1`,
  `ip link add name v0 address ${mac(2)} mtu 1400 group 7 type veth peer name v1 address ${mac(3)} mtu 1300`,
  'ip link set dev v0 master b0',
  'ip link set dev v0 type bridge_slave hairpin on isolated on learning off flood off cost 20 priority 9 mcast_flood off bcast_flood off guard on root_block on fastleave on neigh_suppress on proxy_arp on mcast_router 2 mcast_to_unicast on locked on group_fwd_mask 8',
  'ip link set dev v1 txqueuelen 500 alias hello addrgenmode none',
  `ip link add name x0 address ${mac(4)} type vxlan id 42 remote 192.0.2.7 local 192.0.2.1 dev v1 dstport 4789 srcport 1000 2000 ttl 9 tos 4 ageing 100 maxaddress 50 nolearning l2miss l3miss rsc proxy df set udp6zerocsumrx gbp`,
  `ip link add name x1 address ${mac(5)} type vxlan id 43 group ff05::100 dev v1 dstport 4790 flowlabel 0x1234`,
  `ip link add link v1 name m0 address ${mac(6)} type macvlan mode private bcqueuelen 500`,
  `ip link add link v1 name m1 address ${mac(7)} type macvlan mode vepa`,
  `ip link add name i0 address ${mac(8)} type ifb`,
]

function byUs(socket: Socket): void {
  const make = (name: string, number: number, link: LinkSpec, more: { mtu?: number; group?: number } = {}): void =>
    socket.execute(addLink({ name, mac: mac(number), link, ...more }))
  make(
    'b0',
    1,
    {
      kind: 'bridge',
      options: {
        forwardDelay: 200,
        helloTime: 100,
        maxAge: 1000,
        ageingTime: 10_000,
        priority: 4096,
        groupFwdMask: 8,
        multicastSnooping: 0,
        multicastRouter: 2,
        multicastQuerier: 1,
        multicastQueryUseIfaddr: 1,
        multicastHashMax: 512,
        multicastLastMemberCount: 3,
        multicastStartupQueryCount: 4,
        multicastLastMemberInterval: 200n,
        multicastMembershipInterval: 20_000n,
        multicastQuerierInterval: 20_001n,
        multicastQueryInterval: 10_000n,
        multicastQueryResponseInterval: 900n,
        multicastStartupQueryInterval: 3000n,
        multicastStatsEnabled: 1,
        multicastIgmpVersion: 3,
        multicastMldVersion: 2,
        nfCallIptables: 1,
        options: { noLinkLocalLearn: true },
      },
    },
    { mtu: 1400 },
  )
  make('v0', 2, { kind: 'veth', peer: { name: 'v1', mac: mac(3), mtu: 1300 } }, { mtu: 1400, group: 7 })
  const [v0, v1] = [index(socket, 'v0'), index(socket, 'v1')]
  socket.execute(setLink({ index: v0 }, { master: index(socket, 'b0') }))
  socket.execute(
    setBridgePort(v0, {
      hairpin: 1,
      isolated: 1,
      learning: 0,
      flood: 0,
      cost: 20,
      priority: 9,
      multicastFlood: 0,
      broadcastFlood: 0,
      guard: 1,
      rootBlock: 1,
      fastLeave: 1,
      neighbourSuppress: 1,
      proxyArp: 1,
      multicastRouter: 2,
      multicastToUnicast: 1,
      locked: 1,
      groupFwdMask: 8,
    }),
  )
  socket.execute(setLink({ index: v1 }, { txqlen: 500, alias: 'hello', addrGenMode: 'none' }))
  make('x0', 4, {
    kind: 'vxlan',
    id: 42,
    remote: '192.0.2.7',
    local: '192.0.2.1',
    dev: v1,
    port: 4789,
    options: {
      portRange: { low: 1000, high: 2000 },
      ttl: 9,
      tos: 4,
      ageing: 100,
      limit: 50,
      learning: 0,
      l2miss: 1,
      l3miss: 1,
      rsc: 1,
      proxy: 1,
      df: 'set',
      udpZeroChecksum6Rx: 1,
      gbp: true,
    },
  })
  make('x1', 5, { kind: 'vxlan', id: 43, remote: 'ff05::100', dev: v1, port: 4790, options: { label: 0x1234 } })
  make('m0', 6, { kind: 'macvlan', parent: v1, mode: 'private', options: { broadcastQueueLength: 500 } })
  make('m1', 7, { kind: 'macvlan', parent: v1, mode: 'vepa' })
  make('i0', 8, { kind: 'ifb' })
}

/** Where ours differs from a key that ip shows, by path; keys that only we have are no difference. */
function differences(shown: Json, ours: Json, path = ''): string[] {
  return Object.entries(shown).flatMap(([key, value]) => {
    const mine = ours[key]
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return differences(value as Json, (mine ?? {}) as Json, `${path}${key}.`)
    }
    // said of the link and its peer together, and no flags of the kernel's
    const told = key === 'flags' ? (value as string[]).filter((f) => f !== 'NO-CARRIER' && f !== 'M-DOWN') : value
    // timers run on between the two readings
    if (key.endsWith('_timer') && Math.abs(Number(value) - Number(mine)) < 1) return []
    return JSON.stringify(told) === JSON.stringify(mine)
      ? []
      : [`${path}${key}: ip shows ${JSON.stringify(told)}, we list ${JSON.stringify(mine)}`]
  })
}

/** Compares every link with what ip shows, a second time when a timer came round or a state changed in between. */
function assertListsAsShown(socket: Socket): void {
  let found: string[] = []
  for (let i = 0; i < 3; i++) {
    const links = listLinks(socket)
    found = show().flatMap((shown, place) => {
      const link = links[place]
      return link
        ? differences(shown, inWordsOfIp(link, links)).map((line) => `${link.name} ${line}`)
        : [`${shown.ifname} is not in our list`]
    })
    if (found.length === 0) return
  }
  assert.deepEqual(found, [])
}

const everyKind = needs('root', 'ip', 'module:bridge', 'module:veth', 'module:vxlan', 'module:macvlan', 'module:ifb')

test('a link of every kind made by us is the one that iproute2 makes', { skip: everyKind }, () => {
  const theirs = inFreshNetns(() => {
    byIp.forEach(run)
    return showStill()
  })
  const ours = inFreshNetns((socket) => {
    byUs(socket)
    return showStill()
  })
  assert.equal((JSON.parse(theirs) as Json[]).length, 9)
  assert.equal(ours, theirs)
})

test('a list of ours has every attribute that ip shows, with its value', { skip: everyKind }, () => {
  inFreshNetns((socket) => {
    byIp.forEach(run)
    assertListsAsShown(socket)
    for (const name of ['lo', 'b0', 'v0', 'v1', 'x0', 'm0']) run(`ip link set ${name} up`)
    assertListsAsShown(socket)
  })
})

/** A port takes part once the kernel has worked off its carrier, in the background (linkwatch). */
function joined(socket: Socket, name: string): Link | undefined {
  for (const end = performance.now() + 3000; ; Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)) {
    const link = listLinks(socket).find((l) => l.name === name)
    const slave = link?.slave && 'data' in link.slave ? link.slave.data : undefined
    if (performance.now() > end || (slave && 'state' in slave && slave.state !== 'disabled')) return link
  }
}

test('the timers and states of spanning tree are read as ip shows them', { skip: needs('root', 'ip') }, () => {
  inFreshNetns((socket) => {
    run('ip link add b0 type bridge stp_state 1')
    run('ip link add v0 type veth peer name v1')
    run('ip link set v0 master b0')
    for (const name of ['b0', 'v0', 'v1']) run(`ip link set ${name} up`)
    const v0 = joined(socket, 'v0')
    assert.ok(v0?.slave && 'data' in v0.slave)
    assert.equal(v0.slave.data?.state, 'listening')
    assert.ok((v0.slave.data.forwardDelayTimer ?? 0n) > 0n)
    assertListsAsShown(socket)
  })
})

const taps = [
  ['t0', {}, ''],
  ['t1', { multiQueue: true }, ' multi_queue'],
  ['t2', { vnetHdr: true, owner: 65_534, group: 65_534 }, ' vnet_hdr user 65534 group 65534'],
] as const

test('a tap of ours is the one that ip tuntap makes, and is listed, changed and deleted as any link', {
  skip: needs('root', 'ip', 'module:tun'),
}, () => {
  const theirs = inFreshNetns(() => {
    for (const [name, , words] of taps) run(`ip tuntap add dev ${name} mode tap${words}`)
    for (const [i, [name]] of taps.entries()) run(`ip link set dev ${name} address ${mac(i)}`)
    return show()
  })
  inFreshNetns((socket) => {
    for (const [name, options] of taps) addTap({ name, ...options })
    for (const [i, [name]] of taps.entries()) socket.execute(setLink({ name }, { mac: mac(i) }))
    assert.deepEqual(show(), theirs)
    assertListsAsShown(socket)
    assert.throws(() => addTap({ name: 't0' }), { call: 'ioctl', code: 'EBUSY' })
    assert.throws(() => addTap({ name: 'a-name-that-is-too-long' }), RangeError)
    for (const [name] of taps) socket.execute(deleteLink({ name }))
    assert.deepEqual(
      listLinks(socket).map((link) => link.name),
      ['lo'],
    )
  })
})
