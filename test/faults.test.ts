/** Nonsense and poor kernels: a sentence, an exit status, and nothing left. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { codeOf } from '../src/engine/errors.ts'
import { hintFor } from '../src/engine/hints.ts'
import { NETLINK_ROUTE, openSocket } from '../src/netlink/index.ts'
import { addLink } from '../src/rtnetlink/index.ts'
import * as sys from '../src/sys/index.ts'
import { needs } from './support/need.ts'
import { inNewNetns, runSync } from './support/run.ts'

const program = new URL('../dist/hardway', import.meta.url).pathname
const labs = new URL('../labs/', import.meta.url).pathname

const seed = Number(process.env.SEED ?? Date.now() % 1e9)
let state = seed
function random(below: number): number {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0
  return (state >>> 8) % below
}

const SCRAPS = [
  '{',
  '}',
  '[',
  ': ',
  '- ',
  '\n',
  '"',
  '#',
  '10.0.0.1',
  '/24',
  '::',
  'null',
  '-1',
  'br0',
  'netns1',
  'lo',
  '1e9',
]

function mutate(text: string): string {
  let mutated = text
  for (let n = 1 + random(3); n > 0; n--) {
    const at = random(mutated.length + 1)
    const scrap = random(2) ? (SCRAPS[random(SCRAPS.length)] ?? '') : ''
    mutated = mutated.slice(0, at) + scrap + mutated.slice(at + random(8))
  }
  return mutated
}

test('random bytes and mutated labs through the executable: exit status 0, 1 or 2, no trace, nothing left', {
  skip: needs('root', 'unshare', 'ip'),
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'hardway-faults-'))
  try {
    const sources = ['01-veth', '02-routed', '03-bridge', '04-publish'].map((n) =>
      readFileSync(`${labs}${n}.yaml`, 'utf8'),
    )
    for (let i = 0; i < 60; i++) {
      const bytes = Buffer.from(Array.from({ length: random(300) }, () => random(256)))
      // an isolated host, whatever the mutation has made of that line
      writeFileSync(join(folder, `${i}.yaml`), i % 10 === 0 ? bytes : mutate(sources[i % 4] ?? ''))
    }
    const script = `
      mount -t tmpfs test /run
      for f in "$1"/*.yaml; do
        "$2" up "$f" --no-verify --isolated >"$f.out" 2>&1; echo "status $? $f"
        "$2" down --all >/dev/null 2>&1 || echo "down failed after $f"
        [ -z "$(ls /run/netns 2>/dev/null)" ] || echo "left after $f: $(ls /run/netns)"
      done
      ip -o link | grep -v ': lo:' | grep -vE ': (tunl0|sit0|gre0|ip6tnl0)' || true; nft list tables`
    const flags = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private']
    const done = runSync('unshare', [...flags, 'sh', '-c', script, 'sh', folder, program], { timeout: 120_000 })
    const lines = done.stdout.trim().split('\n')
    const others = lines.filter((line) => !/^status [012] /.test(line))
    assert.deepEqual(others, [], `seed ${seed}`)
    assert.equal(lines.length, 60, `seed ${seed}: ${done.stderr}`)
    for (let i = 0; i < 60; i++) {
      const output = readFileSync(join(folder, `${i}.yaml.out`), 'utf8')
      assert.doesNotMatch(output, /^\s+at .*[:(]\d+/m, `seed ${seed}, case ${i}: ${output}`)
      assert.notEqual(output.trim(), '', `seed ${seed}, case ${i}`)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('every mistake of a file is told at once, each with line, column and what would be right', () => {
  const text = `name: wrong
host:
  interfaces:
    veth0: { adresses: 10.0.0.201/24 }
    veth0-with-a-long-name: {}
namespaces:
  netns1:
    interfaces:
      veth1: { addresses: 10.0.0.300/24 }
      veth9: { addresses: [10.0.1.5/24] }
      veth8: { addresses: [10.0.1.6/24] }
    routes: [ { to: default, via: 10.9.9.9 } ]
  netns2:
    interfaces:
      veth3: { addresses: [10.0.2.2/24] }
      veth5: { addresses: [10.0.2.2/16] }
links:
  - [host:veth0, netns1:veth1]
  - [host:veth0, netns2:veth3]
  - [netns1:veth9, netns3:x]
  - [netns1:veth8, netns2:veth5]
publish:
  - { listen: ':80', to: netns2:8080 }
  - { listen: ':80', to: netns2:8081 }
`
  const told = runSync(program, ['plan', '-'], { input: text })
  assert.equal(told.status, 2)
  const wanted = [
    /^error: stdin:4:14: unknown key "adresses".*did you mean "addresses"\?$/m,
    /^stdin:5:5: interface name "veth0-with-a-long-name" has 22 bytes, the kernel takes at most 15; for example /m,
    /^stdin:9:\d+: "10\.0\.0\.300\/24" is not an address.*300 is over 255/m,
    /^stdin:11:28: netns1:veth8 and netns1:veth9 are in overlapping networks/m,
    /^stdin:12:\d+: gateway 10\.9\.9\.9 is outside every subnet of netns1.*its networks are/m,
    /^stdin:16:\d+: duplicate address 10\.0\.2\.2 on netns2:veth5: netns2:veth3 \(line 15\) has it already/m,
    /^stdin:19:6: interface host:veth0 is used twice, first in the link on line 18; /m,
    /^stdin:20:\d+: there is no namespace "netns3"; did you mean "netns[12]"\?/m,
    /^stdin:24:15: port 80\/tcp is published twice; the other is on line 23; use another port or address$/m,
  ]
  for (const pattern of wanted) assert.match(told.stderr, pattern)
})

test('a kernel without a kind of link: its name and what to do, in place of EOPNOTSUPP', {
  skip: needs('root'),
}, (t) => {
  const home = sys.open('/proc/thread-self/ns/net', sys.O_RDONLY)
  let refused: unknown
  try {
    sys.unshare(sys.CLONE_NEWNET)
    using socket = openSocket(NETLINK_ROUTE)
    socket.execute(addLink({ name: 'd0', link: { kind: 'dummy' } }))
  } catch (error) {
    refused = error
  } finally {
    sys.setns(home, sys.CLONE_NEWNET)
    sys.close(home)
  }
  if (refused === undefined) return t.skip('this kernel has every kind of link that was tried')
  const code = codeOf(refused)
  const link = { name: 'x0', link: { kind: 'vxlan', id: 1, port: 4789 }, up: true } as const
  assert.match(
    hintFor({ kind: 'link.add', at: { name: 'host' }, link }, code),
    /this kernel has no vxlan links \(module vxlan\)/,
  )
})

test('a kernel that refuses any one request: a kind of link by its name, and what was done is undone', {
  skip: needs('root', 'unshare', 'strace', 'module:vxlan', 'module:macvlan'),
}, () => {
  const text = `name: tunnels
isolated: true
namespaces:
  a:
    interfaces:
      e0: { addresses: 10.0.0.1/24 }
      vx0: { vxlan: { id: 7, remote: 10.0.0.2, dev: e0 }, addresses: 10.1.0.1/24 }
      mv0: { macvlan: { parent: e0 }, addresses: 10.2.0.1/24 }
  b: { interfaces: { e0: { addresses: 10.0.0.2/24 } } }
links: [ [a:e0, b:e0] ]`
  // what is refused while it looks around may count as absent, so that up succeeds all the same
  const script = `
    mount -t tmpfs test /run; echo "$2" > /run/tunnels.yaml
    for n in $(seq 20); do
      strace -f -qq -o /dev/null -e trace=sendto -e inject=sendto:error=EOPNOTSUPP:when=$n \\
        "$1" up /run/tunnels.yaml --no-verify 2>&1 && "$1" down tunnels
      [ -z "$(ls /run/netns 2>/dev/null)" ] || echo "left after $n: $(ls /run/netns)"
    done`
  const [unshare, ...args] = inNewNetns(['sh', '-c', script, 'sh', program, text])
  const { stdout, stderr } = runSync(unshare, args, { timeout: 60_000 })
  assert.doesNotMatch(stdout, /left after|undoing what was done failed/, stderr)
  for (const [object, kind] of [
    ['link a:e0 – b:e0', 'veth'],
    ['vxlan a:vx0', 'vxlan'],
    ['macvlan a:mv0', 'macvlan'],
  ]) {
    const told = `error: link.add failed: ${object}: send: Operation not supported
  what was done before it has been undone
this kernel has no ${kind} links (module ${kind}); hardway doctor lists what it has`
    assert.ok(stdout.includes(told), `${told}\n\n${stdout}`)
  }
})
