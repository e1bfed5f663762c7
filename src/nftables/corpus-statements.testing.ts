/** What a rule does, in both languages; see corpus.testing.ts. */

import { type Case, inVmap, ip, l4, tcp } from './corpus-words.testing.ts'
import * as x from './expression.ts'

const { accept, concat, counter, ct, drop, flags, jump, match, meta, payload } = x

export const statements: readonly Case[] = [
  [
    [
      {
        kind: 'dnat',
        family: 'ip',
        to: {
          kind: 'map',
          key: x.numgen('inc', 3),
          map: {
            kind: 'elements',
            elements: [
              [0, '10.0.0.1'],
              [1, '10.0.0.2'],
              [2, '10.0.0.3'],
            ],
          },
        },
      },
    ],
    'dnat ip to numgen inc mod 3 map { 0 : 10.0.0.1, 1 : 10.0.0.2, 2 : 10.0.0.3 }',
  ],
  [
    [
      l4('tcp'),
      {
        kind: 'dnat',
        family: 'ip',
        to: {
          kind: 'map',
          key: x.numgen('random', 2),
          map: {
            kind: 'elements',
            elements: [
              [0, ['10.0.0.1', 80]],
              [1, ['10.0.0.2', 81]],
            ],
          },
          withPort: true,
        },
      },
    ],
    'meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.0.0.1 . 80, 1 : 10.0.0.2 . 81 }',
  ],
  [
    [
      {
        kind: 'dnat',
        family: 'ip',
        to: {
          kind: 'map',
          key: x.jhash([ip('saddr'), tcp('sport')], 2, 0xabcd),
          map: {
            kind: 'elements',
            elements: [
              [0, '10.0.0.1'],
              [1, '10.0.0.2'],
            ],
          },
        },
      },
    ],
    'dnat ip to jhash ip saddr . tcp sport mod 2 seed 0xabcd map { 0 : 10.0.0.1, 1 : 10.0.0.2 }',
  ],
  [
    [
      {
        kind: 'dnat',
        family: 'ip6',
        to: {
          kind: 'map',
          key: x.symhash(2),
          map: {
            kind: 'elements',
            elements: [
              [0, 'fd00::1'],
              [1, 'fd00::2'],
            ],
          },
        },
      },
    ],
    'dnat ip6 to symhash mod 2 map { 0 : fd00::1, 1 : fd00::2 }',
  ],
  [
    [
      {
        kind: 'dnat',
        family: 'ip',
        to: { kind: 'map', key: concat(meta('l4proto'), payload('th', 'dport')), map: inVmap('mm'), withPort: true },
      },
    ],
    'dnat ip to meta l4proto . th dport map @mm',
  ],
  [
    [{ kind: 'dnat', family: 'ip', to: { kind: 'map', key: ip('daddr'), map: inVmap('m') } }],
    'dnat ip to ip daddr map @m',
  ],
  [
    [
      {
        kind: 'dnat',
        family: 'ip',
        to: { kind: 'address', address: '10.0.0.1', last: '10.0.0.9' },
        flags: ['persistent'],
      },
    ],
    'dnat ip to 10.0.0.1-10.0.0.9 persistent',
  ],
  [[l4('udp'), x.redirect(8080)], 'meta l4proto udp redirect to :8080'],
  [
    [match(tcp('dport'), 81), { kind: 'redirect', ports: { from: 1, to: 9 }, flags: ['random'] }],
    'tcp dport 81 redirect to :1-9 random',
  ],
  [[x.setMark(1)], 'meta mark set 0x1'],
  [
    [{ kind: 'mangle', target: meta('mark'), value: { kind: 'bitwise', selector: meta('mark'), mask: 0xfe, xor: 1 } }],
    'meta mark set meta mark & 0xfe ^ 0x1',
  ],
  [
    [{ kind: 'mangle', target: meta('mark'), value: { kind: 'selector', selector: ct('mark') } }],
    'meta mark set ct mark',
  ],
  [
    [{ kind: 'mangle', target: ct('mark'), value: { kind: 'selector', selector: meta('mark') } }],
    'ct mark set meta mark',
  ],
  [[{ kind: 'mangle', target: ct('mark'), value: { kind: 'value', value: 5 } }], 'ct mark set 0x5'],
  [
    [
      {
        kind: 'mangle',
        target: meta('mark'),
        value: { kind: 'map', key: ip('saddr'), map: { kind: 'elements', elements: [['1.2.3.4', 5]] } },
      },
    ],
    'meta mark set ip saddr map { 1.2.3.4 : 0x5 }',
  ],
  [
    [
      {
        kind: 'mangle',
        target: meta('mark'),
        value: { kind: 'selector', selector: { kind: 'numgen', mode: 'random', modulus: 16, offset: 3 } },
      },
    ],
    'meta mark set numgen random mod 16 offset 3',
  ],
  [
    [{ kind: 'mangle', target: meta('mark'), value: { kind: 'selector', selector: x.jhash([ip('saddr')], 16) } }],
    'meta mark set jhash ip saddr mod 16',
  ],
  [
    [{ kind: 'dynset', op: 'update', set: 'dyn', key: ip('saddr'), timeout: 10_000 }],
    'update @dyn { ip saddr timeout 10s }',
  ],
  [
    [
      {
        kind: 'dynset',
        op: 'add',
        set: 'dyn',
        key: ip('saddr'),
        stateful: [{ kind: 'limit', rate: 1, per: 'second', unit: 'packets', burst: 5 }],
      },
      accept,
    ],
    'add @dyn { ip saddr limit rate 1/second burst 5 packets } accept',
  ],
  [[jump('other')], 'jump other'],
]

