import assert from 'node:assert/strict'
import { readdirSync, readlinkSync } from 'node:fs'
import { test } from 'node:test'
import { needs } from '../../test/support/need.ts'
import * as sys from '../sys/index.ts'
import { encodeEcho } from './icmp.ts'
import { type ProbeOptions, type ProbeRequest, runProbes } from './probe.ts'
import type { ProbeResult } from './result.ts'
import { decodeSocketAddress } from './sockaddr.ts'
import { createLab, createPair, type Lab, listen, settle } from './test-lab.ts'

const skip = needs('root', 'ip')
const skipNft = needs('root', 'ip', 'nft')

/** The inodes of this process's sockets: a descriptor's number may be used again, an inode is not. */
function sockets(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)].filter((link) => link.startsWith('socket:'))
    } catch {
      // the runtime has closed it in the meantime
      return []
    }
  })
}

/** Remembers the sockets that are opened inside, and says which of them are still there. */
function watchSockets(enter: ProbeOptions['enter']): { enter: ProbeOptions['enter']; left: () => string[] } {
  const opened = new Set<string>()
  return {
    enter: (namespace, fn) => {
      const before = new Set(sockets())
      try {
        return enter(namespace, fn)
      } finally {
        for (const socket of sockets()) if (!before.has(socket)) opened.add(socket)
      }
    },
    left: () => {
      assert.ok(opened.size > 0)
      return sockets().filter((socket) => opened.has(socket))
    },
  }
}

/** One probe from `a`. */
async function probe(
  lab: Lab,
  request: Omit<Extract<ProbeRequest, { kind: 'ping' }>, 'namespace' | 'timeout' | 'kind'> & {
    kind: 'ping' | 'tcp'
    port?: number
    timeout?: number
  },
  options: Partial<ProbeOptions> = {},
): Promise<ProbeResult> {
  const common = { namespace: 'a', timeout: 1000, ...request }
  const full: ProbeRequest =
    request.kind === 'tcp' ? { ...common, kind: 'tcp', port: request.port ?? 0 } : { ...common, kind: 'ping' }
  const [result] = await runProbes([full], { enter: lab.enter, ...options })
  assert.ok(result)
  return result
}

