import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../test/support/need.ts'
import * as sys from '../sys/index.ts'
import { deleteFlows, listFlows, openConntrack } from './conntrack.ts'
import { encodeSocketAddress } from './sockaddr.ts'
import { createPair, type Lab } from './test-lab.ts'

const UDP = 17

/** Sends one UDP datagram from `a`; nobody needs to listen. */
function sendUdp(lab: Lab, address: string, port: number): void {
  const domain = address.includes(':') ? sys.AF_INET6 : sys.AF_INET
  const fd = lab.enter('a', () => sys.socket(domain, sys.SOCK_DGRAM, 0))
  sys.sendto(fd, new Uint8Array(4), 0, encodeSocketAddress(address, port))
  sys.close(fd)
}

/** Flows are tracked in a namespace where a rule asks for them; `b` redirects IPv4 and IPv6 port 5353 to port 53. */
function createTracked(): Lab {
  const lab = createPair()
  const rules = [
    'add table inet t',
    'add chain inet t in { type filter hook input priority 0; }',
    'add rule inet t in ct state new accept',
    'add chain inet t nat { type nat hook prerouting priority -100; }',
    'add rule inet t nat udp dport 5353 redirect to :53',
  ]
  lab.run('b', 'nft', rules.join('; '))
  return lab
}

test('flows are listed with both directions, and what NAT did to them', { skip: needs('root', 'ip', 'nft') }, () => {
  using lab = createTracked()
  using socket = lab.enter('b', openConntrack)
  sendUdp(lab, '10.0.0.2', 5353)
  sendUdp(lab, 'fd00::2', 7777)
  const [four, ...others] = listFlows(socket, { family: 4, protocol: UDP })
  assert.equal(others.length, 0)
  assert.equal(four?.original.source, '10.0.0.1')
  assert.equal(four.original.destination, '10.0.0.2')
  assert.equal(four.original.destinationPort, 5353)
  assert.equal(four.reply.sourcePort, 53)
  assert.equal(four.reply.destinationPort, four.original.sourcePort)
  assert.ok(four.status.includes('destinationNat'))
  assert.ok(four.timeout > 0 && four.timeout <= 600)
  const [six] = listFlows(socket, { original: { destination: 'fd00::2', destinationPort: 7777 } })
  assert.equal(six?.family, 6)
  assert.equal(six.reply.destination, 'fd00::1')
})

test('the list is that of conntrack -L', { skip: needs('root', 'ip', 'nft', 'conntrack') }, () => {
  using lab = createTracked()
  using socket = lab.enter('b', openConntrack)
  for (let port = 6000; port < 6020; port++) sendUdp(lab, port % 2 ? '10.0.0.2' : 'fd00::2', port)
  sendUdp(lab, '10.0.0.2', 5353)
  const theirs = ['ipv4', 'ipv6'].flatMap((family) =>
    lab
      .run('b', 'conntrack', '-L', '-f', family, '-p', 'udp')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => [...line.matchAll(/(?:src|dst|sport|dport)=(\S+)/g)].map((match) => match[1]).join(' ')),
  )
  const ours = listFlows(socket, { protocol: UDP }).map(({ original: o, reply: r }) =>
    [o, r].flatMap((t) => [t.source, t.destination, t.sourcePort, t.destinationPort]).join(' '),
  )
  assert.equal(ours.length, 21)
  assert.deepEqual(ours.sort(), theirs.sort())
})

test('only the flows of one published port are forgotten', { skip: needs('root', 'ip', 'nft') }, () => {
  using lab = createTracked()
  using socket = lab.enter('b', openConntrack)
  for (let i = 0; i < 100; i++) sendUdp(lab, '10.0.0.2', 5353)
  sendUdp(lab, '10.0.0.2', 5354)
  sendUdp(lab, 'fd00::2', 5353)
  const published = { protocol: UDP, original: { destination: '10.0.0.2', destinationPort: 5353 } }
  const count = listFlows(socket, published).length
  // two sockets may have got the same source port
  assert.ok(count > 90)
  assert.equal(deleteFlows(socket, published), count)
  assert.equal(listFlows(socket, published).length, 0)
  assert.equal(deleteFlows(socket, published), 0)
  assert.equal(listFlows(socket, { protocol: UDP }).length, 2)
  assert.equal(deleteFlows(socket, { family: 6 }), 1)
})
