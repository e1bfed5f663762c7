/** Filters held against those that tcpdump compiles, packet by packet, and what is said about wrong ones. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../../test/support/need.ts'
import { runSync } from '../../../test/support/run.ts'
import { random } from '../test-random.ts'
import { type Instruction, instruction, RETURN } from './bpf.ts'
import { FilterError, parseFilter } from './filter.ts'
import { compileCapture, compileForEthernet } from './filter-compile.ts'
import { randomFrame, runProgram } from './test-packets.ts'

const conditions = [
  'ip',
  'ip6',
  'arp',
  'rarp',
  'tcp',
  'udp',
  'icmp',
  'icmp6',
  'sctp',
  'igmp',
  'host 10.0.0.1',
  'src host 10.0.0.1',
  'dst 10.0.0.2',
  'src or dst host 10.0.0.1',
  'src and dst 10.0.0.1',
  'ip host 10.0.0.1',
  'arp host 10.0.0.2',
  'rarp src host 10.0.0.2',
  'host fd00::1',
  'ip6 dst host fd00::2',
  'net 10.0.0.0/8',
  'net 10.1',
  'src net 192.168',
  'net 10',
  'net 10.0.0.0 mask 255.255.0.0',
  'src net 10.0.0.0/24',
  'net 0.0.0.0/0',
  'net fd00::/16',
  'dst net fe80::/10',
  'src net fd00::/120',
  'port 80',
  'tcp port 80',
  'udp dst port 53',
  'src port domain',
  'tcp src or dst port https',
  'src and dst port 80',
  'sctp port 22',
  'portrange 8000-8080',
  'udp src portrange 50-90',
  'tcp dst portrange 8080-80',
  'ip proto 47',
  'ip6 proto 58',
  'proto 132',
  'ip proto \\udp',
  'ether proto 0x88cc',
  'ether proto \\arp',
  'ether host 02:00:00:00:00:01',
  'ether src 02:00:00:00:00:02',
  'ether dst 2:0:0:0:0:2',
  'less 150',
  'greater 200',
  'broadcast',
  'ether multicast',
  'multicast',
  'ip multicast',
  'ip6 multicast',
]

const compound = [
  'not arp',
  '!tcp && !udp',
  'port 80 or 443',
  'tcp port 80 or 443 or 22',
  'not port 80 and not 443',
  'host 10.0.0.1 and 10.0.0.2',
  'not host 10.0.0.1 and 10.0.0.2',
  'port (80 or 443)',
  'host (10.0.0.1 or 10.0.0.2) and udp',
  'tcp and (port 80 or port 443) and not src net 10.0.0.0/24',
  'arp or icmp or icmp6',
  'tcp or udp and port 53',
  'udp and port 53 or tcp',
  'not (ip6 or arp)',
  '(tcp)',
  'not not ip',
  'ip and ip6',
  'src host 10.0.0.1 and (dst port 80 or dst host 10.0.0.2)',
  'tcp dst port 80 and src 10.0.0.1 or 10.0.0.2',
]

/** As `tcpdump -dd` compiles it. */
function compileWithTcpdump(filter: string): Instruction[] {
  const { stdout: text, stderr, status } = runSync('tcpdump', ['-y', 'EN10MB', '-dd', filter])
  // a program that lets nothing through is refused
  if (stderr.includes('rejects all packets')) return [instruction(RETURN, 0)]
  assert.equal(status, 0, stderr)
  return [...text.matchAll(/\{ (0x[0-9a-f]+), (\d+), (\d+), (0x[0-9a-f]+) \}/g)].map(([, code, jt, jf, k]) =>
    instruction(Number(code), Number(k), Number(jt), Number(jf)),
  )
}

function compile(filter: string): Instruction[] {
  const parsed = parseFilter(filter)
  assert.ok(parsed, filter)
  return compileForEthernet(parsed)
}

const frames = (() => {
  const next = random(41)
  return Array.from({ length: 2000 }, () => randomFrame(next))
})()

/** The frames on which the two disagree. */
function disagreements(ours: readonly Instruction[], theirs: readonly Instruction[]): string[] {
  return frames
    .filter((bytes) => runProgram(ours, { bytes }) > 0 !== runProgram(theirs, { bytes }) > 0)
    .map((bytes) => Buffer.from(bytes).toString('hex'))
}

