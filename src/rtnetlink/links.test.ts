/** Links and addresses: what we send is what iproute2 sends, byte for byte. */
import { test } from 'node:test'
import { addAddress, addLink, deleteAddress, deleteLink, setBridgePort, setLink } from './index.ts'
import { assertSameBytes, type Golden, goldenNeeds, p } from './testing.ts'

/** Indices: loopback 1, b0 2, then 4 and 3 for v0 and v1. */
const links: readonly Golden[] = [
  ['ip link add name b0 type bridge', () => addLink({ name: 'b0', link: { kind: 'bridge' } })],
  [
    'ip link add name v0 type veth peer name v1',
    () => addLink({ name: 'v0', link: { kind: 'veth', peer: { name: 'v1' } } }),
  ],
  ['ip link set dev lo up', () => setLink({ index: 1 }, { up: true })],
  ['ip link set dev b0 up', () => setLink({ index: 2 }, { up: true })],
  ['ip link set dev v0 up', () => setLink({ index: 4 }, { up: true })],
  ['ip link set dev v1 up', () => setLink({ index: 3 }, { up: true })],
  ['ip link set dev v1 down', () => setLink({ index: 3 }, { up: false })],
  ['ip link set dev v0 master b0', () => setLink({ index: 4 }, { master: 2 })],
  ['bridge link set dev v0 hairpin on', () => setBridgePort(4, { hairpin: 1 })],
  ['bridge link set dev v0 isolated on', () => setBridgePort(4, { isolated: 1 })],
  ['ip link set dev v0 nomaster', () => setLink({ index: 4 }, { master: 0 })],
  ['ip link set dev v0 mtu 1400', () => setLink({ index: 4 }, { mtu: 1400 })],
  ['ip link set dev v0 address 02:00:00:00:00:07', () => setLink({ index: 4 }, { mac: '02:00:00:00:00:07' })],
  ['ip link set dev v0 alias hardway:x', () => setLink({ index: 4 }, { alias: 'hardway:x' })],
  ['ip link set dev v0 group 77', () => setLink({ index: 4 }, { group: 77 })],
  ['ip link set dev v0 txqueuelen 500', () => setLink({ index: 4 }, { txqlen: 500 })],
  ['ip link set dev v0 addrgenmode none', () => setLink({ index: 4 }, { addrGenMode: 'none' })],
  ['ip link add name i0 type ifb', () => addLink({ name: 'i0', link: { kind: 'ifb' } })],
  [
    'ip link add name m0 link v1 type macvlan mode bridge',
    () => addLink({ name: 'm0', link: { kind: 'macvlan', parent: 3, mode: 'bridge' } }),
  ],
  ['ip link del group 77', () => deleteLink({ group: 77 })],
  ['ip link del dev i0', () => deleteLink({ index: 5 })],
]

const addresses: readonly Golden[] = [
  ['ip address add 10.0.0.1/24 dev v0', () => addAddress({ index: 3, address: p('10.0.0.1/24') })],
  [
    'ip address add 10.0.1.1/24 brd + dev v0',
    () => addAddress({ index: 3, address: p('10.0.1.1/24'), broadcast: 'auto' }),
  ],
  [
    'ip address add 10.0.2.1/24 dev v0 label v0:1',
    () => addAddress({ index: 3, address: p('10.0.2.1/24'), label: 'v0:1' }),
  ],
  [
    'ip address add 10.0.3.1/24 dev v0 scope link',
    () => addAddress({ index: 3, address: p('10.0.3.1/24'), scope: 'link' }),
  ],
  [
    'ip address add 10.0.4.1/24 dev v0 noprefixroute',
    () => addAddress({ index: 3, address: p('10.0.4.1/24'), noPrefixRoute: true }),
  ],
  ['ip address add fd00::1/64 dev v0', () => addAddress({ index: 3, address: p('fd00::1/64') })],
  ['ip address add fd00::2/64 dev v0 nodad', () => addAddress({ index: 3, address: p('fd00::2/64'), noDad: true })],
  ['ip address add 127.0.0.5/8 dev lo', () => addAddress({ index: 1, address: p('127.0.0.5/8') })],
  ['ip address del 10.0.1.1/24 dev v0', () => deleteAddress({ index: 3, address: p('10.0.1.1/24') })],
  ['ip address del fd00::2/64 dev v0', () => deleteAddress({ index: 3, address: p('fd00::2/64') })],
]

test('links: our bytes are those of iproute2 for the same request', { skip: goldenNeeds }, () => {
  assertSameBytes([], links)
})

test('addresses: our bytes are those of iproute2 for the same request', { skip: goldenNeeds }, () => {
  assertSameBytes(['ip link add name v0 type veth peer name v1'], addresses)
})
