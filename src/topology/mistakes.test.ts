/** Each kind of mistake, alone in its file: where it is shown, what it says, what it proposes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineTopology, formatProblems, parseTopology, TopologyError } from './index.ts'

/** Two namespaces on wires to the host; `more` goes to the end, from line 11 on. */
const lab = (more: string): string => `isolated: true
host:
  interfaces: { a: { addresses: 10.0.0.1/24 }, c: { addresses: 10.0.1.1/24 } }
namespaces:
  x:
    interfaces: { b: { addresses: 10.0.0.2/24 } }
  y:
    interfaces:
      d: { addresses: 10.0.1.2/24 }
links: [ [host:a, x:b], [host:c, y:d] ]
${more}`

const found = (text: string): string[] => {
  const parsed = parseTopology(text, { file: 'x.yaml' })
  return 'problems' in parsed ? parsed.problems.map((p) => `${p.line}:${p.column} ${p.message}; ${p.hint}`) : []
}

const cases: readonly [name: string, text: string, ...problems: RegExp[]][] = [
  ['unknown key', lab('expcet: []'), /^11:1 unknown key "expcet"; did you mean "expect"\?$/],
  [
    'bad address',
    lab('bridges: { br0: { addresses: 10.0.0.256/24 } }'),
    /^11:30 .*256 is over 255; .*10\.0\.0\.101\/24/,
  ],
  ['bad length', lab('bridges: { br0: { addresses: 10.5.0.1/33 } }'), /^11:30 .*no valid length.*0 to 32/],
  ['address without a length', lab('bridges: { br0: { addresses: fd00::1 } }'), /^11:30 .*write fd00::1\/64/],
  [
    'overlapping networks',
    lab('bridges: { br0: { addresses: 10.0.0.77/16 } }'),
    /^3:33 .*host:a and host:br0 are in overlapping networks/,
    /^3:64 .*host:c and host:br0 are in overlapping networks/,
  ],
  [
    'duplicate address in a namespace',
    lab('bridges: { br0: { addresses: [10.9.0.1/24, 10.9.0.1/24] } }'),
    /^11:44 duplicate address 10\.9\.0\.1 .*10\.9\.0\.2\/24 is free$/,
  ],
  [
    'duplicate address on a wire',
    'isolated: true\nnamespaces: { x: { interfaces: { b: { addresses: fd00::1/64 } } },\n  y: { interfaces: { d: { addresses: fd00::1/64 } } } }\nlinks: [[x:b, y:d]]',
    /^3:38 duplicate address fd00::1 on y:d: x:b \(line 2\) has it already; fd00::2\/64 is free$/,
  ],
  [
    'interface used twice',
    'isolated: true\nnamespaces: { x: , y: , z: }\nlinks:\n  - [x:b, y:d]\n  - [z:e, x:b]',
    /^5:11 interface x:b is used twice, first in the link on line 4; .*bridge/,
  ],
  ['name over 15 bytes', lab('bridges: { averylongbridge0: }'), /^11:12 .*16 bytes.*at most 15; for example \S{1,15}$/],
  ['name over 15 bytes, counted in bytes', lab('bridges: { überbrücke-0000: }'), /^11:12 .*17 bytes.*at most 15/],
  [
    'unknown namespace in a link',
    'isolated: true\nlinks:\n  - [host:a, netns1:b]',
    /^3:14 there is no namespace "netns1"/,
  ],
  [
    'unknown namespace in an expectation',
    lab('expect:\n  - ping x -> xy'),
    /^12:15 there is no namespace "xy"; did you mean "[xy]"\?/,
  ],
  [
    'a reason that why does not give',
    lab('expect:\n  - fails ping x -> 10.0.0.1 because NO_ROUT\n  - fails ping x -> 10.0.0.1 because magic'),
    /^12:38 "NO_ROUT" is not a reason that why gives; did you mean "NO_ROUTE"\?$/,
    /^13:38 "magic" is not a reason that why gives; a code like NO_ROUTE, /,
  ],
  [
    'what stands behind an expectation',
    lab(
      'expect:\n  - ping x -> 10.0.0.1 because NO_ROUTE\n  - fails ping x -> 10.0.0.1 within 5ms\n  - ping x -> 10.0.0.1 within 5\n  - tcp x -> 10.0.0.1:80 status 200\n  - dns x -> 10.0.0.1\n  - dns x -> 10.0.0.1 web is web\n  - mtu x -> 10.0.0.1\n  - mtu x -> 10.0.0.1 at least 9',
    ),
    /^12:24 only what fails has a reason; write fails before it, /,
    /^13:30 what fails takes no time; leave out "within 5ms"$/,
    /^14:31 "5" has no unit; write 5ms or 5s$/,
    /^15:26 "status 200" is not understood; \[fails\] tcp A -> B:PORT$/,
    /^16:22 it does not say which name to ask for; .*dns A -> B/,
    /^17:30 "web" is not an address; /,
    /^18:22 it does not say how large the packets are; .*at least BYTES$/,
    /^19:32 "9" is not an MTU; bytes of an IP packet, from 68 to 65535$/,
  ],
  [
    'gateway outside the subnet',
    lab('networks: { lan: { subnet: 10.5.0.0/24, gateway: 10.6.0.1 } }'),
    /^11:50 gateway 10\.6\.0\.1 is outside the subnet of lan; .*like 10\.5\.0\.1$/,
  ],
  [
    'two gateways for one subnet',
    lab('networks: { lan: { subnet: 10.5.0.0/24, gateway: [10.5.0.1, 10.5.0.2] } }'),
    /^11:61 10\.5\.0\.0\/24 of lan has two gateways, 10\.5\.0\.1 and 10\.5\.0\.2; /,
  ],
  [
    'gateway of a route outside every subnet',
    'isolated: true\nnamespaces:\n  x:\n    interfaces: { b: { addresses: 10.0.0.2/24 } }\n    routes: [ { to: default, via: 10.9.0.1 } ]\n  y:\nlinks: [[x:b, y:d]]',
    /^5:35 gateway 10\.9\.0\.1 is outside every subnet of x; its networks are 10\.0\.0\.0\/24/,
  ],
  [
    'gateway that is one of its own addresses',
    'isolated: true\nnamespaces:\n  x:\n    interfaces: { b: { addresses: 10.0.0.2/24 } }\n    routes: [ { to: default, via: 10.0.0.2 } ]\n  y:\nlinks: [[x:b, y:d]]',
    /^5:35 gateway 10\.0\.0\.2 is an address of x itself; /,
  ],
  [
    'source address that it does not have',
    'isolated: true\nnamespaces:\n  x:\n    interfaces: { b: { addresses: 10.0.0.2/24 } }\n    routes: [ { to: default, via: 10.0.0.1, src: 10.0.0.3 } ]\n  y:\nlinks: [[x:b, y:d]]',
    /^5:50 x does not have the address 10\.0\.0\.3; /,
  ],
  [
    'port published twice',
    lab(
      'publish:\n  - { listen: "10.0.0.1:80", to: x:8080 }\n  - { listen: ":80/tcp", to: x:8081 }\n  - { listen: ":80/udp", to: x:53 }',
    ),
    /^13:15 port 80\/tcp is published twice; the other is on line 12/,
  ],
  [
    'parents of macvlan and vxlan that are not there',
    'isolated: true\nnamespaces:\n  x:\n    interfaces:\n      m: { macvlan: { parent: eth7 } }\n      v: { vxlan: { id: 5, dev: v } }',
    /^5:31 x has no interface "eth7"/,
    /^6:33 x:v stands on itself; /,
  ],
  [
    'a name that is wrong is told once',
    'namespaces:\n  x:\n    interfaces: { "a/b": {} }',
    /^3:19 .*has a "\/" in it; for example a-b$/,
  ],
  ['a key that is there twice', 'name: a\nname: b', /^2:1 "name" is here a second time; the first is on line 1; /],
  ['not YAML', 'links: [ [a, b ]', /^1:17 a bracket is not closed; close it with \]$/],
]

