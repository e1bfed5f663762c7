import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findProgram, needs } from '../../test/support/need.ts'
import * as sys from '../sys/index.ts'
import { encodeSocketAddress } from './sockaddr.ts'
import { listListening, openSockDiag } from './sockdiag.ts'
import { createLab } from './test-lab.ts'

const IPV6_V6ONLY = 26

test('listening sockets are those of ss', { skip: needs('root', 'ip') || !findProgram('ss') }, () => {
  using lab = createLab('a')
  using socket = lab.enter('a', openSockDiag)
  assert.deepEqual(listListening(socket), [])
  for (const [address, port] of [
    ['0.0.0.0', 80],
    ['127.0.0.1', 8080],
    ['::', 443],
    ['::1', 53],
  ] as const) {
    const domain = address.includes(':') ? sys.AF_INET6 : sys.AF_INET
    for (const type of [sys.SOCK_STREAM, sys.SOCK_DGRAM]) {
      const fd = lab.enter('a', () => sys.socket(domain, type, 0))
      lab.onEnd(() => sys.close(fd))
      if (address === '::1') sys.setsockopt(fd, 41, IPV6_V6ONLY, 1)
      sys.bind(fd, encodeSocketAddress(address, port))
      if (type === sys.SOCK_STREAM) sys.listen(fd, 5)
    }
  }
  const found = listListening(socket)
  assert.equal(found.length, 8)
  for (const protocol of ['tcp', 'udp'] as const) {
    const theirs = lab
      .run('a', 'ss', protocol === 'tcp' ? '-ltnH' : '-lunH')
      .trim()
      .split('\n')
      // `*` is how ss writes :: that takes IPv4 too
      .map((line) => (line.split(/\s+/)[3] ?? '').replace('*', '[::]'))
    const ours = found
      .filter((s) => s.protocol === protocol)
      .map((s) => (s.family === 6 ? `[${s.address}]:${s.port}` : `${s.address}:${s.port}`))
    assert.deepEqual(ours.sort(), theirs.sort())
  }
  assert.ok(found.every((s) => s.inode > 0 && s.uid === 0))
  assert.equal(found.find((s) => s.port === 53 && s.protocol === 'tcp')?.isIpv6Only, true)
  assert.equal(found.find((s) => s.port === 443 && s.protocol === 'tcp')?.isIpv6Only, false)
})
