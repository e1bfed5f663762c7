/** The engine on the real kernel: what up makes, that it is made once, that nothing of it remains. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { needs } from '../../test/support/need.ts'
import { runSync } from '../../test/support/run.ts'
import { NETLINK_ROUTE, openSocket } from '../netlink/index.ts'
import { shellScript } from '../plan/shell.ts'
import { addLink, getLink, listLinks, listRoutes, setLink } from '../rtnetlink/index.ts'
import * as sys from '../sys/index.ts'
import { type Model, parseTopology } from '../topology/index.ts'
import { verify } from '../verify/topology.ts'
import { down, EngineError, planUp, up } from './index.ts'
import { listTopologies, showTopology } from './topologies.ts'

const isRoot = process.getuid?.() === 0

// this file is a process of its own: its host is a fresh namespace, its /run is empty
const home = isRoot ? sys.open('/proc/thread-self/ns/net', sys.O_RDONLY) : -1
const homeMounts = isRoot ? sys.open('/proc/thread-self/ns/mnt', sys.O_RDONLY) : -1
if (isRoot) {
  sys.unshare(sys.CLONE_NEWNET | sys.CLONE_NEWNS)
  sys.mount('', '/', 'none', sys.MS_REC | sys.MS_SLAVE)
  sys.mount('hardway-test', '/run', 'tmpfs', 0)
}
after(() => {
  if (!isRoot) return
  sys.setns(home, sys.CLONE_NEWNET)
  sys.close(home)
  sys.close(homeMounts)
})

function model(text: string, isolated?: boolean): Model {
  const parsed = parseTopology(text, { file: 'test.yaml', ...(isolated === undefined ? {} : { isolated }) })
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems))
  return parsed.model
}

const lab = (name: string): string =>
  readFileSync(
    new URL(`../../${import.meta.url.includes('/dist/js/') ? '../../' : ''}labs/${name}.yaml`, import.meta.url),
    'utf8',
  )

/** Everything of the host's namespace that a topology could leave behind. */
function hostState(): unknown {
  using socket = openSocket(NETLINK_ROUTE)
  return {
    links: listLinks(socket).map((l) => [l.name, l.alias, l.isUp]),
    routes: listRoutes(socket).filter((r) => r.protocol === 104),
    forward: readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8'),
    up: listTopologies(),
  }
}

for (const name of ['01-veth', '02-routed', '03-bridge', '04-publish']) {
  for (const isolated of [true, false]) {
    const where = isolated ? 'isolated' : 'on the host itself'
    test(`lab ${name} ${where}: up, every expectation holds, up again does nothing, down leaves nothing`, {
      skip: needs('root'),
    }, async () => {
      const before = hostState()
      const wanted = model(lab(name), isolated)
      up(wanted)
      try {
        const checks = await verify(wanted, { patience: 5000 })
        assert.deepEqual(
          checks.filter((c) => !c.holds).map((c) => [c.expectation.text, c.detail]),
          [],
        )
        assert.deepEqual(up(wanted).operations, [])
      } finally {
        down(wanted.name)
      }
      assert.deepEqual(hostState(), before)
    })
  }
}

test('a port published on every address: up again does nothing, also with the sysctl that it needs', {
  skip: needs('root'),
}, () => {
  const text = `
name: everywhere
bridges: { br0: { addresses: 10.0.0.1/24 } }
host: { interfaces: { v1: { bridge: br0 } } }
namespaces: { one: { interfaces: { e: { addresses: 10.0.0.11/24 } }, routes: [ { to: default, via: 10.0.0.1 } ] } }
links: [ [host:v1, one:e] ]
publish: [ { listen: ':53/udp', to: one:5353 } ]
`
  for (const isolated of [true, false]) {
    const before = hostState()
    const wanted = model(text, isolated)
    assert.ok(up(wanted).operations.some((op) => op.kind === 'sysctl.set' && op.key.endsWith('route_localnet')))
    try {
      assert.deepEqual(up(wanted).operations, [])
    } finally {
      down(wanted.name)
    }
    assert.deepEqual(hostState(), before)
  }
})

test('a published port is reached from outside, from the host, and from its own service behind a bridge', {
  skip: needs('root', 'ip', 'nft', 'python3'),
}, async () => {
  const wanted = model(`
name: hairpin
isolated: true
host: { interfaces: { out: { addresses: 192.168.56.12/24 } } }
networks: { lan: { subnet: [10.0.0.0/24, 'fd00::/64'] } }
namespaces:
  web: { networks: [lan], run: [ python3 -m http.server 8080 --bind '::' ] }
  other: { networks: [lan] }
  outside: { interfaces: { e: { addresses: 192.168.56.1/24 } } }
links: [ [host:out, outside:e] ]
publish: [ { listen: '192.168.56.12:80', to: web:8080 } ]
expect:
  - http outside -> 192.168.56.12:80
  - http host -> 192.168.56.12:80
  - http other -> 192.168.56.12:80
  - http web -> 192.168.56.12:80
`)
  const { operations } = up(wanted)
  try {
    const failed = (await verify(wanted, { patience: 5000 })).filter((c) => !c.holds)
    assert.deepEqual(
      failed.map((c) => [c.expectation.text, c.detail]),
      [],
    )
    // it shows in packets only where br_netfilter is loaded
    const ports = operations.filter((op) => op.kind === 'link.set' && op.changes.hairpin)
    assert.deepEqual(
      ports.map((op) => op.kind === 'link.set' && op.name),
      ['web-eth0'],
    )
    assert.deepEqual(up(wanted).operations, [])
    const off = runSync('ip', [
      '-n',
      'hairpin-host',
      'link',
      'set',
      'web-eth0',
      'type',
      'bridge_slave',
      'hairpin',
      'off',
    ])
    assert.equal(off.status, 0, off.stderr)
    const script = shellScript(planUp(wanted))
    assert.equal(runSync('sh', ['-s'], { input: script }).status, 0, script)
    assert.deepEqual(up(wanted).operations, [])
    const ends = { ...wanted, publish: [] }
    assert.ok(up(ends).operations.some((op) => op.kind === 'link.set' && op.changes.hairpin === false))
    assert.deepEqual(up(ends).operations, [])
  } finally {
    down(wanted.name)
  }
})

