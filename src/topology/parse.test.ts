/** The file: what it means, and how mistakes in it are told. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { formatPrefix } from '../ip/index.ts'
import { defineTopology, type Model, parseTopology, TopologyError } from './index.ts'

function parse(text: string): Model {
  const parsed = parseTopology(text, { file: 'labs/07-test.yaml' })
  if ('problems' in parsed) throw new Error(parsed.problems.map((p) => `${p.line}:${p.column} ${p.message}`).join('\n'))
  return parsed.model
}

/** `line:column message`, in the file's order. */
function problemsOf(text: string): string[] {
  const parsed = parseTopology(text, { file: 'x.yaml' })
  return 'problems' in parsed ? parsed.problems.map((p) => `${p.line}:${p.column} ${p.message}; ${p.hint}`) : []
}

function lab(name: string): string {
  const up = import.meta.url.includes('/dist/js/') ? '../../../../' : '../../'
  return readFileSync(new URL(`${up}labs/${name}.yaml`, import.meta.url), 'utf8')
}

test('the labs mean what the tutorial types', () => {
  const bridge = parse(lab('03-bridge'))
  assert.deepEqual(
    bridge.namespaces.map((n) => [n.name, ...n.interfaces.map((i) => `${i.name} ${i.addresses.map(formatPrefix)}`)]),
    [
      ['host', 'br0 10.0.0.1/24', 'veth0 ', 'veth2 ', 'up0 203.0.113.2/24'],
      ['netns1', 'veth1 10.0.0.101/24'],
      ['netns2', 'veth3 10.0.0.102/24'],
      ['internet', 'eth0 203.0.113.1/24', 'lo 1.1.1.1/32'],
    ],
  )
  assert.equal(bridge.isolated, true)
  assert.equal(bridge.expect.length, 8)
  const publish = parse(lab('04-publish')).publish[0]
  assert.deepEqual(
    [publish?.address, publish?.port, publish?.to.address, publish?.to.port],
    ['192.168.56.12', 80, '10.0.0.101', 8080],
  )
})

test('forwarding is turned on by itself where the topology needs it', () => {
  const host = parse(lab('02-routed')).namespaces[0]
  assert.deepEqual(
    host?.sysctls.map((s) => [s.key, s.value, s.because !== undefined]),
    [['net.ipv4.ip_forward', '1', true]],
  )
  assert.deepEqual(parse(lab('01-veth')).namespaces[0]?.sysctls, [])
})

test('a member with an address of one family gets one of the other, too', () => {
  const model = parse(
    'networks: { lan: { subnet: [10.0.0.0/24, fd00::/64] } }\nnamespaces: { a: { networks: { lan: 10.0.0.9 } }, b: { networks: { lan: fd00::9 } } }\n',
  )
  assert.deepEqual(
    model.namespaces.slice(1).map((n) => n.interfaces[0]?.addresses.map(formatPrefix)),
    [
      ['10.0.0.9/24', 'fd00::2/64'],
      ['fd00::9/64', '10.0.0.2/24'],
    ],
  )
})

test('the short form: a bridge, its links, addresses and default routes in one', () => {
  const model = parse(
    'networks: { lan: { subnet: [10.0.0.0/24, fd00::/64], masquerade: true } }\nnamespaces: { web: { networks: [lan] }, db: { networks: { lan: 10.0.0.2 } } }\n',
  )
  const [host, web, db] = model.namespaces
  assert.deepEqual(
    host?.interfaces.map((i) => i.name),
    ['lan', 'web-eth0', 'db-eth0'],
  )
  assert.deepEqual(web?.interfaces[0]?.addresses.map(formatPrefix), ['10.0.0.3/24', 'fd00::2/64'])
  assert.deepEqual(db?.interfaces[0]?.addresses.map(formatPrefix), ['10.0.0.2/24', 'fd00::3/64'])
  assert.deepEqual(
    web?.routes.map((r) => r.via),
    ['10.0.0.1', 'fd00::1'],
  )
  assert.equal(model.masquerade.length, 2)
})

test('a subnet that is left out is chosen, clear of all others', () => {
  const model = parse('networks: { a: , b: , c: { subnet: 10.77.1.0/24 } }\nnamespaces: { x: { networks: [a, b] } }\n')
  assert.deepEqual(
    model.namespaces[1]?.interfaces.map((i) => i.addresses.map(formatPrefix)),
    [['10.77.0.2/24'], ['10.77.2.2/24']],
  )
})

