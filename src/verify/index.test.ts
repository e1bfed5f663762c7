import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../test/support/need.ts'
import { createPair, listen, serve, serveUdp } from '../packet/test-lab.ts'
import type { Expectation, Probe } from '../topology/model.ts'
import { type CheckResult, verifyExpectations } from './index.ts'

const skip = needs('root', 'ip')

function expectation(probe: Probe, fails = false, from = 'a'): Expectation {
  return { text: `${fails ? 'fails ' : ''}${probe.kind} ${from} -> ${probe.to}`, fails, from, probe }
}

const ping = (address: string): Probe => ({ kind: 'ping', to: address, address })
const tcp = (address: string, port: number): Probe => ({ kind: 'tcp', to: address, address, port })
const http = (port: number, more: { path?: string; status?: number; contains?: string } = {}): Probe => ({
  kind: 'http',
  to: `10.0.0.2:${port}`,
  address: '10.0.0.2',
  port,
  path: '/',
  ...more,
})

test('each expectation is decided by a real packet, in the order of the file', { skip }, async () => {
  using lab = createPair()
  listen(lab, 'b', 22)
  serve(lab, 'b', 80, (request) =>
    Buffer.from(`HTTP/1.1 ${request.includes('/gone') ? '404 Not Found' : '200 OK'}\r\n\r\nDirectory listing`),
  )
  const table: [Expectation, holds: boolean, outcome: string, detail: RegExp][] = [
    [expectation(ping('10.0.0.2')), true, 'reached', /^reply from 10\.0\.0\.2 in [0-9.]+ ms$/],
    [expectation(ping('fd00::1'), false, 'b'), true, 'reached', /^reply from fd00::1/],
    [expectation(ping('10.0.0.99')), false, 'lost', /^no reply from 10\.0\.0\.99 within 1000 ms/],
    [expectation(ping('1.1.1.1')), false, 'unreachable', /^no route to 1\.1\.1\.1: .* \(ENETUNREACH\)$/],
    [expectation(ping('1.1.1.1'), true), true, 'unreachable', /ENETUNREACH/],
    [expectation(ping('10.0.0.99'), true), true, 'lost', /within 500 ms/],
    [expectation(ping('10.0.0.2'), true), false, 'reached', /^reply from/],
    [expectation(tcp('10.0.0.2', 22)), true, 'reached', /^connected to/],
    [expectation(tcp('10.0.0.2', 23)), false, 'refused', /^connection refused by 10\.0\.0\.2:23$/],
    [expectation(tcp('10.0.0.2', 23), true), true, 'refused', /^connection refused by/],
    [expectation(http(80)), true, 'reached', /^200 OK from 10\.0\.0\.2:80/],
    [expectation(http(80, { contains: 'Directory listing' })), true, 'reached', /^200 OK/],
    [expectation(http(80, { contains: 'else' })), false, 'mismatch', /but the body does not contain "else"$/],
    [expectation(http(80, { path: '/gone' })), false, 'mismatch', /^404 Not Found from .*, but that is an error$/],
    [expectation(http(80, { path: '/gone', status: 404 })), true, 'reached', /^404 Not Found/],
    [expectation(http(80, { status: 500 })), false, 'mismatch', /but status 500 was expected$/],
    [expectation(http(81), true), true, 'refused', /refused/],
  ]
  const seen = new Map<number, CheckResult>()
  const begin = performance.now()
  const checks = await verifyExpectations(
    table.map(([first]) => first),
    { enter: lab.enter, onResult: (check, index) => seen.set(index, check) },
  )
  const ms = performance.now() - begin
  for (const [i, [wanted, holds, outcome, detail]] of table.entries()) {
    const check = checks[i]
    assert.equal(check?.expectation, wanted)
    assert.equal(check.outcome, outcome, `${wanted.text}: ${check.detail}`)
    assert.equal(check.holds, holds, wanted.text)
    assert.match(check.detail, detail)
    assert.equal(seen.get(i), check)
  }
  assert.ok(ms < 3000, `${ms} ms for one time-out of 1000 ms`)
})

