import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as sys from '../sys/index.ts'
import {
  decodeSocketAddress,
  encodeSocketAddress,
  interfaceIndex,
  resolveSocketAddress,
  splitScope,
} from './sockaddr.ts'

test('sockaddr_in has the bytes of ip(7)', () => {
  const bytes = encodeSocketAddress('10.1.2.3', 8080)
  assert.deepEqual([...bytes], [2, 0, 0x1f, 0x90, 10, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0])
  assert.deepEqual(decodeSocketAddress(bytes), { address: '10.1.2.3', port: 8080, scope: 0 })
})

test('sockaddr_in6 has the bytes of ipv6(7), the scope included', () => {
  const bytes = encodeSocketAddress('fe80::1', 443, 7)
  const address = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
  assert.deepEqual([...bytes], [10, 0, 1, 0xbb, 0, 0, 0, 0, ...address, 7, 0, 0, 0])
  assert.deepEqual(decodeSocketAddress(bytes), { address: 'fe80::1', port: 443, scope: 7 })
})

test('what is no address is refused, and a sockaddr that is too short is not read', () => {
  assert.throws(() => encodeSocketAddress('10.0.0.256'), RangeError)
  assert.throws(() => encodeSocketAddress('netns1'), RangeError)
  const bytes = encodeSocketAddress('fe80::1')
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(decodeSocketAddress(bytes.subarray(0, length)), undefined)
  }
  assert.equal(decodeSocketAddress(new Uint8Array([sys.AF_UNIX, 0, 0, 0, 0, 0, 0, 0])), undefined)
})

test('a scope is an interface, by name or number', () => {
  assert.deepEqual(splitScope('fe80::1%veth1'), { address: 'fe80::1', scope: 'veth1' })
  assert.deepEqual(splitScope('fd00::1'), { address: 'fd00::1' })
  const fd = sys.socket(sys.AF_INET6, sys.SOCK_DGRAM, 0)
  try {
    assert.equal(interfaceIndex(fd, 'lo'), 1)
    assert.equal(decodeSocketAddress(resolveSocketAddress(fd, 'fe80::1%lo', 9))?.scope, 1)
    assert.equal(decodeSocketAddress(resolveSocketAddress(fd, 'fe80::1%12'))?.scope, 12)
    assert.throws(() => interfaceIndex(fd, 'no-such-if'), { code: 'ENODEV' })
    assert.throws(() => interfaceIndex(fd, 'a-name-of-16-byt'), RangeError)
  } finally {
    sys.close(fd)
  }
})

test('the kernel reads and writes our sockaddr', () => {
  for (const address of ['127.0.0.1', '::1']) {
    const domain = address.includes(':') ? sys.AF_INET6 : sys.AF_INET
    const fd = sys.socket(domain, sys.SOCK_DGRAM, 0)
    try {
      sys.bind(fd, encodeSocketAddress(address, 0))
      const bound = decodeSocketAddress(sys.getsockname(fd))
      assert.equal(bound?.address, address)
      assert.ok((bound?.port ?? 0) > 0)
    } finally {
      sys.close(fd)
    }
  }
})
