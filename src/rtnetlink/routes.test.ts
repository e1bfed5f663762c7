/** Routes: what we send is what iproute2 sends, byte for byte; what it adds, we list. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../test/support/need.ts'
import { addRoute, deleteRoute, listRoutes, type NewRoute, routeTypes } from './index.ts'
import { assertSameBytes, commonLinks, type Golden, goldenNeeds, inFreshNetns, p, run } from './testing.ts'

const add = (to: string, route: Partial<NewRoute> = {}, replace = false) =>
  addRoute({ to: p(to), type: 'unicast', table: 254, ...route }, { replace })
const via = '10.0.0.9'
const via6 = 'fd00::9'

const ipv4: readonly Golden[] = [
  [`ip route add 10.1.0.0/16 via ${via}`, () => add('10.1.0.0/16', { via })],
  [`ip route add default via ${via}`, () => add('0.0.0.0/0', { via })],
  [`ip route add 10.1.2.3 via ${via}`, () => add('10.1.2.3/32', { via })],
  ['ip route add 10.2.0.0/16 dev v0', () => add('10.2.0.0/16', { index: 4 })],
  [`ip route add 10.3.0.0/16 via ${via} dev v0 proto 104`, () => add('10.3.0.0/16', { via, index: 4, protocol: 104 })],
  [`ip route add 10.3.1.0/24 via ${via} proto static`, () => add('10.3.1.0/24', { via, protocol: 4 })],
  [`ip route add 10.7.0.0/16 via ${via} metric 50`, () => add('10.7.0.0/16', { via, metric: 50 })],
  [`ip route add 10.8.0.0/16 via ${via} table 1000`, () => add('10.8.0.0/16', { via, table: 1000 })],
  [`ip route add 10.9.0.0/16 via ${via} table 100`, () => add('10.9.0.0/16', { via, table: 100 })],
  [
    'ip route add 10.11.0.0/16 via 192.0.2.1 dev v0 onlink',
    () => add('10.11.0.0/16', { via: '192.0.2.1', index: 4, onlink: true }),
  ],
  [`ip route add 10.12.0.0/16 via ${via} src 10.0.0.1`, () => add('10.12.0.0/16', { via, src: '10.0.0.1' })],
  [
    `ip route add 10.12.1.0/24 via ${via} src 10.0.0.1 table 1000 metric 5 dev v0 mtu 1400`,
    () => add('10.12.1.0/24', { via, src: '10.0.0.1', table: 1000, metric: 5, index: 4, metrics: { mtu: 1400 } }),
  ],
  [`ip route replace 10.1.0.0/16 via 10.0.0.8`, () => add('10.1.0.0/16', { via: '10.0.0.8' }, true)],
  ['ip route del unicast 10.1.0.0/16', () => deleteRoute({ to: p('10.1.0.0/16'), type: 'unicast', table: 254 })],
  [
    'ip route del unicast 10.8.0.0/16 table 1000',
    () => deleteRoute({ to: p('10.8.0.0/16'), type: 'unicast', table: 1000 }),
  ],
]

const types: readonly Golden[] = [
  ['ip route add blackhole 10.4.0.0/16', () => add('10.4.0.0/16', { type: 'blackhole' })],
  ['ip route add unreachable 10.5.0.0/16', () => add('10.5.0.0/16', { type: 'unreachable' })],
  ['ip route add prohibit 10.6.0.0/16', () => add('10.6.0.0/16', { type: 'prohibit' })],
  ['ip route add throw 10.6.1.0/24 table 100', () => add('10.6.1.0/24', { type: 'throw', table: 100 })],
  ['ip route add local 10.6.2.0/24 dev lo', () => add('10.6.2.0/24', { type: 'local', index: 1, table: 255 })],
  ['ip route add broadcast 10.6.3.255 dev v0', () => add('10.6.3.255/32', { type: 'broadcast', index: 4, table: 255 })],
  ['ip route add multicast 239.0.0.0/8 dev v0', () => add('239.0.0.0/8', { type: 'multicast', index: 4 })],
  ['ip route del blackhole 10.4.0.0/16', () => deleteRoute({ to: p('10.4.0.0/16'), type: 'blackhole', table: 254 })],
  ['ip -6 route add blackhole fd03::/64', () => add('fd03::/64', { type: 'blackhole' })],
  ['ip -6 route add unreachable fd04::/64', () => add('fd04::/64', { type: 'unreachable' })],
  ['ip -6 route add prohibit fd05::/64', () => add('fd05::/64', { type: 'prohibit' })],
  ['ip -6 route add local fd06::1 dev lo', () => add('fd06::1/128', { type: 'local', index: 1, table: 255 })],
]

const scopes: readonly Golden[] = [
  ['ip route add 10.20.0.0/16 dev v0 scope global', () => add('10.20.0.0/16', { index: 4, scope: 'global' })],
  ['ip route add 10.21.0.0/16 dev v0 scope site', () => add('10.21.0.0/16', { index: 4, scope: 'site' })],
  ['ip route add 10.22.0.0/16 dev v0 scope link', () => add('10.22.0.0/16', { index: 4, scope: 'link' })],
  [
    'ip route add local 10.23.0.1 dev v0 scope host table 100',
    () => add('10.23.0.1/32', { type: 'local', index: 4, scope: 'host', table: 100 }),
  ],
  [
    'ip route del unicast 10.22.0.0/16 scope link',
    () => deleteRoute({ to: p('10.22.0.0/16'), type: 'unicast', scope: 'link', table: 254 }),
  ],
]

/** The attributes of metrics go out in the order of the keys, as iproute2's go in the order of its words. */
const metrics: readonly Golden[] = [
  [`ip route add 10.10.0.0/16 via ${via} mtu 1300`, () => add('10.10.0.0/16', { via, metrics: { mtu: 1300 } })],
  [
    `ip route add 10.10.1.0/24 via ${via} mtu 1300 advmss 1200 hoplimit 9 initcwnd 20 initrwnd 30 window 60000 reordering 5 quickack 1`,
    () =>
      add('10.10.1.0/24', {
        via,
        metrics: {
          mtu: 1300,
          advmss: 1200,
          hoplimit: 9,
          initcwnd: 20,
          initrwnd: 30,
          window: 60_000,
          reordering: 5,
          quickack: 1,
        },
      }),
  ],
  [
    `ip route add 10.10.2.0/24 via ${via} mtu lock 1300 features ecn`,
    () => add('10.10.2.0/24', { via, metrics: { mtu: 1300, features: 1, lock: 1 << 2 } }),
  ],
  [
    `ip -6 route add fd10::/64 via ${via6} mtu 1300 advmss 1200 hoplimit 7`,
    () => add('fd10::/64', { via: via6, metrics: { mtu: 1300, advmss: 1200, hoplimit: 7 } }),
  ],
]

