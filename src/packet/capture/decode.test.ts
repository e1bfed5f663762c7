/** Packets in words; and whatever the bytes are, no exception. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { random } from '../test-random.ts'
import { decodePacket } from './decode.ts'
import { ethernet, ipv4, ipv6, randomFrame, two, udp } from './test-packets.ts'
import { describe, formatPacket, packetJson } from './text.ts'

const brief = { isVerbose: false }
const words = (frame: Uint8Array, options = brief): string => describe(decodePacket(frame, true), options)

const four = (value: number): number[] => [...two(value >>> 16), ...two(value & 0xffff)]
const tcp = (flags: number, rest: { options?: number[]; data?: number[] } = {}): number[] => {
  const { options = [], data = [] } = rest
  const offset = (5 + options.length / 4) << 4
  return [
    ...two(40000),
    ...two(80),
    ...four(1000),
    ...four(2000),
    offset,
    flags,
    ...two(64240),
    0,
    0,
    0,
    0,
    ...options,
    ...data,
  ]
}
const name = (text: string): number[] => [...text.split('.').flatMap((l) => [l.length, ...Buffer.from(l)]), 0]
const target6 = [...Buffer.from('fd000000000000000000000000000009', 'hex')]

/** example.com asked and answered, the answer's name a pointer to the question's */
const question = [...name('example.com'), 0, 1, 0, 1]
const answer = [0xc0, 12, 0, 1, 0, 1, ...four(300), 0, 4, 192, 0, 2, 1]
const alias = [0xc0, 12, 0, 5, 0, 1, ...four(300), 0, 6, 3, ...Buffer.from('www'), 0xc0, 12]
const dns = (flags: number, answers: number[][]): number[] => [
  ...two(4321),
  ...two(flags),
  ...two(1),
  ...two(answers.length),
  0,
  0,
  0,
  0,
  ...question,
  ...answers.flat(),
]