test('every mistake in a file is reported with line, column and a proposal', () => {
  const text = `name: x
isolated: true
namespaces:
  netns1:
    interfaces:
      veth1: { adresses: 10.0.0.1/24 }
      waytoolonginterface: {}
    routes: [ { to: default, via: 192.168.1.1 } ]
  netns2:
    interfaces:
      veth3: { addresses: [10.0.0.300/24, 10.0.0.5/24, 10.0.0.5/24] }
links:
  - [netns1:veth1, netns2:veth3]
  - [netns1:veth1, netns3:veth4]
publish:
  - { listen: ':80', to: netns2:8080 }
  - { listen: ':80/tcp', to: netns2:8081 }
expect:
  - ping netns1 -> netns4
`
  const found = problemsOf(text)
  const has = (pattern: RegExp): void =>
    assert.ok(
      found.some((p) => pattern.test(p)),
      `${pattern} in\n${found.join('\n')}`,
    )
  has(/^6:16 unknown key "adresses".*addresses/)
  has(/^7:7 .*15/)
  has(/^8:\d+ gateway 192\.168\.1\.1/)
  has(/^11:\d+ "10\.0\.0\.300\/24" is not/)
  has(/^11:\d+ duplicate address 10\.0\.0\.5/)
  has(/^14:\d+ .*netns1:veth1 is used twice/)
  has(/^14:\d+ there is no namespace "netns3".*netns/)
  has(/^17:\d+ port 80\/tcp is published twice/)
  has(/^19:\d+ there is no namespace "netns4"/)
})

test('overlapping networks in one namespace are told', () => {
  const found = problemsOf(
    'isolated: true\nnamespaces: { a: { interfaces: { x: { addresses: 10.0.0.1/16 }, y: { addresses: 10.0.1.1/24 } } }, b: }\nlinks: [[a:x, b:x], [a:y, b:y]]\n',
  )
  assert.ok(
    found.some((p) => /overlapping/.test(p)),
    found.join('\n'),
  )
})

test('a topology in TypeScript is the same as in a file', () => {
  const model = defineTopology({
    name: 't',
    isolated: true,
    namespaces: { a: { networks: ['lan'] } },
    networks: { lan: { subnet: '10.1.0.0/24' } },
  })
  const file = parse(
    'name: t\nisolated: true\nnamespaces: { a: { networks: [lan] } }\nnetworks: { lan: { subnet: 10.1.0.0/24 } }\n',
  )
  assert.deepEqual(strip(model), strip(file))
  assert.throws(() => defineTopology({ links: [['a:x', 'b:y']] }), TopologyError)
})

function strip(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, v) => (key === 'at' ? undefined : v)))
}

test('random bytes and mutated labs: a model or a problem inside the text, never a throw', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9)
  let state = seed
  const random = (n: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return (state >>> 8) % n
  }
  const sources = ['01-veth', '02-routed', '03-bridge', '04-publish'].map(lab)
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    ': ',
    '- ',
    '\n',
    '\t',
    '&a ',
    '*a',
    '"',
    "'",
    '#',
    '10.0.0.1',
    '/24',
    '::',
    '\u0000',
    '💥',
    'null',
    '1e999',
    '!!js',
    '<<: ',
  ]
  for (let i = 0; i < 1000; i++) {
    let text = sources[random(sources.length)] ?? ''
    for (let n = random(5) + 1; n > 0; n--) {
      const at = random(text.length + 1)
      const piece = pieces[random(pieces.length)] ?? ''
      text = text.slice(0, at) + (random(2) ? piece : '') + text.slice(at + random(12))
    }
    if (i % 10 === 0) text = String.fromCharCode(...Array.from({ length: random(200) }, () => random(256)))
    const parsed = parseTopology(text, { file: 'x.yaml' })
    if ('model' in parsed) continue
    assert.ok(parsed.problems.length > 0, `seed ${seed}, case ${i}`)
    const lines = text.split(/\r\n|\n|\r/).length
    for (const p of parsed.problems)
      assert.ok(p.line >= 1 && p.line <= lines + 1 && p.column >= 1, `seed ${seed}, case ${i}: ${p.line}:${p.column}`)
  }
})

test('expectations: every kind of probe, with what may stand behind it', () => {
  const text = `isolated: true
namespaces: { x: { interfaces: { lo: { addresses: 10.9.0.1/32 } } } }
expect:
  - udp x -> 10.0.0.1:53 within 1.5s
  - dns x -> 10.0.0.1 web.lab is FD00::9 within 250us
  - dns x -> [fd00::1] web
  - dns x -> x:5353 web
  - mtu x -> 10.0.0.1 at least 1400
  - fails  http x -> 10.0.0.1:80/a because   FILTER_DROP
`
  const parsed = parseTopology(text, { file: 'x.yaml' })
  assert.ok('model' in parsed, JSON.stringify(parsed))
  const common = { to: '10.0.0.1', address: '10.0.0.1' }
  assert.deepEqual(
    parsed.model.expect.map(({ probe, fails, within, because }) => [probe, fails, within ?? because]),
    [
      [{ kind: 'udp', ...common, to: '10.0.0.1:53', port: 53 }, false, 1500],
      [{ kind: 'dns', ...common, port: 53, name: 'web.lab', is: 'fd00::9' }, false, 0.25],
      [{ kind: 'dns', to: '[fd00::1]', address: 'fd00::1', port: 53, name: 'web' }, false, undefined],
      [{ kind: 'dns', to: 'x:5353', address: '127.0.0.1', port: 5353, name: 'web' }, false, undefined],
      [{ kind: 'mtu', ...common, atLeast: 1400 }, false, undefined],
      [{ kind: 'http', ...common, to: '10.0.0.1:80/a', port: 80, path: '/a' }, true, 'FILTER_DROP'],
    ],
  )
})