const multipath: readonly Golden[] = [
  [
    `ip route add 10.13.0.0/16 nexthop via ${via} dev v0 weight 1 nexthop via 10.0.0.8 dev v0 weight 3`,
    () =>
      add('10.13.0.0/16', {
        nexthops: [
          { via, index: 4, weight: 1 },
          { via: '10.0.0.8', index: 4, weight: 3 },
        ],
      }),
  ],
  [
    `ip route add 10.14.0.0/16 nexthop via 192.0.2.1 dev v0 weight 256 onlink nexthop dev v0 weight 2`,
    () =>
      add('10.14.0.0/16', {
        nexthops: [
          { via: '192.0.2.1', index: 4, weight: 256, onlink: true },
          { index: 4, weight: 2 },
        ],
      }),
  ],
  [
    `ip -6 route add fd13::/64 nexthop via ${via6} dev v0 weight 1 nexthop via fd00::8 dev v0 weight 5`,
    () =>
      add('fd13::/64', {
        nexthops: [
          { via: via6, index: 4, weight: 1 },
          { via: 'fd00::8', index: 4, weight: 5 },
        ],
      }),
  ],
]

const ipv6: readonly Golden[] = [
  [`ip -6 route add fd01::/64 via ${via6}`, () => add('fd01::/64', { via: via6 })],
  [`ip route add default via ${via6}`, () => add('::/0', { via: via6 })],
  ['ip -6 route add fd02::/64 dev v0', () => add('fd02::/64', { index: 4 })],
  [
    `ip -6 route add fd07::/64 via ${via6} dev v0 proto 104 metric 50`,
    () => add('fd07::/64', { via: via6, index: 4, protocol: 104, metric: 50 }),
  ],
  [`ip -6 route add fd08::/64 via ${via6} table 1000`, () => add('fd08::/64', { via: via6, table: 1000 })],
  [`ip -6 route add fd09::/64 via ${via6} src fd00::1`, () => add('fd09::/64', { via: via6, src: 'fd00::1' })],
  [
    'ip -6 route add fd0a::/64 via 2001:db8::1 dev v0 onlink',
    () => add('fd0a::/64', { via: '2001:db8::1', index: 4, onlink: true }),
  ],
  ['ip -6 route add fd0b::/64 via fe80::9 dev v0', () => add('fd0b::/64', { via: 'fe80::9', index: 4 })],
  [`ip -6 route replace fd01::/64 via fd00::8`, () => add('fd01::/64', { via: 'fd00::8' }, true)],
  ['ip -6 route del unicast fd01::/64', () => deleteRoute({ to: p('fd01::/64'), type: 'unicast', table: 254 })],
]

