import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeGet } from './http.ts'
import { BODY_LIMIT, createHttpReader, HttpError, type HttpResponse } from './http-response.ts'
import { random } from './test-random.ts'

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'))

/** Feeds an answer in pieces of `size` bytes, then closes. */
function read(answer: Uint8Array, size = answer.length): HttpResponse {
  const reader = createHttpReader()
  for (let at = 0; at < answer.length; at += size) {
    const response = reader.push(answer.subarray(at, at + size))
    if (response) return response
  }
  return reader.close()
}

const text = (response: HttpResponse): string => Buffer.from(response.body).toString('latin1')

const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

const good: [name: string, answer: string, body: string][] = [
  ['with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', 'hello'],
  ['with the same length twice', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\nhello', 'hello'],
  ['until close', 'HTTP/1.0 200 OK\r\nServer: x\r\n\r\nhello', 'hello'],
  ['until close, empty', 'HTTP/1.1 200 \r\n\r\n', ''],
  ['with lone line feeds', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nhi', 'hi'],
  ['in chunks', `${chunked}5\r\nhello\r\n6;ext="a"\r\n world\r\n0\r\n\r\n`, 'hello world'],
  ['in chunks with trailers', `${chunked}A\r\n0123456789\r\n0\r\nDigest: x\r\n\r\n`, '0123456789'],
  [
    'chunks win over a length',
    `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n${chunked.slice(17)}2\r\nhi\r\n0\r\n\r\n`,
    'hi',
  ],
  ['without a body', 'HTTP/1.1 204 No Content\r\n\r\n', ''],
  ['after hints', 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi', 'hi'],
]

for (const [name, answer, body] of good) {
  test(`an answer ${name}, cut anywhere`, () => {
    for (let size = 1; size <= answer.length; size++) assert.equal(text(read(bytes(answer), size)), body)
  })
}

test('status, reason and headers are read', () => {
  const response = read(
    bytes('HTTP/1.1 404 Not Found\r\nX-A: 1\r\nx-a:  2 \r\nX-Long: a\r\n\tb\r\nContent-Length: 0\r\n\r\n'),
  )
  assert.equal(response.status, 404)
  assert.equal(response.reason, 'Not Found')
  assert.equal(response.headers.get('x-a'), '1, 2')
  assert.equal(response.headers.get('x-long'), 'a b')
})

const bad: [answer: string, why: RegExp][] = [
  ['', /without an answer/],
  ['HTTP/1.1 200 OK\r\nConte', /ends in the middle/],
  ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell', /after 4 bytes/],
  [`${chunked}5\r\nhel`, /after 3 bytes/],
  [`${chunked}xyz\r\nhel`, /"xyz" is not the size/],
  [`${chunked}-1\r\n`, /is not the size/],
  [`${chunked}100000000000\r\n`, /is not the size/],
  [`${chunked}2\r\nhello\r\n`, /longer than it says/],
  [`${chunked}${'1'.repeat(5000)}`, /does not end/],
  ['SSH-2.0-OpenSSH_9.2\r\n', /"SSH-2.0-OpenSSH_9.2.." is not HTTP/],
  ['\x15\x03\x01', /is not HTTP/],
  ['HTTP/2 200\r\n\r\n', /is not HTTP/],
  ['HTTP/1.1 20 OK\r\n\r\n', /is not HTTP/],
  ['HTTP/1.1 007 OK\r\n\r\n', /is not HTTP/],
  ['HTTP/1.1 101 Switching Protocols\r\n\r\n', /another protocol/],
  ['HTTP/1.1 200 OK\r\nNo colon\r\n\r\n', /"No colon" is not a header/],
  ['HTTP/1.1 200 OK\r\nSpace : x\r\n\r\n', /is not a header/],
  ['HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello', /is not a length/],
  ['HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello', /is not a length/],
  [`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70_000)}`, /longer than 64 KiB/],
]

test('what is not an HTTP answer is refused with the reason', () => {
  for (const [answer, why] of bad) {
    assert.throws(
      () => read(bytes(answer)),
      (error) => error instanceof HttpError && why.test(error.message),
      answer.slice(0, 60),
    )
  }
})

test('at most 1 MiB of the body is kept, however it is framed', () => {
  const much = 'x'.repeat(BODY_LIMIT + 10)
  for (const answer of [
    `HTTP/1.1 200 OK\r\n\r\n${much}`,
    `HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n${much}`,
    `${chunked}fffffff\r\n${much}`,
  ]) {
    const response = read(bytes(answer), 60_000)
    assert.equal(response.body.length, BODY_LIMIT)
    assert.ok(response.isTruncated)
  }
  const exact = read(bytes(`HTTP/1.1 200 OK\r\nContent-Length: ${BODY_LIMIT}\r\n\r\n${much.slice(10)}`))
  assert.equal(exact.body.length, BODY_LIMIT)
  assert.ok(!exact.isTruncated)
})

test('mutated answers give an answer or an HttpError, and nothing else', () => {
  const next = random(9112)
  const answers = [...good.map(([, answer]) => answer), ...bad.map(([answer]) => answer)]
  for (let i = 0; i < 10_000; i++) {
    const answer = bytes(answers[next(answers.length)] ?? '').slice(0, 400)
    for (let flips = next(5); flips > 0 && answer.length > 0; flips--) {
      answer[next(answer.length)] = next(3) === 0 ? next(256) : (bytes('\r\n 0:;A')[next(7)] ?? 0)
    }
    try {
      const response = read(answer, 1 + next(answer.length + 1))
      assert.ok(response.status >= 200 && response.status <= 999)
      assert.ok(response.body.length <= answer.length)
    } catch (error) {
      assert.ok(error instanceof HttpError, `${JSON.stringify(Buffer.from(answer).toString('latin1'))}: ${error}`)
    }
  }
})

test('a request cannot be split by what stands in the path or the host', () => {
  const get = (path: string, host?: string): string =>
    Buffer.from(encodeGet({ address: 'fd00::1', port: 80, timeout: 1, path, host })).toString()
  assert.match(get('/a b\r\nX: y'), /^GET \/a%20b%0D%0AX:%20y HTTP\/1\.1\r\nHost: \[fd00::1\]\r\n/)
  assert.match(get('é', 'x\r\nY: z'), /^GET \/%C3%A9 HTTP\/1\.1\r\nHost: xY:z\r\n/)
  assert.equal(get('/').split('\r\n').length, 8)
})
