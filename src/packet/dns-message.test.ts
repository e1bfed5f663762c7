import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeResponse, encodeQuery, nameProblem } from './dns-message.ts'
import { random } from './test-random.ts'

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replace(/\s/g, ''), 'hex'))

/** As a recursive server answers: an alias, its address by a compressed name, and a record of another type. */
const ANSWER = hex(`
  1234 8180 0001 0003 0000 0000
  03 777777 07 6578616d706c65 03 636f6d 00 0001 0001
  c00c 0005 0001 0000003c 0006 03 77656200 00
  c02d 0001 0001 0000003c 0004 0a000009
  c00c 0010 0001 0000003c 0003 02 6869
`)

test('a query has the bytes of RFC 1035', () => {
  assert.deepEqual(
    encodeQuery({ id: 0x1234, name: 'www.example.com', type: 'A' }),
    hex('1234 0100 0001 0000 0000 0000 03 777777 07 6578616d706c65 03 636f6d 00 0001 0001'),
  )
  assert.deepEqual(encodeQuery({ id: 1, name: 'a.', type: 'AAAA' }).subarray(12), hex('01 61 00 001c 0001'))
  assert.deepEqual(encodeQuery({ id: 1, name: '.', type: 'A' }).subarray(12), hex('00 0001 0001'))
})

test('names that DNS cannot hold are told, not sent', () => {
  assert.equal(nameProblem('www.example.com.'), undefined)
  assert.match(nameProblem('') ?? '', /empty part/)
  assert.match(nameProblem('a..b') ?? '', /empty part/)
  assert.match(nameProblem(`${'a'.repeat(64)}.com`) ?? '', /more than 63 bytes/)
  assert.equal(nameProblem(`${'a'.repeat(63)}.`.repeat(3) + 'b'.repeat(61)), undefined)
  assert.match(nameProblem(`${'a'.repeat(63)}.`.repeat(3) + 'b'.repeat(62)) ?? '', /more than 253 bytes/)
  assert.throws(() => encodeQuery({ id: 1, name: 'a..b', type: 'A' }), RangeError)
})

test('a response: compressed names, aliases, records of other types', () => {
  // the second record's owner points at the alias in the data of the first
  const answer = ANSWER.slice()
  answer[answer.indexOf(0xc0, 45) + 1] = 0x2d
  const response = decodeResponse(answer)
  assert.equal(response?.rcode, 'NOERROR')
  assert.equal(response.name, 'www.example.com')
  assert.deepEqual(
    response.answers.map(({ type, value, ttl }) => [type, value, ttl]),
    [
      [5, 'web', 60],
      [1, '10.0.0.9', 60],
      [16, undefined, 60],
    ],
  )
  assert.equal(response.answers[1]?.name, 'web')
})

test('a pointer that leads forwards or to itself ends the reading', () => {
  for (const pointer of ['c00c', 'c00e', 'ffff']) {
    assert.equal(decodeResponse(hex(`1234 8180 0001 0000 0000 0000 ${pointer} 0001 0001`)), undefined)
  }
})

test('a message that is cut is damaged, unless it says so', () => {
  assert.equal(decodeResponse(ANSWER.slice(0, -1)), undefined)
  const cut = ANSWER.slice(0, -1)
  cut[2] = 0x83
  assert.equal(decodeResponse(cut)?.isTruncated, true)
  assert.equal(decodeResponse(cut)?.answers.length, 2)
})

test('fuzz: any bytes are read or refused, names that were asked for come back', () => {
  const next = random(53)
  for (let i = 0; i < 20_000; i++) {
    const bytes = i % 2 ? ANSWER.slice(0, 1 + next(ANSWER.length)) : new Uint8Array(next(80)).map(() => next(256))
    for (let n = next(6); n > 0; n--) bytes[next(bytes.length || 1)] = next(256)
    if (bytes.length > 3) bytes[2] = (bytes[2] ?? 0) | 0x80
    const response = decodeResponse(bytes)
    assert.ok(response === undefined || response.answers.length <= bytes.length)
  }
  for (let i = 0; i < 2000; i++) {
    const labels = Array.from({ length: 1 + next(5) }, () =>
      Array.from({ length: 1 + next(20) }, () => 'abcdefghijklmnopqrstuvwxyz0123456789-_'[next(38)]).join(''),
    )
    const query = encodeQuery({ id: next(65536), name: labels.join('.'), type: 'A' })
    query[2] = 0x81
    assert.equal(decodeResponse(query)?.name, labels.join('.'))
  }
})