for (const [name, commands] of Object.entries({ ipv4, ipv6, types, scopes, metrics, multipath })) {
  test(`routes, ${name}: our bytes are those of iproute2 for the same request`, { skip: goldenNeeds }, () => {
    assertSameBytes(commonLinks, commands)
  })
}

test('routes of every sort are listed as ip shows them', { skip: needs('root', 'ip') }, () => {
  inFreshNetns((socket) => {
    for (const command of commonLinks) run(command)
    for (const group of [ipv4, ipv6, types, scopes, metrics, multipath]) {
      for (const [, build] of group) socket.execute(build())
    }
    interface Shown {
      readonly type?: string
      readonly dst: string
      readonly gateway?: string
      readonly dev?: string
      readonly table?: string
      readonly metric?: number
      readonly prefsrc?: string
      readonly nexthops?: readonly { readonly weight: number; readonly gateway?: string }[]
      readonly metrics?: readonly Record<string, unknown>[]
    }
    const names = new Map([1, 2, 3, 4].map((index, i) => [index, ['lo', 'b0', 'v1', 'v0'][i]]))
    for (const family of [4, 6] as const) {
      const shown = JSON.parse(run(`ip -${family} -N -d -j route show table all`)) as Shown[]
      const ours = listRoutes(socket, { family }).map((route) => {
        const any = family === 4 ? '0.0.0.0' : '::'
        const host = route.to.length === (family === 4 ? 32 : 128)
        const dst = route.to.address === any && route.to.length === 0 ? 'default' : route.to.address
        return {
          type: String(routeTypes[route.type]),
          dst: dst === 'default' || host ? dst : `${dst}/${route.to.length}`,
          gateway: route.via,
          dev: route.index === undefined ? undefined : names.get(route.index),
          table: String(route.table),
          metric: route.metric,
          prefsrc: route.src,
          hops: route.nexthops?.map((hop) => [hop.via, hop.weight]),
          mtu: route.metrics?.mtu,
        }
      })
      const theirs = shown.map((route) => ({
        type: route.type,
        dst: route.dst,
        gateway: route.gateway,
        dev: route.dev,
        table: route.table ?? '254',
        metric: route.metric,
        prefsrc: route.prefsrc,
        hops: route.nexthops?.map((hop) => [hop.gateway, hop.weight]),
        mtu: route.metrics?.[0]?.mtu,
      }))
      assert.ok(ours.length > 15)
      assert.deepEqual(ours, theirs)
    }
  })
})
