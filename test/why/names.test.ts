/** Names of namespaces: `why` takes and prints them as `exec` does, and its commands enter what they name. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { down, up } from '../../src/engine/index.ts'
import { defineTopology } from '../../src/index.ts'
import { explain, NoSuchPlace } from '../../src/why/index.ts'
import { inside } from '../../src/why/names.ts'
import { enterOwnHost } from '../support/host.ts'
import { needs } from '../support/need.ts'

enterOwnHost()

const model = defineTopology(
  {
    name: 'names',
    isolated: true,
    host: { interfaces: { v0: { addresses: '10.7.0.1/24' } } },
    namespaces: { names1: { interfaces: { v1: { addresses: '10.7.0.2/24' } } } },
    links: [['host:v0', 'names1:v1']],
  },
  { file: 'names' },
)

test('an isolated host is asked for as TOPOLOGY/host or by its file, and hops print TOPOLOGY/host', {
  skip: needs('root'),
}, () => {
  up(model)
  try {
    for (const from of ['names/host', 'names-host']) {
      const { reachable, hops } = explain({ from, to: 'names/names1', protocol: 'icmp' })
      assert.equal(reachable, true)
      assert.deepEqual([...new Set(hops.map((hop) => hop.where))], ['names/host', 'names1'])
    }
    assert.equal(explain({ from: 'names1', to: 'names/host', protocol: 'icmp' }).reachable, true)
    for (const to of ['names/names2', 'nobody/host']) {
      assert.throws(() => explain({ from: 'names1', to, protocol: 'icmp' }), NoSuchPlace)
    }
  } finally {
    down('names')
  }
})

test('the command for a process that has no file enters the namespace by its number', {
  skip: needs('root', 'unshare'),
}, async () => {
  const asleep = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  try {
    await once(asleep.stdout, 'data')
    const { code, remedy } = explain({ from: String(asleep.pid), to: '127.0.0.1', protocol: 'icmp' })
    assert.equal(code, 'LOOPBACK_DOWN')
    assert.equal(remedy?.shell, `nsenter --net --target ${asleep.pid} -- ip link set lo up`)
  } finally {
    const ended = once(asleep, 'close')
    asleep.kill('SIGKILL')
    await ended
  }
})

test('each line of a remedy is run inside, and comments stay comments', () => {
  assert.equal(inside('host', 'ip link\nip route'), 'ip link\nip route')
  assert.equal(inside('netns1', 'ip link\n# by hand'), 'hardway exec netns1 -- ip link\n# by hand')
  assert.equal(inside('/run/docker/netns/default', 'ip link'), 'nsenter --net=/run/docker/netns/default -- ip link')
})
