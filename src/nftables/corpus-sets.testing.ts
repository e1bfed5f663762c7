/** Sets and maps in both languages; see corpus.testing.ts. */
import type { Element, NftMap, NftSet } from './objects.ts'

const at = { family: 'inet', table: 't' } as const

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
