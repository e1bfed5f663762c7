import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAddress } from '../ip/index.ts'
import { internetChecksum } from './checksum.ts'
import { decodeIcmp, encodeEcho, skipIpv4Header } from './icmp.ts'
import { random } from './test-random.ts'

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))

test('the checksum is that of RFC 1071', () => {
  // section 3: the sum of these words is ddf2
  assert.equal(internetChecksum(hex('0001 f203 f4f5 f6f7')), ~0xddf2 & 0xffff)
  assert.equal(internetChecksum(new Uint8Array(0)), 0xffff)
  // an odd byte is the high half of a word
  assert.equal(internetChecksum(hex('01')), ~0x0100 & 0xffff)
  // carries that make another carry
  assert.equal(internetChecksum(hex('ffff ffff 0001')), ~0x0001 & 0xffff)
  assert.equal(internetChecksum(new Uint8Array(65535).fill(0xff)), 0x00ff)
})

test('the checksum agrees with the definition for random data, and verifies to 0', () => {
  const next = random(1071)
  for (let i = 0; i < 500; i++) {
    const data = Uint8Array.from({ length: 2 * next(200) }, () => next(256))
    let sum = 0
    for (let j = 0; j < data.length; j += 2) {
      sum += (data[j] ?? 0) * 256 + (data[j + 1] ?? 0)
      if (sum > 0xffff) sum -= 0xffff
    }
    const checksum = internetChecksum(data)
    assert.equal(checksum, 0xffff - sum)
    assert.equal(internetChecksum(Uint8Array.from([...data, checksum >> 8, checksum & 255])), 0)
  }
})

test('an echo request has the bytes that ping sends', () => {
  assert.deepEqual(
    encodeEcho(4, 'request', { id: 0x1234, sequence: 1, payload: hex('6162') }),
    hex('0800 8468 1234 0001 6162'),
  )
  // the kernel fills in the checksum of ICMPv6
  assert.deepEqual(
    encodeEcho(6, 'request', { id: 0x1234, sequence: 1, payload: hex('61') }),
    hex('8000 0000 1234 0001 61'),
  )
})

test('an echo reply is read back', () => {
  for (const family of [4, 6] as const) {
    const echo = { id: 7, sequence: 65535, payload: hex('010203') }
    assert.deepEqual(decodeIcmp(family, encodeEcho(family, 'reply', echo)), { kind: 'reply', ...echo })
  }
})

test('a wrong checksum and a message that is too short are not read', () => {
  const reply = encodeEcho(4, 'reply', { id: 7, sequence: 1, payload: hex('0102') })
  for (let i = 0; i < reply.length; i++) {
    assert.equal(
      decodeIcmp(
        4,
        reply.map((byte, j) => (i === j ? byte ^ 1 : byte)),
      ),
      undefined,
    )
  }
  for (let length = 0; length < 8; length++) assert.equal(decodeIcmp(4, reply.subarray(0, length)), undefined)
})

/** An error as a router sends it, quoting an echo request of ours from `source` to `destination`. */
function error(family: 4 | 6, type: number, code: number, rest: number, quoted = 8): Uint8Array {
  const [source, destination] = family === 4 ? ['10.0.0.1', '10.9.0.9'] : ['fd00::1', 'fd09::9']
  const header = new Uint8Array(family === 4 ? 20 : 40)
  header[0] = family === 4 ? 0x45 : 0x60
  header[family === 4 ? 9 : 6] = family === 4 ? 1 : 58
  header.set(parseAddress(source) ?? [], family === 4 ? 12 : 8)
  header.set(parseAddress(destination) ?? [], family === 4 ? 16 : 24)
  const echo = encodeEcho(family, 'request', { id: 99, sequence: 5, payload: new Uint8Array(56) })
  const message = Uint8Array.from([type, code, 0, 0, ...new Uint8Array(4), ...header, ...echo.subarray(0, quoted)])
  const view = new DataView(message.buffer)
  view.setUint32(4, rest)
  if (family === 4) view.setUint16(2, internetChecksum(message))
  return message
}

test('errors are read with their words and the echo that they are about', () => {
  const cases: [4 | 6, number, number, number, string][] = [
    [4, 3, 0, 0, 'destination network unreachable'],
    [4, 3, 1, 0, 'destination host unreachable'],
    [4, 3, 3, 0, 'destination port unreachable'],
    [4, 3, 4, 1400, 'fragmentation needed, MTU 1400'],
    [4, 3, 13, 0, 'communication prohibited by a filter'],
    [4, 3, 99, 0, 'destination unreachable, code 99'],
    [4, 11, 0, 0, 'time to live exceeded'],
    [4, 12, 0, 0, 'parameter problem, code 0'],
    [6, 1, 0, 0, 'no route to destination'],
    [6, 1, 3, 0, 'destination address unreachable'],
    [6, 2, 0, 1280, 'packet too big, MTU 1280'],
    [6, 3, 0, 0, 'hop limit exceeded'],
    [6, 4, 1, 0, 'parameter problem, code 1'],
  ]
  for (const [family, type, code, rest, words] of cases) {
    const [source, destination] = family === 4 ? ['10.0.0.1', '10.9.0.9'] : ['fd00::1', 'fd09::9']
    assert.deepEqual(decodeIcmp(family, error(family, type, code, rest)), {
      kind: 'error',
      type,
      code,
      words,
      about: { source, destination, id: 99, sequence: 5 },
      ...(rest === 0 ? {} : { mtu: rest }),
    })
  }
})

test('errors about something else than an echo request, or quoting too little, are not ours', () => {
  assert.equal(decodeIcmp(4, error(4, 3, 1, 0, 7)), undefined)
  assert.equal(decodeIcmp(6, error(6, 1, 3, 0, 0)), undefined)
  const tcp = error(6, 1, 3, 0)
  tcp[8 + 6] = 6
  assert.equal(decodeIcmp(6, tcp), undefined)
})

test('random and mutated packets never throw', () => {
  const next = random(792)
  for (let i = 0; i < 20_000; i++) {
    const family = next(2) ? 4 : 6
    const packet = next(2)
      ? error(family, next(16), next(16), next(2000))
      : new Uint8Array(next(80)).map(() => next(256))
    for (let flips = next(4); flips > 0 && packet.length > 0; flips--) packet[next(packet.length)] = next(256)
    const cut = packet.subarray(0, next(packet.length + 1))
    if (family === 4 && cut.length > 4) {
      cut.set([0, 0], 2)
      new DataView(cut.buffer, cut.byteOffset).setUint16(2, internetChecksum(cut))
    }
    decodeIcmp(family, cut)
    const rest = skipIpv4Header(cut)
    assert.ok(rest === undefined || rest.length <= cut.length - 20)
  }
})