test('200 expectations that are lost cost one time-out in all', { skip }, async () => {
  using lab = createPair()
  const expectations = Array.from({ length: 200 }, (_, i) => expectation(ping(`10.0.0.${10 + i}`), i % 2 === 0))
  const begin = performance.now()
  const checks = await verifyExpectations(expectations, { enter: lab.enter, timeout: 600, failsTimeout: 300 })
  const ms = performance.now() - begin
  assert.ok(checks.every((check, i) => check.outcome === 'lost' && check.holds === (i % 2 === 0)))
  assert.ok(ms >= 600 && ms < 1800, `${ms} ms`)
})

test('patience is for what must come, not for what must fail', { skip }, async () => {
  using lab = createPair()
  setTimeout(() => listen(lab, 'b', 8080), 200)
  const [comes, fails] = await verifyExpectations(
    [expectation(tcp('10.0.0.2', 8080)), expectation(tcp('10.0.0.2', 8080), true)],
    { enter: lab.enter, patience: 5000 },
  )
  assert.equal(comes?.holds, true, comes?.detail)
  assert.equal(fails?.holds, true, fails?.detail)
  assert.equal(fails?.outcome, 'refused')
})

test('nothing holds that no packet has shown: an expectation that cannot be tried fails either way', {
  skip,
}, async () => {
  using lab = createPair()
  for (const fails of [false, true]) {
    for (const probe of [ping('10.0.0.2'), tcp('10.0.0.2', 1)]) {
      const [check] = await verifyExpectations([expectation(probe, fails, 'gone')], lab)
      assert.equal(check?.holds, false)
      assert.equal(check?.outcome, 'error')
      assert.match(check?.detail ?? '', /no namespace gone/)
    }
  }
})

test('UDP, DNS, path MTU and latency bounds are decided by packets, too', { skip }, async () => {
  using lab = createPair()
  serveUdp(lab, 'b', 7, (datagram) => [datagram])
  const to = '10.0.0.2'
  const dns: Probe = { kind: 'dns', to, address: to, port: 54, name: 'web' }
  const table: [Expectation, holds: boolean, outcome: string, detail: RegExp][] = [
    [expectation({ kind: 'udp', to, address: to, port: 7 }), true, 'reached', /^answer of 8 bytes/],
    [expectation({ kind: 'udp', to, address: to, port: 8 }), false, 'refused', /port unreachable/],
    [expectation({ kind: 'udp', to, address: to, port: 8 }, true), true, 'refused', /port unreachable/],
    [expectation(dns, true), true, 'refused', /port unreachable/],
    [expectation({ kind: 'mtu', to, address: to, atLeast: 1500 }), true, 'reached', /^packets of 1500 bytes/],
    [expectation({ kind: 'mtu', to, address: to, atLeast: 1501 }), false, 'mismatch', /1501 bytes were expected$/],
    [{ ...expectation(ping(to)), within: 5000 }, true, 'reached', /^reply from/],
    [{ ...expectation(ping(to)), within: 0.0001 }, false, 'mismatch', /but 0\.0001 ms were allowed$/],
  ]
  const checks = await verifyExpectations(
    table.map(([first]) => first),
    { enter: lab.enter },
  )
  for (const [i, [wanted, holds, outcome, detail]] of table.entries()) {
    const check = checks[i]
    assert.equal(check?.outcome, outcome, `${wanted.text}: ${check?.detail}`)
    assert.equal(check.holds, holds, wanted.text)
    assert.match(check.detail, detail)
  }
})

test('a failure for another reason than the file gives does not hold, nor one without a known reason', {
  skip,
}, async () => {
  using lab = createPair()
  const wanted: Expectation = { ...expectation(ping('1.1.1.1'), true), because: 'NO_ROUTE' }
  const ask = async (code: 'NO_ROUTE' | 'FILTER_DROP' | null) => {
    const [check] = await verifyExpectations([wanted], { enter: lab.enter, explain: async () => code })
    return check
  }
  assert.equal((await ask('NO_ROUTE'))?.holds, true)
  const other = await ask('FILTER_DROP')
  assert.equal(other?.holds, false)
  assert.match(other.detail, /but the reason is FILTER_DROP, not NO_ROUTE$/)
  const unknown = await ask(null)
  assert.equal(unknown?.holds, false)
  assert.match(unknown.detail, /but the reason cannot be told, not NO_ROUTE$/)
})
