/** Names of namespaces: `why` takes and prints them as `exec` does, and its commands enter what they name. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, test } from 'node:test'
import { down, up } from '../../src/engine/index.ts'
import { defineTopology } from '../../src/index.ts'
import * as sys from '../../src/sys/index.ts'
import { explain, NoSuchPlace } from '../../src/why/index.ts'
import { inside } from '../../src/why/names.ts'
import { needs } from '../support/need.ts'

if (process.getuid?.() === 0) {
  const home = sys.open('/proc/thread-self/ns/net', sys.O_RDONLY)
  sys.unshare(sys.CLONE_NEWNET | sys.CLONE_NEWNS)
  sys.mount('', '/', 'none', sys.MS_REC | sys.MS_SLAVE)
  sys.mount('hardway-test', '/run', 'tmpfs', 0)
  after(() => sys.setns(home, sys.CLONE_NEWNET))
}

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
  const process_ = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  try {
    await new Promise((resolve) => process_.stdout.once('data', resolve))
    const { code, remedy } = explain({ from: String(process_.pid), to: '127.0.0.1', protocol: 'icmp' })
    assert.equal(code, 'LOOPBACK_DOWN')
    assert.equal(remedy?.shell, `nsenter --net --target ${process_.pid} -- ip link set lo up`)
  } finally {
    process_.kill('SIGKILL')
  }
})

test('each line of a remedy is run inside, and comments stay comments', () => {
  assert.equal(inside('host', 'ip link\nip route'), 'ip link\nip route')
  assert.equal(inside('netns1', 'ip link\n# by hand'), 'hardway exec netns1 -- ip link\n# by hand')
  assert.equal(inside('/run/docker/netns/default', 'ip link'), 'nsenter --net=/run/docker/netns/default -- ip link')
})