export const postrouting: readonly Case[] = [
  [
    [match(ip('saddr'), '10.0.0.0/24'), match(meta('oifname'), 'eth0'), counter, x.masquerade()],
    'ip saddr 10.0.0.0/24 oifname "eth0" counter masquerade comment "x"',
    'x',
  ],
  [
    [
      match(ct('status'), flags('dnat')),
      match(ip('saddr'), '10.0.0.0/24'),
      match(ip('daddr'), '10.0.0.0/24'),
      x.masquerade(),
    ],
    'ct status dnat ip saddr 10.0.0.0/24 ip daddr 10.0.0.0/24 masquerade',
  ],
  [[x.masquerade('random', 'persistent')], 'masquerade random,persistent'],
  [
    [match(tcp('dport'), 1), { kind: 'masquerade', ports: { from: 1024, to: 2000 } }],
    'tcp dport 1 masquerade to :1024-2000',
  ],
  [[x.snat('1.2.3.4')], 'snat ip to 1.2.3.4'],
]

export const forward: readonly Case[] = [
  [[{ kind: 'reject', with: { kind: 'icmpx', code: 'port-unreachable' } }], 'reject with icmpx port-unreachable'],
  [[{ kind: 'reject', with: { kind: 'tcp reset' } }], 'reject with tcp reset'],
  [[{ kind: 'reject', with: { kind: 'icmp', code: 'host-unreachable' } }], 'reject with icmp host-unreachable'],
  [[{ kind: 'reject', with: { kind: 'icmpv6', code: 'admin-prohibited' } }], 'reject with icmpv6 admin-prohibited'],
  [
    [match(ip('saddr'), '1.2.3.4'), { kind: 'reject', with: { kind: 'icmp', code: 'port-unreachable' } }],
    'ip saddr 1.2.3.4 reject with icmp port-unreachable',
  ],
  [
    [{ kind: 'limit', rate: 10, per: 'second', unit: 'packets', burst: 5 }, accept],
    'limit rate 10/second burst 5 packets accept',
  ],
  [
    [{ kind: 'limit', rate: 1_048_576, per: 'minute', unit: 'bytes', burst: 0, over: true }, drop],
    'limit rate over 1048576 bytes/minute drop',
  ],
  [[{ kind: 'quota', bytes: 10_485_760, over: true }, drop], 'quota over 10485760 bytes drop'],
  [[{ kind: 'connlimit', count: 3, over: true }, drop], 'ct count over 3 drop'],
  [[{ kind: 'log', prefix: 'hello ', group: 3 }], 'log prefix "hello " group 3'],
  [
    [{ kind: 'log', prefix: 'x', group: 3, snaplen: 10, queueThreshold: 5 }],
    'log prefix "x" group 3 snaplen 10 queue-threshold 5',
  ],
  [
    [{ kind: 'log', level: 'debug', flags: ['tcp sequence', 'tcp options', 'ip options', 'skuid', 'ether'] }],
    'log level debug flags all',
  ],
  [[{ kind: 'log' }], 'log'],
  [[{ kind: 'notrack' }], 'notrack'],
  [[{ kind: 'mangle', target: ip('daddr'), value: { kind: 'value', value: '1.2.3.4' } }], 'ip daddr set 1.2.3.4'],
  [[{ kind: 'mangle', target: tcp('dport'), value: { kind: 'value', value: 80 } }], 'tcp dport set 80'],
  [[{ kind: 'mangle', target: ct('zone'), value: { kind: 'value', value: 3 } }], 'ct zone set 3'],
  [[{ kind: 'mangle', target: meta('nftrace'), value: { kind: 'value', value: 1 } }], 'meta nftrace set 1'],
  [[match(meta('pkttype'), 'broadcast'), drop], 'meta pkttype broadcast drop'],
  [[match(meta('skuid'), 0), accept], 'meta skuid 0 accept'],
  [[match({ kind: 'socket', key: 'transparent' }, 1), accept], 'socket transparent 1 accept'],
  [[match({ kind: 'rt', key: 'ip nexthop' }, '1.2.3.4'), accept], 'rt ip nexthop 1.2.3.4 accept'],
  [[match(ip('frag-off'), 100, '>='), drop], 'ip frag-off >= 100 drop'],
  [
    [match(payload('udp', 'sport'), 68), match(payload('udp', 'dport'), 67), accept],
    'udp sport 68 udp dport 67 accept',
  ],
  [[{ kind: 'continue' }], 'continue'],
  [[{ kind: 'return' }], 'return'],
  [[x.goto('other')], 'goto other'],
]
