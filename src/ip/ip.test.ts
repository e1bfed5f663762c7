/** Addresses and prefixes, held against the standard library's own arithmetic. */
import assert from 'node:assert/strict'
import { BlockList, isIPv4, isIPv6 } from 'node:net'
import { test } from 'node:test'
import {
  addressToInteger,
  formatPrefix,
  integerToAddress,
  isHostAddress,
  lastAddress,
  networkOf,
  nthAddress,
  parseAddress,
  parsePrefix,
  prefixContains,
  prefixesOverlap,
} from './index.ts'

function prefix(text: string) {
  const parsed = parsePrefix(text)
  assert.ok(parsed, text)
  return parsed
}

let seed = 1
function random(below: number): number {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
  return (seed >>> 8) % below
}

test('what is an address is what the standard library takes, but for zones', () => {
  const scraps = ['1', '0', '255', '256', '01', '.', '..', ':', '::', 'ffff', 'fffff', 'g', ' ', '-1', '1e1', '/']
  for (let i = 0; i < 20_000; i++) {
    let text = ''
    for (let n = random(9); n >= 0; n--) text += scraps[random(scraps.length)]
    assert.equal(parseAddress(text) !== undefined, isIPv4(text) || isIPv6(text), JSON.stringify(text))
  }
  for (const text of ['10.0.0.1', '0.0.0.0', '255.255.255.255', '::', '::1', 'fd00::50', '::ffff:1.2.3.4'])
    assert.ok(parseAddress(text), text)
})

test('networks: containment as net.BlockList sees it, first and last address at every length', () => {
  for (const family of [4, 6] as const) {
    const bits = family === 4 ? 32 : 128
    const kind = family === 4 ? 'ipv4' : 'ipv6'
    const any = (): string =>
      integerToAddress(BigInt(random(2 ** 24)) * BigInt(random(2 ** 24)) ** (family === 4 ? 1n : 4n), family)
    for (let length = 0; length <= bits; length++) {
      const address = any()
      const whole = prefix(`${address}/${length}`)
      const list = new BlockList()
      list.addSubnet(address, length, kind)
      const size = 1n << BigInt(bits - length)
      const first = addressToInteger(networkOf(whole).address)
      assert.equal(first % size, 0n)
      assert.equal(addressToInteger(lastAddress(whole)), first + size - 1n)
      for (const other of [any(), networkOf(whole).address, lastAddress(whole), address]) {
        assert.equal(prefixContains(whole, other), list.check(other, kind), `${formatPrefix(whole)} ${other}`)
      }
    }
  }
  assert.equal(prefixContains(prefix('0.0.0.0/0'), '::1'), false)
  assert.equal(nthAddress(prefix('10.0.0.7/24'), 2), '10.0.0.2')
  assert.ok(prefixesOverlap(prefix('10.0.0.0/8'), prefix('10.1.0.0/16')))
  assert.ok(!prefixesOverlap(prefix('10.2.0.0/16'), prefix('10.1.0.0/16')))
})

test('a host has neither the network address nor the broadcast address', () => {
  const can = (text: string): boolean => isHostAddress(prefix(text))
  assert.deepEqual(['10.0.0.0/24', '10.0.0.255/24', '10.0.0.1/24', '10.0.0.0/31', '10.0.0.0/32'].map(can), [
    false,
    false,
    true,
    true,
    true,
  ])
  assert.deepEqual(['fd00::/64', 'fd00::1/64', 'fd00::ffff:ffff:ffff:ffff/64'].map(can), [false, true, true])
})
