// @ts-nocheck: it imports the package as a user has it installed, and types come with the build
// A program as a user of the library writes it; run by test/library.test.ts with node and with bun, as root.
import assert from 'node:assert/strict'
import { ExpectationError, listTopologies, planUp, shellScript, TopologyError, up } from 'hardway'

const lab = {
  name: 'library',
  isolated: true,
  networks: { lan: { subnet: ['10.0.0.0/24', 'fd00::/64'] } },
  namespaces: { a: { networks: ['lan'] }, b: { networks: { lan: '10.0.0.9' } } },
}

// `await using net = await up(lab)` where the runtime has it; Node 20 has not
const net = await up(lab)
try {
  assert.equal((await net.ping('a', 'b')).outcome, 'reached')
  assert.equal((await net.ping('b', '10.0.0.1')).outcome, 'reached')
  await net.expect('fails ping a -> 192.0.2.1 because NO_ROUTE')
  await assert.rejects(net.expect('fails ping a -> 192.0.2.1 because LINK_DOWN'), /the reason is NO_ROUTE/)
  await assert.rejects(net.udp('a', 'b:9'), /port unreachable/)
  await assert.rejects(net.dns('a', 'b', 'web.lab', '10.0.0.9'), /port unreachable/)
  const mesh = await net.mesh()
  assert.equal(mesh.results.filter((r) => r.outcome === 'reached').length, 12)
  await assert.rejects(net.tcp('a', 'b:80'), ExpectationError)
  await assert.rejects(net.ping('a', 'c'), TopologyError)
  assert.equal(
    net.inside('b', () => 1),
    1,
  )
  assert.equal(planUp(net.model).operations.length, 0)
  assert.deepEqual(
    listTopologies().map((t) => t.name),
    ['library'],
  )
} finally {
  await net[Symbol.asyncDispose]()
}
assert.deepEqual(listTopologies(), [])

// expectations that do not hold: an error that says why, and nothing is left
const wrong = { ...lab, expect: ['ping a -> 192.0.2.1'] }
await assert.rejects(up(wrong, { patience: 0 }), /^ExpectationError: ping a -> 192\.0\.2\.1: .*unreachable/)
assert.deepEqual(listTopologies(), [])

// a file
const file = await up(process.argv[2] ?? '', { verify: false })
assert.match(shellScript(planUp(file.model)), /^#!/)
assert.ok((await file.verify()).every((check) => check.holds))
await file.down()
assert.deepEqual(listTopologies(), [])
console.log('the library works')