test('packets in words', () => {
  const quoted = ipv4(17, udp(4000, 53, [1, 2])).slice(0, 28)
  const quotedTcp = ipv4(6, tcp(2)).slice(0, 28)
  const inner = [...ethernet(0x0800, ipv4(1, [8, 0, 0, 0, 0, 7, 0, 1, 1, 2]))]
  const arp = (operation: number, sender: number[], target: number[]): number[] => [
    0,
    1,
    8,
    0,
    6,
    4,
    ...two(operation),
    2,
    0,
    0,
    0,
    0,
    1,
    ...sender,
    0,
    0,
    0,
    0,
    0,
    0,
    ...target,
  ]
  const cases: [number, number[], string][] = [
    [0x0806, arp(1, [10, 0, 0, 1], [10, 0, 0, 2]), 'ARP who has 10.0.0.2? tell 10.0.0.1'],
    [0x0806, arp(2, [10, 0, 0, 1], [10, 0, 0, 2]), 'ARP 10.0.0.1 is at 02:00:00:00:00:01'],
    [0x0806, arp(1, [10, 0, 0, 1], [10, 0, 0, 1]), 'ARP 10.0.0.1 is at 02:00:00:00:00:01, says itself'],
    [0x0806, arp(1, [0, 0, 0, 0], [10, 0, 0, 2]), 'ARP who has 10.0.0.2? a probe'],
    [0x0800, ipv4(1, [8, 0, 0, 0, 0, 7, 0, 1, 1, 2]), '10.0.0.1 > 10.0.0.2 ICMP echo request, id 7, seq 1, 2 bytes'],
    [0x0800, ipv4(1, [0, 0, 0, 0, 0, 7, 0, 1]), '10.0.0.1 > 10.0.0.2 ICMP echo reply, id 7, seq 1, 0 bytes'],
    [
      0x0800,
      ipv4(1, [3, 3, 0, 0, 0, 0, 0, 0, ...quoted]),
      '10.0.0.1 > 10.0.0.2 ICMP destination port unreachable, about 10.0.0.1:4000 > 10.0.0.2:53 UDP, 2 bytes',
    ],
    [
      0x0800,
      ipv4(1, [3, 4, 0, 0, 0, 0, ...two(1400), ...quotedTcp]),
      '10.0.0.1 > 10.0.0.2 ICMP fragmentation needed, MTU 1400, about 10.0.0.1:40000 > 10.0.0.2:80 TCP',
    ],
    [
      0x0800,
      ipv4(1, [5, 1, 0, 0, 10, 0, 0, 254, ...quotedTcp]),
      '10.0.0.1 > 10.0.0.2 ICMP redirect to 10.0.0.254, about 10.0.0.1:40000 > 10.0.0.2:80 TCP',
    ],
    [0x0800, ipv4(1, [13, 0, 0, 0, 0, 0, 0, 0]), '10.0.0.1 > 10.0.0.2 ICMP timestamp request'],
    [0x0800, ipv4(1, [99, 7, 0, 0, 0, 0, 0, 0]), '10.0.0.1 > 10.0.0.2 ICMP type 99, code 7'],
    [
      0x0800,
      ipv4(6, tcp(2, { options: [2, 4, ...two(1460), 1, 3, 3, 7] })),
      '10.0.0.1:40000 > 10.0.0.2:80 TCP SYN, seq 1000, window 64240, mss 1460',
    ],
    [0x0800, ipv4(6, tcp(0x12)), '10.0.0.1:40000 > 10.0.0.2:80 TCP SYN ACK, seq 1000, ack 2000, window 64240'],
    [0x0800, ipv4(6, tcp(0x10)), '10.0.0.1:40000 > 10.0.0.2:80 TCP ACK, ack 2000'],
    [
      0x0800,
      ipv4(6, tcp(0x18, { data: [1, 2, 3] })),
      '10.0.0.1:40000 > 10.0.0.2:80 TCP PSH ACK, seq 1000, ack 2000, 3 bytes',
    ],
    [0x0800, ipv4(6, tcp(0x04)), '10.0.0.1:40000 > 10.0.0.2:80 TCP RST, seq 1000'],
    [0x0800, ipv4(6, tcp(0)), '10.0.0.1:40000 > 10.0.0.2:80 TCP no flags, seq 1000'],
    [0x0800, ipv4(17, udp(5, 6, [1])), '10.0.0.1:5 > 10.0.0.2:6 UDP, 1 byte'],
    [0x86dd, ipv6(17, udp(5, 6, [1, 2])), '[fd00::1]:5 > [fd00::2]:6 UDP, 2 bytes'],
    [0x0800, ipv4(17, udp(4000, 53, dns(0x0100, []))), '10.0.0.1:4000 > 10.0.0.2:53 DNS 4321 A example.com?'],
    [
      0x0800,
      ipv4(17, udp(53, 4000, dns(0x8180, [alias, answer]))),
      '10.0.0.1:53 > 10.0.0.2:4000 DNS 4321 A example.com: CNAME www.example.com, A 192.0.2.1',
    ],
    [0x0800, ipv4(17, udp(53, 4000, dns(0x8183, []))), '10.0.0.1:53 > 10.0.0.2:4000 DNS 4321 A example.com: NXDOMAIN'],
    [
      0x0800,
      ipv4(17, udp(53, 4000, dns(0x8180, []))),
      '10.0.0.1:53 > 10.0.0.2:4000 DNS 4321 A example.com: no such record',
    ],
    [
      0x0800,
      ipv4(17, udp(4000, 4789, [8, 0, 0, 0, 0, 0, 42, 0, ...inner])),
      '10.0.0.1:4000 > 10.0.0.2:4789 VXLAN 42: 10.0.0.1 > 10.0.0.2 ICMP echo request, id 7, seq 1, 2 bytes',
    ],
    [0x0800, ipv4(17, udp(4000, 8472, [0, 0, 0, 0, 0, 0, 42, 0, 1])), '10.0.0.1:4000 > 10.0.0.2:8472 UDP, 9 bytes'],
    [
      0x0800,
      ipv4(17, [...udp(5, 6, [1, 2, 3])], { fragment: 0x2000 }),
      '10.0.0.1:5 > 10.0.0.2:6 fragment 7 at 0, UDP, 3 bytes',
    ],
    [0x0800, ipv4(17, [1, 2, 3], { fragment: 185 }), '10.0.0.1 > 10.0.0.2 UDP, fragment 7 at 1480, the last, 3 bytes'],
    [0x0800, ipv4(47, [0, 0, 8, 0]), '10.0.0.1 > 10.0.0.2 GRE, 4 bytes'],
    [0x0800, ipv4(200, [0]), '10.0.0.1 > 10.0.0.2 protocol 200, 1 byte'],
    [0x0800, ipv4(4, ipv4(17, udp(5, 6, []))), '10.0.0.1 > 10.0.0.2 10.0.0.1:5 > 10.0.0.2:6 UDP, 0 bytes'],
    [0x86dd, ipv6(58, [135, 0, 0, 0, 0, 0, 0, 0, ...target6]), 'fd00::1 > fd00::2 ICMPv6 who has fd00::9?'],
    [
      0x86dd,
      ipv6(58, [136, 0, 0, 0, 0, 0, 0, 0, ...target6, 2, 1, 2, 0, 0, 0, 0, 9]),
      'fd00::1 > fd00::2 ICMPv6 fd00::9 is at 02:00:00:00:00:09',
    ],
    [
      0x86dd,
      ipv6(58, [133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 9]),
      'fd00::1 > fd00::2 ICMPv6 router solicitation, from 02:00:00:00:00:09',
    ],
    [
      0x86dd,
      ipv6(58, [1, 4, 0, 0, 0, 0, 0, 0, ...ipv6(17, udp(5, 6, [1]))]),
      'fd00::1 > fd00::2 ICMPv6 destination port unreachable, about [fd00::1]:5 > [fd00::2]:6 UDP, 1 byte',
    ],
    [
      0x86dd,
      ipv6(0, [58, 0, 5, 2, 0, 0, 1, 0, 143, 0, 0, 0, 0, 0, 0, 1]),
      'fd00::1 > fd00::2 ICMPv6 multicast listener report',
    ],
    [
      0x86dd,
      ipv6(44, [17, 0, ...two(1480), 0, 0, 0, 3, 9]),
      'fd00::1 > fd00::2 UDP, fragment 3 at 1480, the last, 1 byte',
    ],
    [
      0x8100,
      [...two(0x2005), ...two(0x0800), ...ipv4(17, udp(5, 6, []))],
      'VLAN 5 10.0.0.1:5 > 10.0.0.2:6 UDP, 0 bytes',
    ],
    [0x88cc, [1, 2, 3], '02:00:00:00:00:01 > 02:00:00:00:00:02 LLDP, 3 bytes'],
    [0x0026, [0x42, 0x42, 3], '02:00:00:00:00:01 > 02:00:00:00:00:02 STP, 3 bytes'],
    [0x4242, [1], '02:00:00:00:00:01 > 02:00:00:00:00:02 EtherType 0x4242, 1 byte'],
    [0x0800, [0x45, 0], '02:00:00:00:00:01 > 02:00:00:00:00:02 IPv4, broken: 2 bytes'],
    [0x0800, ipv4(17, [0, 1, 2]), '10.0.0.1 > 10.0.0.2 UDP, broken: 3 bytes'],
    [0x0806, [0, 1], '02:00:00:00:00:01 > 02:00:00:00:00:02 ARP, broken: 2 bytes'],
  ]
  for (const [type, payload, expected] of cases) {
    assert.equal(words(ethernet(type, payload)), expected)
  }
})

