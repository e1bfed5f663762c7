/** What a rule looks at, in both languages; see corpus.testing.ts. */

import { type Case, inVmap, ip, ip6, l4, tcp } from './corpus-words.testing.ts'
import * as x from './expression.ts'

const {
  accept,
  concat,
  counter,
  ct,
  ctState,
  dnat,
  drop,
  fib,
  flags,
  inSet,
  jump,
  match,
  meta,
  oneOf,
  payload,
  range,
} = x

export const matches: readonly Case[] = [
  [
    [match(ip('saddr'), '10.0.0.0/24'), match(meta('oifname'), 'eth0'), counter],
    'ip saddr 10.0.0.0/24 oifname "eth0" counter comment "x"',
    'x',
  ],
  [[match(ip('saddr'), '10.0.0.0/23'), accept], 'ip saddr 10.0.0.0/23 accept'],
  [[match(ip('saddr'), '10.0.0.0/24', '!='), accept], 'ip saddr != 10.0.0.0/24 accept'],
  [[match(ip('saddr'), '10.1.2.3', '!='), accept], 'ip saddr != 10.1.2.3 accept'],
  [[match(ip('saddr'), '1.2.3.4'), match(ip('daddr'), '5.6.7.8'), drop], 'ip saddr 1.2.3.4 ip daddr 5.6.7.8 drop'],
  [[match(ip6('saddr'), 'fe80::/10'), drop], 'ip6 saddr fe80::/10 drop'],
  [[match(ip6('daddr'), '2001:db8::/32'), drop], 'ip6 daddr 2001:db8::/32 drop'],
  [[match(ip6('saddr'), '::1'), match(ip6('daddr'), '::2'), accept], 'ip6 saddr ::1 ip6 daddr ::2 accept'],
  [
    [match(ip('daddr'), '192.168.56.12'), match(tcp('dport'), 80), dnat('10.0.0.101', 8080)],
    'ip daddr 192.168.56.12 tcp dport 80 dnat ip to 10.0.0.101:8080',
  ],
  [
    [match(fib(['daddr'], 'type'), 'local'), match(tcp('dport'), 80), dnat('10.0.0.5', 90)],
    'fib daddr type local tcp dport 80 dnat ip to 10.0.0.5:90',
  ],
  [
    [
      match(ip6('daddr'), '::1'),
      match(tcp('dport'), 1),
      { kind: 'dnat', family: 'ip6', to: { kind: 'address', address: 'fe80::2', ports: { from: 80, to: 90 } } },
    ],
    'ip6 daddr ::1 tcp dport 1 dnat ip6 to [fe80::2]:80-90',
  ],
  [[match(ip('saddr'), inSet('s4')), accept], 'ip saddr @s4 accept'],
  [[match(ip('saddr'), inSet('s4'), '!='), accept], 'ip saddr != @s4 accept'],
  [
    [match(concat(ip('saddr'), ip('protocol'), payload('th', 'dport')), inSet('sc')), accept],
    'ip saddr . ip protocol . th dport @sc accept',
  ],
  [[match(concat(ip('saddr'), tcp('dport')), inSet('ci')), accept], 'ip saddr . tcp dport @ci accept'],
  [[match(meta('iifname'), inSet('ifs')), accept], 'iifname @ifs accept'],
  [[match(tcp('dport'), oneOf(80, 443)), accept], 'tcp dport { 80, 443 } accept'],
  [[match(tcp('dport'), oneOf(1, 2), '!='), accept], 'tcp dport != { 1, 2 } accept'],
  [[match(tcp('dport'), range(1000, 2000)), accept], 'tcp dport 1000-2000 accept'],
  [[match(tcp('dport'), range(1000, 2000), '!='), accept], 'tcp dport != 1000-2000 accept'],
  [[match(tcp('dport'), oneOf('80-90', 443)), accept], 'tcp dport { 80-90, 443 } accept'],
  [[match(ip('saddr'), oneOf('1.2.3.4', '10.0.0.0/7')), accept], 'ip saddr { 1.2.3.4, 10.0.0.0/7 } accept'],
  [
    [match(concat(ip('saddr'), tcp('dport')), oneOf(['1.2.3.4', 99], ['10.0.0.0/8', '80-90'])), accept],
    'ip saddr . tcp dport { 1.2.3.4 . 99, 10.0.0.0/8 . 80-90 } accept',
  ],
  [
    [match(concat(ip('saddr'), tcp('dport')), oneOf(['1.2.3.4', 80], ['1.2.3.4', 81])), accept],
    'ip saddr . tcp dport { 1.2.3.4 . 80, 1.2.3.4 . 81 } accept',
  ],
  [
    [match(concat(meta('iifname'), ip('saddr')), oneOf(['eth0', '1.2.3.4'])), accept],
    'iifname . ip saddr { "eth0" . 1.2.3.4 } accept',
  ],
  [[match(tcp('sport'), 1), match(tcp('dport'), 2), accept], 'tcp sport 1 tcp dport 2 accept'],
  [[match(ip('ttl'), 1), match(ip('protocol'), 'tcp'), accept], 'ip ttl 1 ip protocol tcp accept'],
  [[match(ip('ttl'), 64, '>'), accept], 'ip ttl > 64 accept'],
  [[match(ip('dscp'), 4), accept], 'ip dscp 4 accept'],
  [[match(meta('nfproto'), 'ipv4'), accept], 'meta nfproto ipv4 accept'],
  [[l4('tcp'), accept], 'meta l4proto tcp accept'],
  [[match(ip('protocol'), 'udp'), accept], 'ip protocol udp accept'],
  [
    [match(meta('l4proto'), oneOf('tcp', 'udp')), match(payload('th', 'dport'), 53), accept],
    'meta l4proto { tcp, udp } th dport 53 accept',
  ],
  [[match(ct('status'), flags('dnat')), accept], 'ct status dnat accept'],
  [[match({ kind: 'and', of: ct('status'), mask: 'dnat' }, 'dnat'), accept], 'ct status & dnat == dnat accept'],
  [[ctState('established', 'related'), accept], 'ct state established,related accept'],
  [[match(ct('state'), flags('established', 'related'), '!='), accept], 'ct state ! established,related accept'],
  [[match(ct('state'), 'new'), accept], 'ct state == new accept'],
  [
    [
      {
        kind: 'vmap',
        key: ct('state'),
        map: {
          kind: 'elements',
          elements: [
            ['invalid', drop],
            ['established', accept],
            ['related', accept],
          ],
        },
      },
    ],
    'ct state vmap { invalid : drop, established : accept, related : accept }',
  ],
  [
    [
      {
        kind: 'vmap',
        key: tcp('dport'),
        map: {
          kind: 'elements',
          elements: [
            ['1-2', accept],
            [7, jump('other')],
          ],
        },
      },
    ],
    'tcp dport vmap { 1-2 : accept, 7 : jump other }',
  ],
  [[{ kind: 'vmap', key: concat(ip('saddr'), tcp('dport')), map: inVmap('vm') }], 'ip saddr . tcp dport vmap @vm'],
  [
    [
      {
        kind: 'vmap',
        key: concat(ip('saddr'), meta('mark')),
        map: { kind: 'elements', elements: [[['1.1.1.1', 1], accept]] },
      },
    ],
    'ip saddr . meta mark vmap { 1.1.1.1 . 0x1 : accept }',
  ],
  [[{ kind: 'vmap', key: meta('mark'), map: inVmap('marks') }], 'meta mark vmap @marks'],
  [[match(meta('iifname'), 'veth*'), accept], 'iifname "veth*" accept'],
  [[match(meta('iifname'), oneOf('a', 'b')), accept], 'iifname { "a", "b" } accept'],
  [[match(meta('iifname'), oneOf('lo', 'veth*')), accept], 'iifname { "lo", "veth*" } accept'],
  [[match(meta('iif'), 1), accept], 'iif 1 accept'],
  [[match(meta('mark'), range(1, 10)), accept], 'meta mark 0x1-0xa accept'],
  [[match(meta('mark'), 5, '>'), accept], 'meta mark > 5 accept'],
  [[match(meta('mark'), oneOf('1-10', 20)), accept], 'meta mark { 1-10, 20 } accept'],
  [[match({ kind: 'and', of: meta('mark'), mask: 0xff }, 0x10), accept], 'meta mark & 0xff == 0x10 accept'],
  [[match(payload('ether', 'saddr'), '00:11:22:33:44:55'), accept], 'ether saddr 00:11:22:33:44:55 accept'],
  [[match(tcp('flags'), flags('syn')), accept], 'tcp flags syn accept'],
  [
    [match({ kind: 'and', of: tcp('flags'), mask: 'fin|syn|rst|ack' }, 'syn'), accept],
    'tcp flags & (fin|syn|rst|ack) == syn accept',
  ],
  [[match(payload('icmp', 'type'), 'echo-request'), accept], 'icmp type echo-request accept'],
  [[match(payload('icmpv6', 'type'), 'nd-neighbor-solicit'), accept], 'icmpv6 type nd-neighbor-solicit accept'],
  [
    [match(payload('icmp', 'type'), oneOf('echo-reply', 'echo-request')), accept],
    'icmp type { echo-reply, echo-request } accept',
  ],
  [[match(ct('ip saddr', 'original'), '10.0.0.0/24'), accept], 'ct original ip saddr 10.0.0.0/24 accept'],
  [[match(ct('ip daddr', 'reply'), '10.0.0.1'), accept], 'ct reply ip daddr 10.0.0.1 accept'],
  [[match(ct('direction'), 'original'), accept], 'ct direction original accept'],
  [[match(fib(['daddr', 'iif'], 'type'), 'local', '!='), drop], 'fib daddr . iif type != local drop'],
  [[match(fib(['saddr', 'iif'], 'check'), 'missing'), drop], 'fib saddr . iif oif missing drop'],
  [[match({ kind: 'raw', base: 'nh', offset: 96, length: 32 }, 0x0a000001), accept], '@nh,96,32 0x0a000001 accept'],
]