for (const echo of ['raw', 'ping'] as const) {
  test(`an echo over a ${echo} socket is answered, IPv4 and IPv6`, { skip }, async () => {
    using lab = createPair()
    if (echo === 'ping') lab.run('a', 'sysctl', '-qw', 'net.ipv4.ping_group_range=0 0')
    for (const address of ['10.0.0.2', 'fd00::2', '10.0.0.1', '127.0.0.1', '::1', 'fe80::ff:fe00:2%v0']) {
      const result = await probe(lab, { kind: 'ping', address, timeout: 2000 }, { echo })
      assert.equal(result.outcome, 'reached', result.detail)
      const from = address.replace('%v0', '')
      assert.equal(result.from, from)
      assert.match(result.detail, new RegExp(`^reply from ${from} in [0-9.]+ ms$`))
      assert.ok((result.ms ?? -1) > 0)
    }
  })

  test(`an echo over a ${echo} socket learns that its hops do not suffice, and of a far refusal`, {
    skip,
  }, async () => {
    using lab = createLab('a', 'router')
    if (echo === 'ping') lab.run('a', 'sysctl', '-qw', 'net.ipv4.ping_group_range=0 0')
    lab.ip('a', 'link add v0 index 10 type veth peer name v0 index 20 netns @router')
    for (const [name, host] of [
      ['a', 1],
      ['router', 2],
    ] as const) {
      lab.ip(name, `address add 10.0.0.${host}/24 dev v0`)
      lab.ip(name, `address add fd00::${host}/64 dev v0 nodad`)
      lab.ip(name, 'link set v0 up')
    }
    for (const name of ['a', 'router']) settle(lab, name, 'v0')
    lab.run('router', 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
    lab.ip('a', 'route add default via 10.0.0.2')
    lab.ip('a', 'route add default via fd00::2')
    // hops are counted only where there is a route
    lab.ip('router', 'route add 10.5.0.0/16 via 10.0.0.1')
    lab.ip('router', 'route add fd05::/16 via fd00::1')
    const expected: [address: string, ttl: number | undefined, detail: RegExp, code: string][] =
      echo === 'raw'
        ? [
            ['10.9.9.9', undefined, /^10\.0\.0\.2 answers: destination network unreachable$/, 'ICMP 3/0'],
            ['fd09::9', undefined, /^fd00::2 answers: no route to destination$/, 'ICMPv6 1/0'],
            ['10.5.5.5', 1, /^10\.0\.0\.2 answers: time to live exceeded$/, 'ICMP 11/0'],
            ['fd05::5', 1, /^fd00::2 answers: hop limit exceeded$/, 'ICMPv6 3/0'],
          ]
        : [
            ['10.9.9.9', undefined, /^an error came back for 10\.9\.9\.9: Network is unreachable/, 'ENETUNREACH'],
            ['fd09::9', undefined, /^an error came back for fd09::9: Network is unreachable/, 'ENETUNREACH'],
          ]
    for (const [address, ttl, detail, code] of expected) {
      const result = await probe(lab, { kind: 'ping', address, ttl, timeout: 2500 }, { echo })
      assert.equal(result.outcome, 'unreachable', result.detail)
      assert.match(result.detail, detail)
      assert.equal(result.code, code)
    }
  })
}

test('what the own kernel refuses is said at once, with the name of the errno', { skip: skipNft }, async () => {
  using lab = createPair()
  lab.ip('a', 'route add blackhole 10.9.0.0/24')
  lab.ip('a', 'route add unreachable 10.8.0.0/24')
  lab.ip('a', 'route add prohibit 10.7.0.0/24')
  lab.run(
    'a',
    'nft',
    'add table ip t; add chain ip t o { type filter hook output priority 0; }; add rule ip t o ip daddr 10.0.0.77 drop',
  )
  for (const kind of ['ping', 'tcp'] as const) {
    for (const [address, code] of [
      ['1.1.1.1', 'ENETUNREACH'],
      ['2001:db8::1', 'ENETUNREACH'],
      ['10.9.0.1', 'EINVAL'],
      ['10.8.0.1', 'EHOSTUNREACH'],
      ['10.7.0.1', 'EACCES'],
    ] as const) {
      const begin = performance.now()
      const result = await probe(lab, { kind, address, port: 80, timeout: 5000 })
      assert.equal(result.outcome, 'unreachable', result.detail)
      assert.equal(result.code, code)
      assert.match(result.detail, new RegExp(`\\(${code}\\)$`))
      assert.ok(performance.now() - begin < 2500)
    }
  }
  assert.equal((await probe(lab, { kind: 'ping', address: '10.0.0.77' })).code, 'EPERM')
})

test('an address that nobody has is lost after the time-out', { skip }, async () => {
  using lab = createPair()
  const result = await probe(lab, { kind: 'ping', address: '10.0.0.99', timeout: 500 })
  assert.equal(result.outcome, 'lost')
  assert.equal(result.detail, 'no reply from 10.0.0.99 within 500 ms, 3 echoes sent')
  assert.equal(result.ms, undefined)
})

test('an echo is sent again until the way is there', { skip }, async () => {
  using lab = createPair()
  lab.ip('b', 'address del 10.0.0.2/24 dev v0')
  lab.ip('b', 'link set v0 arp off')
  lab.ip('a', 'neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev v0 nud permanent')
  lab.ip('b', 'neigh add 10.0.0.1 lladdr 02:00:00:00:00:01 dev v0 nud permanent')
  setTimeout(() => lab.ip('b', 'address add 10.0.0.2/24 dev v0'), 300)
  const result = await probe(lab, { kind: 'ping', address: '10.0.0.2', timeout: 5000 })
  assert.equal(result.outcome, 'reached', result.detail)
  // of the echo that was answered, not of the first
  assert.ok((result.ms ?? 9999) < 200)
})

test('forged replies are not believed: right id and sequence number, wrong payload', { skip }, async () => {
  using lab = createPair()
  lab.run('b', 'sysctl', '-qw', 'net.ipv4.icmp_echo_ignore_all=1')
  const fd = lab.enter('b', () => sys.socket(sys.AF_INET, sys.SOCK_RAW | sys.SOCK_NONBLOCK, sys.IPPROTO_ICMP))
  lab.onEnd(() => sys.close(fd))
  const buffer = new Uint8Array(2048)
  let forged = 0
  let isHonest = false
  const timer = setInterval(() => {
    for (let got = sys.recvfrom(fd, buffer); got; got = sys.recvfrom(fd, buffer)) {
      const message = buffer.slice(20, got.length)
      if (message[0] !== 8) continue
      const view = new DataView(message.buffer)
      const [id, sequence, payload] = [view.getUint16(4), view.getUint16(6), message.slice(8)]
      const wrong = payload.map((byte, i) => (i === payload.length - 1 ? byte ^ 1 : byte))
      for (const answer of isHonest ? [payload] : [wrong, payload.subarray(0, -1), new Uint8Array(0)]) {
        sys.sendto(fd, encodeEcho(4, 'reply', { id, sequence, payload: answer }), 0, got.address)
        forged++
      }
      // somebody else's id, and an echo that was never sent
      sys.sendto(fd, encodeEcho(4, 'reply', { id: id ^ 1, sequence, payload }), 0, got.address)
      sys.sendto(fd, encodeEcho(4, 'reply', { id, sequence: sequence ^ 0x8000, payload }), 0, got.address)
      assert.equal(decodeSocketAddress(got.address)?.address, '10.0.0.1')
    }
  }, 1)
  lab.onEnd(() => clearInterval(timer))
  assert.equal((await probe(lab, { kind: 'ping', address: '10.0.0.2', timeout: 500 })).outcome, 'lost')
  assert.ok(forged >= 3)
  isHonest = true
  assert.equal((await probe(lab, { kind: 'ping', address: '10.0.0.2', timeout: 2000 })).outcome, 'reached')
})

test('a TCP probe connects, is refused, or is lost', { skip: skipNft }, async () => {
  using lab = createPair()
  listen(lab, 'b', 8080)
  lab.run(
    'b',
    'nft',
    `add table inet t; add chain inet t i { type filter hook input priority 0; };
     add rule inet t i tcp dport 9999 drop; add rule inet t i tcp dport 9998 reject with icmpx admin-prohibited`,
  )
  for (const [address, host] of [
    ['10.0.0.2', '10\\.0\\.0\\.2'],
    ['fd00::2', '\\[fd00::2\\]'],
  ] as const) {
    const reached = await probe(lab, { kind: 'tcp', address, port: 8080, timeout: 3000 })
    assert.equal(reached.outcome, 'reached', reached.detail)
    assert.match(reached.detail, new RegExp(`^connected to ${host}:8080 in [0-9.]+ ms$`))
    const refused = await probe(lab, { kind: 'tcp', address, port: 7 })
    assert.equal(refused.outcome, 'refused')
    assert.match(refused.detail, new RegExp(`^connection refused by ${host}:7$`))
    assert.equal(refused.code, 'ECONNREFUSED')
    const lost = await probe(lab, { kind: 'tcp', address, port: 9999, timeout: 300 })
    assert.equal(lost.outcome, 'lost')
    assert.match(lost.detail, new RegExp(`^no answer from ${host}:9999 within 300 ms$`))
    // a soft error: it must not take until the second SYN, a second later
    const rejected = await probe(lab, { kind: 'tcp', address, port: 9998, timeout: 900 })
    assert.equal(rejected.outcome, 'unreachable', rejected.detail)
    assert.equal(rejected.code, address.includes(':') ? 'EACCES' : 'EHOSTUNREACH')
  }
})

test('with patience a refused connection is tried again until somebody listens', { skip }, async () => {
  using lab = createPair()
  setTimeout(() => listen(lab, 'b', 8080), 250)
  const result = await probe(lab, { kind: 'tcp', address: '10.0.0.2', port: 8080, patience: 5000 })
  assert.equal(result.outcome, 'reached', result.detail)
  const begin = performance.now()
  const refused = await probe(lab, { kind: 'tcp', address: '10.0.0.2', port: 7, patience: 300 })
  assert.equal(refused.outcome, 'refused')
  assert.ok(performance.now() - begin >= 200)
})

test('1,000 lost probes of all kinds cost one time-out in all, and 1,000 answered ones far less', {
  skip,
}, async () => {
  using lab = createPair()
  listen(lab, 'b', 8080)
  const make = (host: number): ProbeRequest[] =>
    Array.from({ length: 1000 }, (_, i) => {
      const common = { namespace: 'a', address: `10.0.0.${host}`, timeout: 1000 }
      return i % 2 ? { kind: 'ping', ...common } : { kind: 'tcp', port: 8080, ...common }
    })
  const lost: ProbeResult[] = []
  const begin = performance.now()
  let ticks = 0
  const timer = setInterval(() => ticks++, 5)
  const results = await runProbes(make(99), { enter: lab.enter, onResult: (result) => lost.push(result) })
  const ms = performance.now() - begin
  clearInterval(timer)
  assert.ok(results.every((result) => result.outcome === 'lost'))
  assert.equal(lost.length, 1000)
  assert.ok(ms >= 1000 && ms < 3000, `${ms} ms`)
  assert.ok(ticks > 20, `the event loop turned ${ticks} times only`)
  const again = performance.now()
  const answered = await runProbes(make(2), { enter: lab.enter })
  assert.ok(answered.every((result) => result.outcome === 'reached'))
  assert.ok(performance.now() - again < 3000)
})

test('more probes than descriptors wait for their turn', { skip }, async () => {
  using lab = createPair()
  const error = new sys.SysError('socket', 24, 'Too many open files')
  let open = 0
  let most = 0
  // as if the limit were 10
  const watched = watchSockets(lab.enter)
  const requests: ProbeRequest[] = Array.from({ length: 40 }, () => ({
    kind: 'tcp',
    namespace: 'a',
    address: '10.0.0.99',
    port: 7,
    timeout: 100,
  }))
  const results = await runProbes(requests, {
    enter: (namespace, fn) => {
      if (open >= 10) throw error
      open++
      most = Math.max(most, open)
      return watched.enter(namespace, fn)
    },
    onResult: () => open--,
  })
  assert.ok(results.every((result) => result.outcome === 'lost'))
  assert.equal(most, 10)
  assert.deepEqual(watched.left(), [])
})

test('a probe that cannot be made is an error, not a verdict on the network', { skip }, async () => {
  using lab = createPair()
  for (const kind of ['ping', 'tcp'] as const) {
    const [result] = await runProbes([{ kind, namespace: 'gone', address: '10.0.0.2', port: 1, timeout: 100 }], lab)
    assert.equal(result?.outcome, 'error')
    assert.match(result.detail, /no namespace gone$/)
    const scoped = await probe(lab, { kind, address: 'fe80::1%nope', port: 1 })
    assert.equal(scoped.outcome, 'error')
    assert.equal(scoped.code, 'ENODEV')
  }
  assert.deepEqual(await runProbes([], lab), [])
})

test('no descriptor is left behind, not even when the caller throws', { skip }, async () => {
  using lab = createPair()
  const watched = watchSockets(lab.enter)
  const requests: ProbeRequest[] = ['10.0.0.2', '10.0.0.99', 'fd00::2'].flatMap((address) => [
    { kind: 'ping', namespace: 'a', address, timeout: 200 },
    { kind: 'http', namespace: 'a', address, port: 8080, timeout: 200 },
  ])
  await runProbes(requests, watched)
  await assert.rejects(
    runProbes(requests, {
      enter: watched.enter,
      onResult: () => {
        throw new Error('enough')
      },
    }),
    /enough/,
  )
  assert.deepEqual(watched.left(), [])
})
