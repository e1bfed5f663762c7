/** UDP, DNS and path MTU probes against the real kernel. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../test/support/need.ts'
import { type ProbeRequest, runProbes } from './probe.ts'
import type { ProbeResult } from './result.ts'
import { createLab, createPair, type Lab, serveUdp, settle } from './test-lab.ts'

const skip = needs('root', 'ip')
const skipNft = needs('root', 'ip', 'nft')

async function probe(lab: Lab, request: ProbeRequest): Promise<ProbeResult> {
  const [result] = await runProbes([request], { enter: lab.enter })
  assert.ok(result)
  return result
}

const from = { namespace: 'a', timeout: 600 } as const

test('a UDP probe is answered, refused, or lost', { skip: skipNft }, async () => {
  using lab = createPair()
  serveUdp(lab, 'b', 7, (datagram) => [datagram])
  serveUdp(lab, 'b', 9, () => [])
  lab.run(
    'b',
    'nft',
    `add table inet t; add chain inet t i { type filter hook input priority 0; };
     add rule inet t i udp dport 9998 reject with icmpx admin-prohibited`,
  )
  for (const [address, host] of [
    ['10.0.0.2', '10\\.0\\.0\\.2'],
    ['fd00::2', '\\[fd00::2\\]'],
  ] as const) {
    const reached = await probe(lab, { kind: 'udp', ...from, address, port: 7 })
    assert.equal(reached.outcome, 'reached', reached.detail)
    assert.match(reached.detail, new RegExp(`^answer of 8 bytes from ${host}:7 in [0-9.]+ ms$`))
    const begin = performance.now()
    const refused = await probe(lab, { kind: 'udp', ...from, timeout: 5000, address, port: 8 })
    assert.equal(refused.outcome, 'refused', refused.detail)
    assert.match(refused.detail, new RegExp(`^nothing listens on ${host}:8: port unreachable`))
    assert.ok(performance.now() - begin < 2500)
    const lost = await probe(lab, { kind: 'udp', ...from, address, port: 9 })
    assert.equal(lost.outcome, 'lost')
    assert.match(lost.detail, new RegExp(`^no answer from ${host}:9 within 600 ms, [23] datagrams sent$`))
    const rejected = await probe(lab, { kind: 'udp', ...from, address, port: 9998 })
    assert.equal(rejected.outcome, 'unreachable', rejected.detail)
    assert.match(rejected.detail, /^an error came back for /)
  }
  const nowhere = await probe(lab, { kind: 'udp', ...from, address: '1.1.1.1', port: 7 })
  assert.equal(nowhere.code, 'ENETUNREACH', nowhere.detail)
  const scope = await probe(lab, { kind: 'udp', ...from, address: 'fe80::1%nope', port: 7 })
  assert.equal(scope.outcome, 'error', scope.detail)
})

test('with patience a closed UDP port is tried again until somebody answers', { skip }, async () => {
  using lab = createPair()
  setTimeout(() => serveUdp(lab, 'b', 7, (datagram) => [datagram]), 300)
  const result = await probe(lab, { kind: 'udp', ...from, address: '10.0.0.2', port: 7, patience: 5000 })
  assert.equal(result.outcome, 'reached', result.detail)
})

test('500 UDP probes that are lost cost one time-out in all', { skip }, async () => {
  using lab = createPair()
  serveUdp(lab, 'b', 9, () => [])
  const begin = performance.now()
  const requests = Array.from(
    { length: 500 },
    (): ProbeRequest => ({ kind: 'udp', ...from, address: '10.0.0.2', port: 9 }),
  )
  const results = await runProbes(requests, { enter: lab.enter })
  assert.ok(results.every(({ outcome }) => outcome === 'lost'))
  assert.ok(performance.now() - begin < 2500)
})

/** The response to a query: its own bytes with the flags of an answer, and records. */
function response(query: Uint8Array, rcode: number, ...records: readonly (readonly number[])[]): Uint8Array {
  const bytes = Uint8Array.from([...query, ...records.flatMap((data) => record(data))])
  bytes.set([0x81, 0x80 | rcode], 2)
  bytes[7] = records.length
  return bytes
}

const record = (data: readonly number[]): number[] => [
  ...[0xc0, 12, 0, data.length === 4 ? 1 : 28, 0, 1, 0, 0, 0, 60, 0, data.length],
  ...data,
]