test('a changed file changes only what differs', { skip: needs('root') }, () => {
  const text = lab('03-bridge')
  up(model(text, false))
  try {
    const changed = text
      .replace('10.0.0.102/24', '10.0.0.103/24')
      .replace('masquerade:', 'publish:\n  - { listen: 203.0.113.2:80, to: netns1:8080 }\nmasquerade:')
    const kinds = up(model(changed, false)).operations.map((op) => op.kind)
    assert.deepEqual(kinds, ['route.delete', 'address.delete', 'link.set', 'address.add', 'route.add', 'ruleset.set'])
    assert.deepEqual(up(model(changed, false)).operations, [])
  } finally {
    down('bridge')
  }
})

test('what somebody takes away is put back by up', { skip: needs('root') }, () => {
  const wanted = model(lab('03-bridge'), false)
  up(wanted)
  try {
    using socket = openSocket(NETLINK_ROUTE)
    socket.execute(setLink({ name: 'br0' }, { up: false }))
    const kinds = up(wanted).operations.map((op) => op.kind)
    assert.ok(kinds.includes('link.set'), kinds.join())
    assert.deepEqual(up(wanted).operations, [])
  } finally {
    down('bridge')
  }
})

test('names that exist already and are not ours are refused before anything is touched', {
  skip: needs('root'),
}, () => {
  using socket = openSocket(NETLINK_ROUTE)
  socket.execute(addLink({ name: 'veth0', link: { kind: 'bridge' } }))
  const before = hostState()
  assert.throws(
    () => up(model(lab('03-bridge'), false)),
    (error) => error instanceof EngineError && /veth0 exists already/.test(error.message),
  )
  assert.deepEqual(hostState(), before)
  assert.ok(getLink(socket, { name: 'veth0' }))
  socket.batch([setLink({ name: 'veth0' }, { name: 'other' })])
  runSync('ip', ['link', 'del', 'veth0'])
})

test('a failure half way undoes what was done, and says which operation and why', { skip: needs('root') }, () => {
  const before = hostState()
  const text = `${lab('03-bridge')}`
    .replace('sysctls', 'sysctls')
    .replace('host:\n', 'host:\n  sysctls: { net.ipv4.conf.all.no_such_key: 1 }\n')
  assert.throws(
    () => up(model(text, false)),
    (error) =>
      error instanceof EngineError &&
      /sysctl\.set failed/.test(error.message) &&
      error.details.join().includes('undone'),
  )
  assert.deepEqual(hostState(), before)
})

test('what was changed on the host is put back: forwarding, addresses on its own devices', {
  skip: needs('root'),
}, () => {
  using socket = openSocket(NETLINK_ROUTE)
  socket.execute(addLink({ name: 'wan0', link: { kind: 'bridge' } }))
  const before = hostState()
  const wanted = model(
    'name: mine\nhost:\n  interfaces: { wan0: { addresses: 192.0.2.9/24 } }\n  sysctls: { net.ipv4.ip_forward: 1 }\n  rules: [ { to: 10.0.0.5/32, priority: 512 } ]\n',
  )
  up(wanted)
  assert.deepEqual(up(wanted).operations, [])
  const host = showTopology('mine')[0]
  assert.ok(host?.notes.includes('sysctl net.ipv4.ip_forward=0'), host?.notes.join())
  down('mine')
  assert.deepEqual(hostState(), before)
  runSync('ip', ['link', 'del', 'wan0'])
})

test('The shell form, run by plain sh, gives the same kernel state as apply', {
  skip: needs('root', 'ip', 'nft'),
}, () => {
  for (const name of ['02-routed', '03-bridge']) {
    const wanted = model(lab(name), false)
    const script = shellScript(planUp(wanted))
    up(wanted)
    const ours = withoutAccidents(showTopology(wanted.name))
    down(wanted.name)
    const result = runSync('sh', ['-s'], { input: script })
    assert.equal(result.status, 0, result.stderr)
    const theirs = withoutAccidents(showTopology(wanted.name))
    assert.deepEqual(up(wanted).operations, [], 'up finds nothing to do after the script')
    down(wanted.name)
    assert.deepEqual(theirs, ours)
  }
})

/** Handles and the MAC addresses that the kernel draws differ from time to time. */
function withoutAccidents(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, v) =>
      key === 'handle' || key === 'mac' ? undefined : v instanceof Map ? [...v].sort() : v,
    ),
  )
}