test('details on request, packets without a link header, the whole line', () => {
  const packet = ipv4(17, udp(5, 6, [1]))
  assert.equal(
    words(ethernet(0x0800, packet), { isVerbose: true }),
    '02:00:00:00:00:01 > 02:00:00:00:00:02 10.0.0.1:5 > 10.0.0.2:6 (ttl 64, id 7) UDP, 1 byte',
  )
  const layers = decodePacket(Uint8Array.from(packet), false)
  assert.equal(describe(layers, brief), '10.0.0.1:5 > 10.0.0.2:6 UDP, 1 byte')
  const head = { seconds: 1_700_000_000, nanoseconds: 5_000, where: 'a:v0', isOutgoing: true, length: 29 }
  assert.match(formatPacket(head, layers, 8, brief), /^\d\d:\d\d:20\.000005 a:v0 {5}out 10\.0\.0\.1:5 > /)
  assert.deepEqual(JSON.parse(JSON.stringify(packetJson(head, layers))), {
    time: '2023-11-14T22:13:20.000005000Z',
    where: 'a:v0',
    direction: 'out',
    length: 29,
    layers: JSON.parse(JSON.stringify(layers)),
  })
})

test('padding of short Ethernet frames is no data', () => {
  assert.equal(
    words(ethernet(0x0800, [...ipv4(17, udp(5, 6, [1])), ...Array<number>(17).fill(0)])),
    '10.0.0.1:5 > 10.0.0.2:6 UDP, 1 byte',
  )
})

