/**
 * For tests: a client, a router and a server; packets made byte by byte, and what the kernel made of them. The router is
 * where rules are loaded; the same way through its hooks is walked by the evaluation.
 */
import { formatAddress, parseAddress } from '../../ip/index.ts'
import { NETLINK_NETFILTER, openSocket } from '../../netlink/index.ts'
import { internetChecksum } from '../../packet/checksum.ts'
import { deleteFlows } from '../../packet/conntrack.ts'
import { encodeSocketAddress } from '../../packet/sockaddr.ts'
import { createLab, type Lab, settle } from '../../packet/test-lab.ts'
import * as sys from '../../sys/index.ts'
import type { Packet, PacketDevice } from '../packet.ts'
import { networkNumber } from './bits.ts'
import { runHook } from './evaluate.ts'
import { type Firewall, readFirewall } from './firewall.ts'
import { protocolNumbers } from './frame.ts'
import type { FilterWorld, Outcome } from './result.ts'

export const client = '10.1.0.2'
export const server = '10.2.0.2'
/** the router's own, towards the client and towards the server */
export const routerAddresses = ['10.1.0.1', '10.2.0.1'] as const

export interface Sent {
  readonly protocol: 'udp' | 'tcp' | 'icmp'
  readonly source: string
  readonly destination: string
  readonly sourcePort: number
  readonly destinationPort: number
}

/** Where it ended: `none`, or the host that got it and the addresses that it had then. */
export type End = string

export interface Wire extends Disposable {
  readonly lab: Lab
  readonly device: (name: 'r1' | 'r2' | 'lo') => PacketDevice
  readonly world: FilterWorld
  /** Sends a packet from the client or from the router itself; where it ended. Waits longer for what is expected. */
  readonly send: (from: 'a' | 'r' | 'b', packet: Sent, expected: readonly End[]) => End
  /** All ends that the evaluation holds for possible. */
  readonly predict: (from: 'a' | 'r', packet: Sent) => Prediction
  readonly firewall: () => Firewall
}

export interface Prediction {
  readonly ends: readonly End[]
  /** on what the end depends, where there are several or it is not known */
  readonly doubts: readonly string[]
}

/** UDP with 4 bytes, a TCP SYN, or an ICMP echo request whose code and identifier are the ports. */
export function bytesOf(packet: Sent): Uint8Array {
  const from = parseAddress(packet.source) ?? new Uint8Array(4)
  const to = parseAddress(packet.destination) ?? new Uint8Array(4)
  const ports = [...networkNumber(packet.sourcePort, 2), ...networkNumber(packet.destinationPort, 2)]
  const body =
    packet.protocol === 'udp'
      ? [...ports, 0, 12, 0, 0, 1, 2, 3, 4]
      : packet.protocol === 'tcp'
        ? [...ports, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 16, 0, 0, 0, 0, 0]
        : [8, 0, 0, 0, ...networkNumber(packet.sourcePort, 2), 0, 1]
  const number = protocolNumbers[packet.protocol]
  const sumAt = { udp: 6, tcp: 16, icmp: 2 }[packet.protocol]
  const pseudo = packet.protocol === 'icmp' ? [] : [...from, ...to, 0, number, 0, body.length]
  body.splice(sumAt, 2, ...networkNumber(internetChecksum(Uint8Array.from([...pseudo, ...body])), 2))
  const head = [0x45, 0, ...networkNumber(20 + body.length, 2), 0, 1, 0, 0, 64, number, 0, 0, ...from, ...to]
  head.splice(10, 2, ...networkNumber(internetChecksum(Uint8Array.from(head)), 2))
  return Uint8Array.from([...head, ...body])
}

function endOf(host: string, packet: Pick<Packet, 'source' | 'destination' | 'sourcePort' | 'destinationPort'>): End {
  const port = (number: number | undefined): string => (number === undefined ? '*' : String(number))
  return `${host} ${packet.source} ${port(packet.sourcePort)} ${packet.destination} ${port(packet.destinationPort)}`
}

/** Not an answer: the four bytes of UDP, a SYN alone, an echo request. */
function isOurs(bytes: Uint8Array): boolean {
  if (bytes[9] === sys.IPPROTO_UDP) return bytes[28] === 1
  return bytes[9] === sys.IPPROTO_TCP ? bytes[33] === 2 : bytes[20] === 8
}

