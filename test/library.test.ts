/** `import { up } from 'hardway'` on both runtimes, by the package's own name. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineTopology, TopologyError, type TopologyInput } from '../src/index.ts'
import { needs } from './support/need.ts'
import { inNewNetns, runSync } from './support/run.ts'

const user = new URL('support/library-user.mjs', import.meta.url).pathname
const lab = new URL('../labs/01-veth.yaml', import.meta.url).pathname

for (const runtime of ['node', 'bun'] as const) {
  test(`${runtime}: up, probes, down`, { skip: needs('root', 'unshare') }, () => {
    const program = runtime === 'bun' ? process.execPath : 'node'
    const mounted = ['sh', '-c', 'mount -t tmpfs hardway-test /run && exec "$@"', 'sh'] as const
    const [command, ...args] = inNewNetns([...mounted, program, user, lab])
    const done = runSync(command, args, { timeout: 60_000, cwd: new URL('..', import.meta.url).pathname })
    assert.equal(done.status, 0, done.stdout + done.stderr)
    assert.equal(done.stdout.trim(), 'the library works')
  })
}

test('a topology in TypeScript: wrong keys do not compile, and are told where they get through', () => {
  const good: TopologyInput = { namespaces: { a: { interfaces: { lo: { addresses: '10.0.0.1/32' } } } } }
  assert.equal(defineTopology(good, { file: 'good' }).namespaces.length, 2)
  // @ts-expect-error: the key is misspelt
  const misspelt: TopologyInput = { namespaces: { a: { interfaces: { lo: { adresses: '10.0.0.1/32' } } } } }
  // @ts-expect-error: an MTU is a number
  const mistyped: TopologyInput = { namespaces: { a: { interfaces: { lo: { mtu: '1500' } } } } }
  for (const bad of [misspelt, mistyped]) assert.throws(() => defineTopology(bad), TopologyError)
})
