/** Tables and codecs: every type there and back, the bytes as the kernel lays them out, and bytes from anywhere. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readDone, readError } from './errors.ts'
import {
  attrs,
  be16,
  be32,
  be64,
  bits,
  bytes,
  eachAttribute,
  flag,
  ip,
  list,
  mac,
  named,
  nested,
  Reader,
  request,
  type Shape,
  s32,
  shape,
  splitMessages,
  str,
  struct,
  tagged,
  text,
  u8,
  u16,
  u32,
  u64,
  Writer,
  writeRequest,
} from './index.ts'
import { decodeBody } from './message.ts'
import { damage, randomFrom } from './testing.ts'

const inner = attrs({ name: [1, str], count: [2, u16] })
const everything = attrs({
  u8: [1, u8],
  u16: [2, u16],
  u32: [3, u32],
  s32: [4, s32],
  u64: [5, u64],
  be16: [6, be16],
  be32: [7, be32],
  be64: [8, be64],
  str: [9, str],
  text: [10, text],
  bytes: [11, bytes],
  flag: [12, flag],
  mac: [13, mac],
  ip: [14, ip],
  ip6: [15, ip],
  named: [16, named(u8, { tun: 1, tap: 2 })],
  bits: [17, bits(u32, { one: 1, high: 0x80000000 })],
  inner: [18, nested(inner)],
  list: [19, list(u16)],
  macs: [20, list(mac, 4)],
  info: [21, tagged({ pair: inner, empty: attrs({}) }, { kind: 1, data: 2 })],
})
const header = struct({ a: 'u8', b: 'be16', _pad: 'u8', c: 'u32', d: 's32', e: 'u16', _end: 'u16', f: 'u64' })
const everyShape = shape(header, everything)

const values = {
  u8: 0xfe,
  u16: 0xfedc,
  u32: 0xfedcba98,
  s32: -2,
  u64: 0xfedcba9876543210n,
  be16: 0x0102,
  be32: 0x80010203,
  be64: 0x0102030405060708n,
  str: 'eth0',
  text: 'grün',
  bytes: Uint8Array.of(0, 1, 2),
  flag: true as const,
  mac: '02:00:00:00:00:07',
  ip: '10.0.0.1',
  ip6: 'fd00::1',
  named: 'tap' as const,
  bits: ['one', 'high'] as ('one' | 'high')[],
  inner: { name: 'n', count: 7 },
  list: [1, 2, 65_535],
  macs: ['02:00:00:00:00:01', '02:00:00:00:00:02'],
  info: { kind: 'pair' as const, data: { name: 'x', count: 1 } },
}

function encode(table: { encode: (value: never, to: Writer) => void }, value: unknown): Uint8Array {
  const to = new Writer(1)
  table.encode(value as never, to)
  return to.bytes.slice()
}

const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex')

test('every type of field comes back as it went out, alone and with all others', () => {
  assert.deepEqual(everything.decode(new Reader(encode(everything, values))), values)
  for (const [name, value] of Object.entries(values)) {
    assert.deepEqual(everything.decode(new Reader(encode(everything, { [name]: value }))), { [name]: value }, name)
  }
})

test('a header comes back as it went out; padding is zero, what is left out too', () => {
  const full = { a: 1, b: 0x0203, c: 0xffffffff, d: -5, e: 9, f: 1n << 63n }
  assert.equal(header.size, 24)
  assert.equal(
    hex(encode(header, full)),
    '01' + '0203' + '00' + 'ffffffff' + 'fbffffff' + '0900' + '0000' + '0000000000000080',
  )
  assert.deepEqual(header.decode(new Reader(encode(header, full))), full)
  assert.deepEqual(header.decode(new Reader(encode(header, { e: 1 }))), { a: 0, b: 0, c: 0, d: 0, e: 1, f: 0n })
})

test('attributes are laid out as linux/netlink.h says: length without padding, four-byte steps, nested flag', () => {
  const golden: readonly (readonly [unknown, string])[] = [
    [{ u8: 5 }, '0500' + '0100' + '05000000'],
    [{ be16: 0x0102 }, '0600' + '0600' + '01020000'],
    [{ str: 'abc' }, '0800' + '0900' + '61626300'],
    [{ str: 'abcd' }, '0900' + '0900' + '6162636400000000'],
    [{ text: 'abc' }, '0700' + '0a00' + '61626300'],
    [{ flag: true }, '0400' + '0c00'],
    [{ inner: { count: 7 } }, '0c00' + '1280' + '0600' + '0200' + '07000000'],
    [{ list: [1, 2] }, '1400' + '1300' + '0600010001000000' + '0600020002000000'],
    [{ info: { kind: 'empty' } }, '1000' + '1500' + '0900' + '0100' + '656d707479000000'],
  ]
  for (const [value, expected] of golden) assert.equal(hex(encode(everything, value)), expected, JSON.stringify(value))
})

test('attributes go out in the order of the keys; unknown ones are skipped when read, flags are no part of a type', () => {
  assert.equal(hex(encode(everything, { u16: 1, u8: 2 })), '0600020001000000' + '0500010002000000')
  const stranger = Buffer.from('0500ff0309000000' + '0500014009000000', 'hex')
  assert.deepEqual(everything.decode(new Reader(stranger)), { u8: 9 })
})

test('numbers and names that a table does not know stay readable', () => {
  const decode = (bytes: Uint8Array) => everything.decode(new Reader(bytes))
  const unknown = decode(encode(attrs({ x: [16, u8] }), { x: 7 }))
  assert.deepEqual(unknown, { named: '#7' })
  assert.equal(hex(encode(everything, unknown)), '0500' + '1000' + '07000000')
  const foreign = { info: { kind: 'wireguard', raw: Uint8Array.of(1, 2, 3, 4) } }
  assert.deepEqual(decode(encode(everything, foreign)), foreign)
})

test('a length that does not fit ends the walk, as in the kernel', () => {
  const seen = (data: string): number[] => {
    const types: number[] = []
    eachAttribute(new Reader(Buffer.from(data, 'hex')), (type) => types.push(type))
    return types
  }
  assert.deepEqual(seen('0400010004000200'), [1, 2])
  assert.deepEqual(seen('0400010003000200'), [1])
  assert.deepEqual(seen('040001000900020000000000'), [1])
  assert.deepEqual(seen('04000100040002'), [1])
  assert.deepEqual(seen(''), [])
})

test('messages of one datagram are told apart; one that does not fit ends it', () => {
  const to = new Writer()
  const one = request(7, 0x400, everyShape, { a: 1 }, { str: 'abcd' })
  writeRequest(to, one, 41)
  writeRequest(to, request(8, 0, everyShape, {}), 42, 4)
  const split = splitMessages(to.bytes)
  assert.deepEqual(
    split.map((m) => [m.type, m.flags, m.sequence]),
    [
      [7, 0x401, 41],
      [8, 5, 42],
    ],
  )
  const [first] = split
  assert.ok(first)
  assert.deepEqual(decodeBody(everyShape, first.payload).attrs, { str: 'abcd' })
  assert.equal(splitMessages(to.bytes.subarray(0, to.length - 1)).length, 1)
  assert.equal(splitMessages(new Uint8Array(15)).length, 0)
})

test('a buffer that grows keeps what was written', () => {
  const to = new Writer(1)
  const data = Uint8Array.from({ length: 5000 }, (_, i) => i & 0xff)
  for (const byte of data) to.u8(byte)
  to.raw(data)
  assert.deepEqual(to.bytes, Uint8Array.from([...data, ...data]))
})

/** A value, or RangeError: nothing else, and in time. */
function decodesOrRefuses(of: Shape, datagram: Uint8Array): number {
  let refused = 0
  for (const message of splitMessages(datagram)) {
    for (const decode of [() => decodeBody(of, message.payload), () => readError(message), () => readDone(message)]) {
      try {
        decode()
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        refused++
      }
    }
  }
  return refused
}

test('bytes from anywhere give a value or a RangeError', { timeout: 60_000 }, () => {
  const random = randomFrom(104)
  const to = new Writer()
  const message = request(7, 0x300, everyShape, {}, values)
  for (let i = 0; i < 3; i++) writeRequest(to, message, i)
  const whole = to.bytes.slice()
  let refused = 0
  for (let i = 0; i < 10_000; i++) refused += decodesOrRefuses(everyShape, damage(whole, random))
  for (let i = 0; i < 10_000; i++) {
    // a header that fits, then noise: the decoders are reached every time
    const noise = Uint8Array.from({ length: 16 + random(120) }, () => random(256))
    new DataView(noise.buffer).setUint32(0, noise.length, true)
    refused += decodesOrRefuses(everyShape, noise)
  }
  assert.ok(refused > 100, `${refused} refused: the damage does not reach the decoders`)
})
