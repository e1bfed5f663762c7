/** One ruleset in both languages: each rule as data and as the nft text that must mean the same. */
import * as x from './expression.ts'
import type { Element, NftMap, NftSet } from './objects.ts'

const at = { family: 'inet', table: 't' } as const
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

export const sets: readonly (readonly [set: NftSet | NftMap, elements: readonly Element[], text: string])[] = [
  [
    { ...at, kind: 'set', name: 's4', key: ['ipv4_addr'], flags: ['interval'] },
    [{ key: '10.0.0.0/24' }, { key: '10.0.1.0-10.0.1.8' }, { key: '11.0.0.0/8' }],
    'set s4 { type ipv4_addr; flags interval; elements = { 10.0.0.0/24, 10.0.1.0-10.0.1.8, 11.0.0.0/8 } }',
  ],
  [
    { ...at, kind: 'set', name: 'sc', key: ['ipv4_addr', 'inet_proto', 'inet_service'], comment: 'hello' },
    [{ key: ['1.2.3.4', 'tcp', 80], comment: 'el' }],
    'set sc { type ipv4_addr . inet_proto . inet_service; comment "hello"; elements = { 1.2.3.4 . tcp . 80 comment "el" } }',
  ],
  [
    { ...at, kind: 'set', name: 'ci', key: ['ipv4_addr', 'inet_service'], flags: ['interval'] },
    [{ key: ['10.0.0.0/8', '80-90'] }, { key: ['11.0.0.1', 99] }],
    'set ci { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/8 . 80-90, 11.0.0.1 . 99 } }',
  ],
  [
    {
      ...at,
      kind: 'set',
      name: 'dyn',
      key: ['ipv4_addr'],
      flags: ['timeout', 'dynamic'],
      timeout: 60_000,
      gcInterval: 5000,
      size: 100,
    },
    [],
    'set dyn { type ipv4_addr; flags dynamic,timeout; timeout 1m; gc-interval 5s; size 100; }',
  ],
  [
    { ...at, kind: 'set', name: 'counted', key: ['ipv6_addr'], counter: true },
    [{ key: 'fd00::1' }],
    'set counted { type ipv6_addr; counter; elements = { fd00::1 } }',
  ],
  [
    { ...at, kind: 'set', name: 'ifs', key: ['ifname'] },
    [{ key: 'eth0' }, { key: 'lo' }],
    'set ifs { type ifname; elements = { "eth0", "lo" } }',
  ],
  [
    { ...at, kind: 'map', name: 'm', key: ['ipv4_addr'], data: ['ipv4_addr'] },
    [{ key: '1.2.3.4', value: '5.6.7.8' }],
    'map m { type ipv4_addr : ipv4_addr; elements = { 1.2.3.4 : 5.6.7.8 } }',
  ],
  [
    {
      ...at,
      kind: 'map',
      name: 'mm',
      key: ['inet_proto', 'inet_service'],
      data: ['ipv4_addr', 'inet_service'],
      comment: 'published',
    },
    [{ key: ['tcp', 80], value: ['10.0.0.1', 8080] }],
    'map mm { type inet_proto . inet_service : ipv4_addr . inet_service; comment "published"; elements = { tcp . 80 : 10.0.0.1 . 8080 } }',
  ],
  [
    { ...at, kind: 'map', name: 'vm', key: ['ipv4_addr', 'inet_service'], data: 'verdict' },
    [{ key: ['1.2.3.4', 80], verdict: { kind: 'jump', chain: 'other' } }],
    'map vm { type ipv4_addr . inet_service : verdict; elements = { 1.2.3.4 . 80 : jump other } }',
  ],
  [
    { ...at, kind: 'map', name: 'marks', key: ['mark'], data: 'verdict' },
    [{ key: 1, verdict: { kind: 'accept' } }],
    'map marks { type mark : verdict; elements = { 1 : accept } }',
  ],
]

const ip = (field: string): x.Selector => payload('ip', field)
const ip6 = (field: string): x.Selector => payload('ip6', field)
const tcp = (field: string): x.Selector => payload('tcp', field)
const l4 = (protocol: string): x.Match => match(meta('l4proto'), protocol)
type Case = readonly [expressions: readonly x.Expression[], text: string, comment?: string]

export const prerouting: readonly Case[] = [
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

function inVmap(name: string): { readonly kind: 'set'; readonly name: string } {
  return { kind: 'set', name }
}

export const chains = [
  { ...at, name: 'other', comment: 'chainy' },
  { ...at, name: 'pre', type: 'nat', hook: 'prerouting', priority: -100, policy: 'accept' },
  { ...at, name: 'post', type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' },
  { ...at, name: 'forwarding', type: 'filter', hook: 'prerouting', priority: -300, policy: 'drop' },
] as const

export const cases = [
  ...prerouting.map((c) => ['pre', ...c] as const),
  ...postrouting.map((c) => ['post', ...c] as const),
  ...forward.map((c) => ['forwarding', ...c] as const),
]

/** The whole of it as a file for nft. */
export function corpusText(): string {
  const body = (chain: string): string =>
    cases
      .filter(([name]) => name === chain)
      .map(([, , text]) => `\t\t${text}\n`)
      .join('')
  return `table inet t {
\tcomment "the table"
${sets.map(([, , text]) => `\t${text}\n`).join('')}
\tchain other { comment "chainy"
\t}
\tchain pre { type nat hook prerouting priority -100; policy accept;
${body('pre')}\t}
\tchain post { type nat hook postrouting priority 100; policy accept;
${body('post')}\t}
\tchain forwarding { type filter hook prerouting priority -300; policy drop;
${body('forwarding')}\t}
}
`
}