/** What a raw socket gives: the packet with its IP header. */
function parse(host: string, bytes: Uint8Array): End {
  const isIcmp = bytes[9] === 1
  const port = (at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
  return endOf(host, {
    source: formatAddress(bytes.slice(12, 16)),
    destination: formatAddress(bytes.slice(16, 20)),
    ...(isIcmp ? {} : { sourcePort: port(20), destinationPort: port(22) }),
  })
}

export function openWire(): Wire {
  const lab = createLab('a', 'r', 'b')
  lab.ip('a', 'link add v0 index 10 type veth peer name r1 index 20 netns @r')
  lab.ip('b', 'link add v0 index 30 type veth peer name r2 index 40 netns @r')
  for (const [ns, device, address] of [
    ['a', 'v0', client],
    ['r', 'r1', routerAddresses[0]],
    ['r', 'r2', routerAddresses[1]],
    ['b', 'v0', server],
  ] as const) {
    lab.ip(ns, `address add ${address}/24 dev ${device}`)
    lab.ip(ns, `link set ${device} up`)
  }
  for (const [ns, device] of [
    ['a', 'v0'],
    ['r', 'r1'],
    ['r', 'r2'],
    ['b', 'v0'],
  ] as const)
    settle(lab, ns, device)
  // packets go to where rules send them, whoever has the address
  lab.ip('a', `route add default via ${routerAddresses[0]}`)
  lab.ip('b', `route add default via ${routerAddresses[1]}`)
  lab.ip('b', 'route add local 10.2.0.128/25 dev lo')
  for (const key of ['ip_forward=1', 'conf.all.rp_filter=0', 'conf.r1.rp_filter=0', 'conf.r2.rp_filter=0']) {
    lab.run('r', 'sysctl', '-qw', `net.ipv4.${key}`)
  }
  // client and server give no answers of their own
  const quiet = 'type filter hook output priority 0; icmp type 3 drop; tcp flags & rst == rst drop;'
  for (const ns of ['a', 'b']) {
    lab.run(ns, 'sysctl', '-qw', 'net.ipv4.icmp_echo_ignore_all=1')
    lab.run(ns, 'nft', `table ip quiet { chain output { ${quiet} }; }`)
  }
  const open = (ns: string, protocol: number): number => {
    const fd = lab.enter(ns, () => sys.socket(sys.AF_INET, sys.SOCK_RAW | sys.SOCK_NONBLOCK, protocol))
    lab.onEnd(() => sys.close(fd))
    return fd
  }
  const senders = { a: open('a', 255), r: open('r', 255), b: open('b', 255) }
  const receivers = (['a', 'r', 'b'] as const).flatMap((host) =>
    [sys.IPPROTO_UDP, sys.IPPROTO_TCP, sys.IPPROTO_ICMP].map((protocol) => ({ host, fd: open(host, protocol) })),
  )
  const netfilter = lab.enter('r', () => openSocket(NETLINK_NETFILTER))
  lab.onEnd(() => netfilter.close())
  const macOf = (name: string): string => lab.run('r', 'cat', `/sys/class/net/${name}/address`).trim()
  const macs = { r1: '', r2: '', lo: '' }
  lab.enter('r', () => {
    for (const name of ['r1', 'r2'] as const) {
      macs[name] = /link\/ether (\S+)/.exec(lab.run('r', 'ip', '-o', 'link', 'show', name))?.[1] ?? macOf(name)
    }
  })
  const devices: Readonly<Record<'r1' | 'r2' | 'lo', PacketDevice>> = {
    r1: { index: 20, name: 'r1', kind: 'veth', group: 0, mac: macs.r1 },
    r2: { index: 40, name: 'r2', kind: 'veth', group: 0, mac: macs.r2 },
    lo: { index: 1, name: 'lo', group: 0 },
  }
  const buffer = new Uint8Array(4096)
  /** The first packet of ours that any host got, not an answer to one. */
  const receive = (wait: number): End | undefined => {
    const end = performance.now() + wait
    do {
      const ready = sys.poll(
        receivers.map(({ fd }) => ({ fd, events: sys.POLLIN })),
        Math.max(0, Math.min(5, wait)),
      )
      for (const [i, { host, fd }] of receivers.entries()) {
        if (!ready[i]) continue
        const length = sys.recv(fd, buffer)
        const got = buffer.subarray(0, length ?? 0)
        if (isOurs(got)) return parse(host, got)
      }
    } while (performance.now() < end)
    return undefined
  }
  const firewall = (): Firewall => readFirewall({ nft: () => netfilter, inside: (work) => lab.enter('r', work) })
  return {
    lab,
    device: (name) => devices[name],
    world: routerWorld(devices),
    firewall,
    predict: (from, packet) => predict(firewall(), devices, from, packet),
    send: (from, packet, expected) => {
      while (receive(0) !== undefined);
      // two flows cannot be translated to the same one: the second would be dropped. The server only answers
      if (from !== 'b') deleteFlows(netfilter, {})
      try {
        if (from === 'r' && packet.protocol === 'udp') sendUdp(lab, packet)
        else sys.sendto(senders[from], bytesOf(packet), 0, encodeSocketAddress(packet.destination, 0))
      } catch (error) {
        if (!(error instanceof sys.SysError)) throw error // a drop in output is an error of the sender
      }
      // what must arrive is given time to
      return receive(expected.every((end) => end !== 'none' && end !== 'any') ? 300 : 5) ?? 'none'
    },
    [Symbol.dispose]: () => lab[Symbol.dispose](),
  }
}

/** As programs do it: a raw socket has the kernel believe that the packet came in by the device by which it leaves. */
function sendUdp(lab: Lab, packet: Sent): void {
  const fd = lab.enter('r', () => sys.socket(sys.AF_INET, sys.SOCK_DGRAM, 0))
  try {
    sys.bind(fd, encodeSocketAddress(packet.source, packet.sourcePort))
    sys.sendto(fd, Uint8Array.of(1, 2, 3, 4), 0, encodeSocketAddress(packet.destination, packet.destinationPort))
  } finally {
    sys.close(fd)
  }
}

const isLocal = (address: string): boolean =>
  address.startsWith('127.') || routerAddresses.some((own) => own === address)

/** The routes of the router, known by heart. */
function routerWorld(devices: Readonly<Record<'r1' | 'r2' | 'lo', PacketDevice>>): FilterWorld {
  const deviceTo = (address: string): PacketDevice | undefined =>
    isLocal(address)
      ? devices.lo
      : address.startsWith('10.1.0.')
        ? devices.r1
        : address.startsWith('10.2.0.')
          ? devices.r2
          : undefined
  const ownAddress = (device: PacketDevice): string | null =>
    device.name === 'r1' ? routerAddresses[0] : device.name === 'r2' ? routerAddresses[1] : null
  return {
    addressType: (address, device) => {
      if (isLocal(address)) {
        return device && !address.startsWith('127.') && ownAddress(device) !== address ? 'unicast' : 'local'
      }
      return /^10\.[12]\.0\.255$/.test(address) ? 'broadcast' : 'unicast'
    },
    route: ({ destination }) => {
      if (isLocal(destination)) return { type: 'local' }
      const device = deviceTo(destination)
      return device ? { type: 'unicast', device } : { type: 'unreachable' }
    },
    // a device without a global address, as loopback is, takes that of another
    sourceAddress: (device) => ownAddress(device) ?? routerAddresses[0],
    deviceAddress: ownAddress,
  }
}

type Devices = Readonly<Record<'r1' | 'r2' | 'lo', PacketDevice>>

/** Walks a packet through the router's hooks and collects where it may end. */
function predict(firewall: Firewall, devices: Devices, from: 'a' | 'r', sent: Sent): Prediction {
  const ends = new Set<End>()
  const doubts: string[] = []
  const world = routerWorld(devices)
  const at = (hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting', packet: Packet): Packet[] => {
    const result = runHook(firewall, { family: 'ip', hook }, packet, world)
    if (result.verdict !== 'unknown') return passed(result)
    doubts.push(`${result.doubt.rule.chain} ${result.doubt.what}`)
    if (!result.isComplete) ends.add('any')
    return result.possible.flatMap(passed)
  }
  const passed = (outcome: Outcome): Packet[] => {
    if (outcome.verdict === 'accept') return [outcome.packet]
    ends.add('none')
    return []
  }
  const leave = (packet: Packet): void => {
    const route = world.route({ destination: packet.destination })
    if (route?.type === 'local') {
      // over the loopback device and in again
      for (const out of at('postrouting', { ...packet, out: devices.lo })) {
        const { out: _, ...looped } = { ...out, in: devices.lo }
        for (const again of at('prerouting', looped)) arrive(again)
      }
    } else if (route?.device) {
      for (const out of at('postrouting', { ...packet, out: route.device }))
        ends.add(endOf(hostBehind(route.device), out))
    } else ends.add('none')
  }
  const arrive = (packet: Packet): void => {
    const route = world.route({ destination: packet.destination })
    if (route?.type === 'local') for (const got of at('input', packet)) ends.add(endOf('r', got))
    else if (!route?.device) ends.add('none')
    else {
      for (const through of at('forward', { ...packet, ttl: packet.ttl - 1, out: route.device })) leave(through)
    }
  }
  const first = firstPacket(sent)
  if (from === 'a') {
    for (const packet of at('prerouting', { ...first, in: devices.r1 })) arrive(packet)
  } else {
    const route = world.route({ destination: first.destination })
    const out = route?.type === 'local' ? devices.lo : route?.device
    for (const packet of out ? at('output', { ...first, out }) : []) leave(packet)
  }
  return { ends: [...ends], doubts }
}

const hostBehind = ({ name }: PacketDevice): string => (name === 'r2' ? 'b' : 'a')

export function firstPacket(sent: Sent): Packet {
  const { protocol, source, destination } = sent
  const ports = protocol === 'icmp' ? {} : { sourcePort: sent.sourcePort, destinationPort: sent.destinationPort }
  const original = { source, destination, ...ports }
  const mirrored = protocol === 'icmp' ? {} : { sourcePort: sent.destinationPort, destinationPort: sent.sourcePort }
  return {
    ...original,
    family: 4,
    protocol,
    ...(protocol === 'icmp' ? { icmpType: 8, icmpCode: 0 } : {}),
    ...(protocol === 'tcp' ? { tcpFlags: 2 } : {}),
    length: bytesOf(sent).length,
    ttl: 64,
    mark: 0,
    tracking: {
      state: 'new',
      direction: 'original',
      original,
      reply: { source: destination, destination: source, ...mirrored },
      mark: 0,
      isSourceTranslated: false,
      isDestinationTranslated: false,
    },
  }
}