for (const [name, text, ...expected] of cases) {
  test(`told: ${name}`, () => {
    const problems = found(text)
    assert.equal(problems.length, expected.length, problems.join('\n'))
    for (const [i, pattern] of expected.entries()) assert.match(problems[i] ?? '', pattern)
  })
}

test('a topology as an object has paths for places', () => {
  const wrong = { namespaces: { x: { networks: ['lan'] } }, networks: {} }
  assert.throws(
    () => defineTopology(wrong),
    (error) =>
      error instanceof TopologyError && /namespaces\.x\.networks\[0\]: there is no network "lan"/.test(error.message),
  )
})

test('a problem shows its line with a caret', () => {
  const text = 'isolated: true\nexpcet: []\n'
  const parsed = parseTopology(text, { file: 'x.yaml' })
  const shown = 'problems' in parsed ? formatProblems('x.yaml', parsed.problems, { text }) : ''
  assert.match(shown, /^x\.yaml:2:1: unknown key "expcet"; did you mean "expect"\?\n +2 \| expcet: \[\]\n +\| \^$/)
})

test('the time grows with the number of namespaces, not with its square', () => {
  const routed = (n: number): string => {
    const each = (line: (i: number) => string): string => Array.from({ length: n }, (_, i) => line(i)).join('\n')
    return `isolated: true
host:
  interfaces:
${each((i) => `    v${i}: { addresses: 10.${i >> 8}.${i & 255}.1/24 }`)}
namespaces:
${each((i) => `  n${i}: { interfaces: { e: { addresses: 10.${i >> 8}.${i & 255}.2/24 } }, routes: [ { to: default, via: 10.${i >> 8}.${i & 255}.1 } ] }`)}
links:
${each((i) => `  - [host:v${i}, n${i}:e]`)}
expect:
${each((i) => `  - ping n${i} -> host`)}
`
  }
  const timeOf = (n: number): number => {
    const text = routed(n)
    const times = [0, 1, 2].map(() => {
      const start = performance.now()
      assert.ok('model' in parseTopology(text, { file: 'x.yaml' }))
      return performance.now() - start
    })
    return Math.min(...times)
  }
  const small = timeOf(100)
  const large = timeOf(800)
  // 8 times as many: 64 times as long if each asked all others
  assert.ok(large < small * 24, `${small} ms for 100, ${large} ms for 800`)
})