test('tunnels in tunnels end somewhere', () => {
  let packet = ipv4(17, udp(5, 6, []))
  for (let i = 0; i < 200; i++) packet = ipv4(4, packet)
  assert.match(words(ethernet(0x0800, packet)), /broken/)
  assert.ok(decodePacket(ethernet(0x0800, packet), true).length < 20)
})

test('a DNS name that points to itself ends', () => {
  const loop = [...two(1), 0, 0, ...two(1), 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1]
  assert.match(words(ethernet(0x0800, ipv4(17, udp(4000, 53, loop)))), /DNS 1 \?/)
})

test('random, mutated and truncated packets never throw, and never write to a terminal what they like', () => {
  const next = random(1234)
  const seeds = [
    ethernet(0x0800, ipv4(17, udp(53, 4000, dns(0x8180, [alias, answer, answer])))),
    ethernet(
      0x0800,
      ipv4(
        17,
        udp(1, 4789, [8, 0, 0, 0, 0, 0, 1, 0, ...ethernet(0x86dd, ipv6(6, tcp(2, { options: [2, 4, 5, 180] })))]),
      ),
    ),
    ethernet(0x86dd, ipv6(58, [136, 0, 0, 0, 0, 0, 0, 0, ...target6, 2, 1, 2, 0, 0, 0, 0, 9])),
    ethernet(
      0x86dd,
      ipv6(0, [44, 0, 0, 0, 0, 0, 0, 0, 58, 0, 0, 1, 0, 0, 0, 1, 1, 4, 0, 0, 0, 0, 0, 0, ...ipv4(1, [3, 3, 0, 0])]),
    ),
    ethernet(0x8100, [...two(5), ...two(0x8100), ...two(6), ...two(0x0800), ...ipv4(6, tcp(0x12))]),
  ]
  for (let i = 0; i < 40_000; i++) {
    const frame = next(3) === 0 ? randomFrame(next) : Uint8Array.from(seeds[next(seeds.length)] ?? [])
    for (let flips = next(6); flips > 0; flips--) frame[next(frame.length)] = next(256)
    const cut = next(2) === 0 ? frame : frame.subarray(0, next(frame.length + 1))
    const layers = decodePacket(cut, next(5) > 0)
    assert.match(describe(layers, { isVerbose: next(2) === 0 }), /^[\x20-\x7e]+$/)
    JSON.stringify(layers)
  }
})