test('a DNS probe tells addresses, response codes, and answers that are none', { skip }, async () => {
  using lab = createPair()
  serveUdp(lab, 'b', 53, (query) => {
    const name = new TextDecoder('latin1').decode(query.subarray(13, 13 + (query[12] ?? 0)))
    const isV6 = query[query.length - 3] === 28
    if (name === 'gone') return [response(query, 3)]
    if (name === 'empty') return [response(query, 0)]
    if (name === 'damaged') return [response(query, 0, [10, 0, 0, 9]).slice(0, -1)]
    if (name === 'forged') {
      const [otherId, otherName] = [query.slice(), query.slice()]
      otherId[0] = (otherId[0] ?? 0) ^ 1
      otherName[13] = 0x78
      const lie = [6, 6, 6, 6]
      return [response(otherId, 0, lie), response(otherName, 0, lie), response(query, 0, [10, 0, 0, 9])]
    }
    if (isV6) return [response(query, 0, [0xfd, ...new Array<number>(14).fill(0), 9])]
    return [response(query, 0, [10, 0, 0, 9], [10, 0, 0, 10])]
  })
  const ask = (name: string, more: object = {}): Promise<ProbeResult> =>
    probe(lab, { kind: 'dns', ...from, address: '10.0.0.2', port: 53, name, type: 'A', ...more })
  const good = await ask('Web.lab')
  assert.match(good.detail, /^Web\.lab is 10\.0\.0\.9, 10\.0\.0\.10, says 10\.0\.0\.2:53 in [0-9.]+ ms$/)
  assert.deepEqual(good.dns?.addresses, ['10.0.0.9', '10.0.0.10'])
  assert.deepEqual((await ask('web', { type: 'AAAA', address: 'fd00::2' })).dns?.addresses, ['fd00::9'])
  const gone = await ask('gone')
  assert.deepEqual([gone.outcome, gone.code], ['mismatch', 'NXDOMAIN'])
  assert.match(gone.detail, /^10\.0\.0\.2:53 answers NXDOMAIN for gone$/)
  assert.match((await ask('empty')).detail, /knows empty, but no address \(A\) of it$/)
  assert.equal((await ask('damaged')).outcome, 'malformed')
  assert.deepEqual((await ask('forged')).dns?.addresses, ['10.0.0.9'])
  const refused = await ask('web', { complain: () => 'another was expected' })
  assert.match(refused.detail, /but another was expected$/)
  assert.equal((await ask('a..b')).outcome, 'error')
  assert.equal((await ask('web', { port: 54 })).outcome, 'refused')
})

/** `a` - router - `b`, the second link with an MTU of its own. */
function createPath(mtu: number): Lab {
  const lab = createLab('a', 'router', 'b')
  for (const [i, [one, other, size]] of (
    [
      ['a', 'router', 1500],
      ['router', 'b', mtu],
    ] as const
  ).entries()) {
    const net = i + 1
    const [device, peer] = [`l${net}`, `r${net}`]
    lab.ip(
      one,
      `link add ${device} index ${10 * net} mtu ${size} type veth peer name ${peer} index ${10 * net + 5} mtu ${size} netns @${other}`,
    )
    for (const [name, dev, host] of [
      [one, device, 1],
      [other, peer, 2],
    ] as const) {
      lab.ip(name, `address add 10.0.${net}.${host}/24 dev ${dev}`)
      lab.ip(name, `address add fd00:${net}::${host}/64 dev ${dev} nodad`)
      lab.ip(name, `link set ${dev} up`)
    }
    settle(lab, one, device)
    settle(lab, other, peer)
  }
  lab.run('router', 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
  lab.ip('a', 'route add default via 10.0.1.2')
  lab.ip('a', 'route add default via fd00:1::2')
  lab.ip('b', 'route add default via 10.0.2.1')
  lab.ip('b', 'route add default via fd00:2::1')
  return lab
}

test('the path MTU is found, and who set it', { skip: skipNft }, async () => {
  using lab = createPath(1400)
  const ask = (address: string): Promise<ProbeResult> => probe(lab, { kind: 'mtu', ...from, timeout: 2000, address })
  for (const [address, router, words, code] of [
    ['10.0.2.2', '10.0.1.2', 'fragmentation needed, MTU 1400', 'ICMP 3/4'],
    ['fd00:2::2', 'fd00:1::2', 'packet too big, MTU 1400', 'ICMPv6 2/0'],
  ] as const) {
    // twice: what the kernel has learnt of the path must not pass for the answer
    for (const _ of [1, 2]) {
      const result = await ask(address)
      assert.equal(result.outcome, 'reached', result.detail)
      assert.equal(
        result.detail,
        `packets of 1400 bytes get through to ${address}, for larger ones ${router} answers: ${words}`,
      )
      assert.deepEqual([result.mtu, result.from, result.code], [1400, router, code])
    }
  }
  const near = await ask('10.0.1.2')
  assert.equal(near.detail, 'packets of 1500 bytes get through to 10.0.1.2, larger ones do not fit the first device')
  lab.run('router', 'nft', 'add table inet t; add chain inet t o { type filter hook output priority 0; policy drop; }')
  const silent = await ask('10.0.2.2')
  assert.deepEqual([silent.mtu, silent.from], [1400, undefined])
  assert.match(silent.detail, /larger ones vanish without a word$/)
  assert.equal((await ask('10.0.2.99')).outcome, 'lost')
})