/** Random conditions joined at random. */
function randomFilter(next: (limit: number) => number, depth: number): string {
  if (depth === 0 || next(4) === 0) {
    // joined ones must not lend their words to each other here: that has cases of its own above
    return `(${conditions[next(conditions.length)]})`
  }
  const joint = next(2) === 0 ? 'and' : 'or'
  const [left, right] = [randomFilter(next, depth - 1), randomFilter(next, depth - 1)]
  return next(3) === 0 ? `not (${left} ${joint} ${right})` : `(${left} ${joint} ${right})`
}

test('every condition decides as that of tcpdump does', { skip: needs('tcpdump'), timeout: 120_000 }, () => {
  for (const filter of [...conditions, ...compound]) {
    assert.deepEqual(disagreements(compile(filter), compileWithTcpdump(filter)), [], filter)
  }
})

test('every condition is met by some packets and not by others: the comparison above can fail', {
  timeout: 60_000,
}, () => {
  const oneSided = [...conditions, ...compound].filter((filter) => {
    const accepted = frames.filter((bytes) => runProgram(compile(filter), { bytes }) > 0).length
    return accepted === 0 || accepted === frames.length
  })
  assert.deepEqual(oneSided, ['ip and ip6'])
})

test('random filters decide as those of tcpdump do', { skip: needs('tcpdump'), timeout: 120_000 }, () => {
  const next = random(97)
  for (let i = 0; i < 60; i++) {
    const filter = randomFilter(next, 1 + next(5))
    assert.deepEqual(disagreements(compile(filter), compileWithTcpdump(filter)), [], filter)
  }
})

test('a long filter has targets farther than a condition can skip', { timeout: 60_000 }, () => {
  const hosts = Array.from({ length: 120 }, (_, i) => `host 10.9.${i}.1`)
  const program = compile(`${hosts.join(' or ')} or 10.0.0.1`)
  assert.ok(program.length > 700)
  assert.deepEqual(disagreements(program, compile('host 10.0.0.1')), [])
  assert.deepEqual(disagreements(compile(`not (${hosts.join(' or ')} or 10.0.0.1)`), compile('not host 10.0.0.1')), [])
})

test('a capture takes its devices alone, loopback once, and packets without a link header', () => {
  const filter = parseFilter('tcp port 80')
  const ethernet = frames.find((bytes) => runProgram(compile('ip and tcp port 80'), { bytes }) > 0)
  assert.ok(ethernet && filter)
  const passes = (program: readonly Instruction[], frame: Parameters<typeof runProgram>[1]): boolean =>
    runProgram(program, frame) > 0
  const chosen = compileCapture(filter, [3, 7])
  assert.deepEqual(
    [1, 3, 7].map((device) => passes(chosen, { bytes: ethernet, device })),
    [false, true, true],
  )
  const all = compileCapture(filter)
  const ARPHRD_NONE = 0xfffe
  assert.equal(passes(all, { bytes: ethernet.subarray(14), hardware: ARPHRD_NONE }), true)
  assert.equal(passes(all, { bytes: ethernet, hardware: ARPHRD_NONE }), false)
  for (const program of [all, compileCapture(undefined)]) {
    assert.equal(passes(program, { bytes: ethernet, hardware: 772, packetType: 0 }), true)
    assert.equal(passes(program, { bytes: ethernet, hardware: 772, packetType: 4 }), false)
    assert.equal(passes(program, { bytes: ethernet, packetType: 4 }), true)
  }
  assert.equal(passes(compileCapture(undefined, []), { bytes: ethernet }), false)
  assert.equal(
    passes(compileCapture(parseFilter('ether host 02:00:00:00:00:01')), {
      bytes: ethernet.subarray(14),
      hardware: ARPHRD_NONE,
    }),
    false,
  )
  assert.throws(
    () =>
      compileCapture(
        undefined,
        Array.from({ length: 5000 }, (_, i) => i),
      ),
    RangeError,
  )
})

