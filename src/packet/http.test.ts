import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { needs } from '../../test/support/need.ts'
import type { HttpRequest } from './http.ts'
import { runProbes } from './probe.ts'
import type { ProbeResult } from './result.ts'
import { createPair, type Lab, listen, serve } from './test-lab.ts'

const skip = needs('root', 'ip')

async function get(lab: Lab, port: number, more: Partial<HttpRequest> = {}): Promise<ProbeResult> {
  const common = { namespace: 'a', address: '10.0.0.2', timeout: 3000 }
  const [result] = await runProbes([{ kind: 'http', ...common, port, ...more }], lab)
  assert.ok(result)
  return result
}

test('a GET from one namespace to another', { skip }, async () => {
  using lab = createPair()
  const seen: string[] = []
  serve(lab, 'b', 8080, (request) => {
    seen.push(request)
    return Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n5\r\nhello\r\n0\r\n\r\n')
  })
  for (const address of ['10.0.0.2', 'fd00::2']) {
    const result = await get(lab, 8080, { address, path: '/x?y=1' })
    assert.equal(result.outcome, 'reached', result.detail)
    assert.equal(result.response?.status, 200)
    assert.equal(result.response.headers.get('x-a'), 'b')
    assert.equal(Buffer.from(result.response.body).toString(), 'hello')
    assert.match(result.detail, /^200 OK from \S+:8080 in [0-9.]+ ms$/)
  }
  assert.match(seen[0] ?? '', /^GET \/x\?y=1 HTTP\/1\.1\r\nHost: 10\.0\.0\.2:8080\r\n/)
  assert.match(seen[1] ?? '', /\r\nHost: \[fd00::2\]:8080\r\n/)
})

test('an answer that is not accepted is a mismatch, and is asked for again with patience', { skip }, async () => {
  using lab = createPair()
  let count = 0
  serve(lab, 'b', 8080, () => {
    const status = ++count < 4 ? '503 Starting' : '200 OK'
    return Buffer.from(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`)
  })
  const complain: HttpRequest['complain'] = ({ status }) => (status === 200 ? undefined : 'it is not ready')
  const first = await get(lab, 8080, { complain })
  assert.equal(first.outcome, 'mismatch')
  assert.equal(first.detail, '503 Starting from 10.0.0.2:8080, but it is not ready')
  assert.equal((await get(lab, 8080, { complain, patience: 5000 })).outcome, 'reached')
})

test('what is not HTTP, ends early or never comes is told apart', { skip }, async () => {
  using lab = createPair()
  serve(lab, 'b', 22, () => Buffer.from('SSH-2.0-x\r\n'))
  serve(lab, 'b', 81, () => Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello'))
  serve(lab, 'b', 82, () => new Uint8Array(0))
  listen(lab, 'b', 83)
  const [ssh, short, silent, mute, refused] = await Promise.all([
    get(lab, 22),
    get(lab, 81),
    get(lab, 82),
    get(lab, 83, { timeout: 300 }),
    get(lab, 84),
  ])
  assert.equal(ssh?.outcome, 'malformed')
  assert.equal(ssh.detail, 'no HTTP answer from 10.0.0.2:22: "SSH-2.0-x.." is not HTTP')
  assert.equal(short?.outcome, 'malformed')
  assert.match(short.detail, /its body ends in the middle, after 5 bytes$/)
  assert.equal(silent?.outcome, 'malformed')
  assert.match(silent.detail, /closed the connection without an answer$/)
  assert.equal(mute?.outcome, 'lost')
  assert.equal(mute.detail, 'connected to 10.0.0.2:83, but no whole answer within 300 ms')
  assert.equal(refused?.outcome, 'refused')
})

test('a body of many packets arrives whole', { skip }, async () => {
  using lab = createPair()
  const body = Buffer.alloc(200_000, 'abcdefg')
  serve(lab, 'b', 8080, () => Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), body]))
  const result = await get(lab, 8080)
  assert.equal(result.outcome, 'reached', result.detail)
  assert.ok(body.equals(result.response?.body ?? new Uint8Array(0)))
})

test('a real server that is still starting: python3 -m http.server', {
  skip: needs('root', 'ip', 'python3'),
}, async () => {
  using lab = createPair()
  const argv = ['-m', 'http.server', '--bind', '10.0.0.2', '--directory', '/proc/self', '8080']
  const child = lab.enter('b', () => spawn('python3', argv, { stdio: 'ignore', detached: true }))
  const ended = once(child, 'exit')
  try {
    const result = await get(lab, 8080, { patience: 15_000, timeout: 5000 })
    assert.equal(result.outcome, 'reached', result.detail)
    assert.match(Buffer.from(result.response?.body ?? []).toString(), /Directory listing/)
    assert.equal((await get(lab, 8080, { path: '/no such file' })).response?.status, 404)
  } finally {
    // with its group: python3 may be a wrapper that starts another
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    await ended
  }
})
