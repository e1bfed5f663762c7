/** Expressions that fill registers: header fields, routes, sockets, numbers. */
import type { VmData } from '../../nftables/attributes-expressions.ts'
import { fibFlags, fibResults } from '../../nftables/selectors.ts'
import { type Bits, hostNumber, known, unknownBits } from './bits.ts'
import { layers, readFrame } from './frame.ts'
import { type Loaded, textBytes } from './load-meta.ts'
import { addressTypes } from './result.ts'
import { frameFor, isLoopbackDevice, type Run } from './run.ts'

/** Where the kernel has kept the link-layer header of a packet: it came over a device that has one. */
function hasLinkHeader({ packet, point }: Run): boolean {
  if (point.family === 'bridge' || point.family === 'netdev') return true
  return (
    point.hook !== 'output' && packet.in !== undefined && (isLoopbackDevice(packet.in) || packet.in.mac !== undefined)
  )
}

/** Bytes of a header; NFT_PAYLOAD_INNER_HEADER and later ones are unknown. */
export function loadPayload(run: Run, { base = -1, offset = 0, len = 0 }: VmData<'payload'>): Loaded {
  if (base !== layers.link && base !== layers.network && base !== layers.transport) return unknownBits(len)
  if (base === layers.link && !hasLinkHeader(run)) return 'absent'
  if (run.point.family === 'arp') return base === layers.transport ? 'absent' : unknownBits(len)
  return readFrame(run.packet, frameFor(run), base, offset, len) ?? 'absent'
}

const IFNAMSIZ = 16
/** NFTA_FIB_F_PRESENT */
const PRESENT = 32

/** A question to the routes of the namespace; net/ipv4/netfilter/nft_fib_ipv4.c. */
export function loadFib(run: Run, { result, flags = 0 }: VmData<'fib'>): Loaded {
  const { packet, world, point } = run
  const device = flags & fibFlags.iif ? packet.in : flags & fibFlags.oif ? packet.out : undefined
  const asked = flags & fibFlags.saddr ? packet.source : packet.destination
  if (result === fibResults.type[0]) {
    const type = world.addressType(asked, device)
    return type === undefined ? unknownBits(4) : known(hostNumber(addressTypes[type], 4))
  }
  const answer = (found: { index: number; name: string } | undefined): Bits => {
    if (flags & PRESENT) return known(Uint8Array.of(found ? 1 : 0))
    if (result === fibResults.oifname[0]) return known(textBytes(found?.name ?? '', IFNAMSIZ))
    return known(hostNumber(found?.index ?? 0, 4))
  }
  if (point.hook === 'prerouting' && isLoopbackDevice(packet.in)) return answer(packet.in)
  const other = flags & fibFlags.saddr ? packet.destination : packet.source
  const route = world.route({
    destination: asked,
    ...(world.addressType(other) === 'local' ? { source: other } : {}),
    ...(flags & fibFlags.mark ? { mark: packet.mark } : {}),
    ...(device ? { device } : {}),
  })
  if (!route) return unknownBits(flags & PRESENT ? 1 : result === fibResults.oifname[0] ? IFNAMSIZ : 4)
  const isFound = route.type === 'unicast' && (!device || route.device?.index === device.index)
  return answer(isFound ? route.device : undefined)
}

/** NFT_EXTHDR_OP_* */
const extensions = { ipv6: 0, tcp: 1, ipv4: 2 } as const

/** Options and extension headers. The packet has none in its IP header; which TCP options it has is not known. */
export function loadExthdr(run: Run, { op = 0, len = 0, flags = 0 }: VmData<'exthdr'>): Loaded {
  const isPresence = (flags & 1) !== 0
  const none: Loaded = isPresence ? known(Uint8Array.of(0)) : 'absent'
  if (op === extensions.tcp && run.packet.protocol !== 'tcp') return none
  if (op === extensions.ipv6 || op === extensions.ipv4) return none
  return unknownBits(isPresence ? 1 : len)
}

/** So many targets of a load balancer are looked at one by one. */
const MANY = 32

/** A running or random number below `modulus`, or a hash of something: each of them in turn. */
export function loadNumber(run: Run, modulus = 0, offset = 0): Bits {
  if (modulus < 1 || modulus > MANY) return unknownBits(4)
  const number = modulus === 1 ? 0 : run.choose(modulus, { rule: run.at, what: `a number from 0 to ${modulus - 1}` })
  return known(hostNumber(offset + number, 4))
}