test('errors point at the word and say what would be right', () => {
  const cases: [filter: string, word: string, message: RegExp, hint: RegExp][] = [
    ['prot 80', 'prot', /no word of the filter language/, /port/],
    ['tcp prot 80', 'prot', /cannot follow/, /and, or/],
    ['tcp port eighty', 'eighty', /port wants a number/, /port 80/],
    ['port 70000', '70000', /up to 65535/, /port 80/],
    ['portrange 5-x', '5-x', /two numbers/, /8000-8080/],
    ['host 10.0.0', '10.0.0', /network, not a host/, /net 10\.0\.0/],
    ['host 10.0.0.300', '10.0.0.300', /not an address/, /host 10/],
    ['net 10.0.0.1/8', '10.0.0.1/8', /beyond its prefix/, /net 10\.0\.0\.0\/8/],
    ['net 10.0.0.0/33', '10.0.0.0/33', /not a network/, /net/],
    ['icmp port 80', 'icmp', /icmp has no ports/, /tcp port 80/],
    ['tcp host 10.0.0.1', 'tcp', /does not go with/, /tcp and host 10\.0\.0\.1/],
    ['ip6 host 10.0.0.1', '10.0.0.1', /address of IPv4/, /ip host 10\.0\.0\.1/],
    ['host 02:00:00:00:00:01', 'host', /ether host/, /ether host 02/],
    ['ether host 10.0.0.1', 'ether', /does not go with/, /ether host/],
    ['tcp and', ' ', /ends where a condition is wanted/, /port 80/],
    ['(tcp or udp', '(', /not closed/, /\)/],
    ['tcp)', ')', /never opened/, /take it away/],
    ['tcp udp', 'udp', /cannot follow/, /and, or/],
    ['tcp or or udp', 'or', /stands alone/, /a condition is/],
    ['80', '80', /alone is no address/, /port 80/],
    ['vlan 5', 'vlan', /does not have vlan/, /tags/],
    ['tcp[13] & 2 != 0', 'tcp[13]', /comparisons of bytes/, /tcpdump/],
    ['less many', 'many', /number of bytes/, /less 128/],
    ['ether proto 5', '5', /EtherType/, /0x88cc/],
    ['ip proto nonsense', 'nonsense', /a name or a number/, /gre/],
    ['src proto 6', 'src', /no direction/, /ip proto/],
    ['tcp broadcast', 'broadcast', /tcp has no broadcast/, /ether broadcast/],
    ['host', ' ', /host wants a value/, /host 10/],
    ['ether', ' ', /ether wants more/, /ether host/],
    ['host 10.0.0.1 mask 255.0.0.0', '255.0.0.0', /only net has a mask/, /net/],
    ['net 10.0.0.0 mask 255.0.255.0', '10.0.0.0', /not a network/, /net/],
  ]
  for (const [filter, word, message, hint] of cases) {
    assert.throws(
      () => parseFilter(filter),
      (error) => {
        assert.ok(error instanceof FilterError, filter)
        assert.equal(`${filter} `.slice(error.at, error.at + error.length), word, filter)
        assert.match(error.message, message, filter)
        assert.match(error.hint, hint, filter)
        return true
      },
      filter,
    )
  }
})

test('random words never do anything else than parse or be refused with a place in the filter', () => {
  const next = random(7)
  const words = 'tcp port 80 host 10.0.0.1 and or not ( ) net src dst ether ip6 less portrange 5-9 mask x [ 10/8'.split(
    ' ',
  )
  let parsed = 0
  for (let i = 0; i < 20_000; i++) {
    const filter = Array.from({ length: 1 + next(6) }, () => words[next(words.length)]).join(' ')
    try {
      const tree = parseFilter(filter)
      if (tree) compileForEthernet(tree)
      parsed++
    } catch (error) {
      assert.ok(error instanceof FilterError, `${filter}: ${error}`)
      assert.ok(error.at >= 0 && error.at <= filter.length, filter)
      assert.notEqual(error.hint, '')
    }
  }
  assert.ok(parsed > 500, `${parsed}`)
})

test('an empty filter is none', () => {
  assert.equal(parseFilter(''), undefined)
  assert.equal(parseFilter('  '), undefined)
})
