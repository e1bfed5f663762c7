/** What really happens: services that answer, and one packet for each case, all at the same time. */
import { inNetns, openNetns } from '../../src/netns/index.ts'
import { encodeSocketAddress, type ProbeRequest, runProbes } from '../../src/packet/index.ts'
import * as sys from '../../src/sys/index.ts'

/** ms that an answer may take */
const PATIENCE = 1200

export function enter<T>(namespace: string, work: () => T): T {
  using netns = openNetns(namespace)
  return inNetns(netns.fd, work)
}

export interface Service extends Disposable {
  /** answers what has come; nothing to do for TCP, whose handshakes the kernel completes */
  readonly serve: () => void
}

/** A TCP or UDP service inside a namespace. */
export function openService(
  namespace: string,
  protocol: 'tcp' | 'udp',
  family: 4 | 6,
  port: number,
  address: string,
): Service {
  const type = protocol === 'tcp' ? sys.SOCK_STREAM : sys.SOCK_DGRAM
  const fd = enter(namespace, () => sys.socket(family === 4 ? sys.AF_INET : sys.AF_INET6, type, 0))
  sys.bind(fd, encodeSocketAddress(address, port))
  if (protocol === 'tcp') sys.listen(fd, 16)
  const buffer = new Uint8Array(2048)
  return {
    serve: () => {
      for (;;) {
        const got = protocol === 'udp' ? sys.recvfrom(fd, buffer, sys.MSG_DONTWAIT) : undefined
        if (!got) return
        try {
          sys.sendto(fd, buffer.subarray(0, got.length), 0, got.address)
        } catch {
          // the way back is what the case is about
        }
      }
    },
    [Symbol.dispose]: () => sys.close(fd),
  }
}

export interface Sent {
  readonly from: string
  readonly target: string
  readonly family: 4 | 6
  readonly protocol: 'icmp' | 'tcp' | 'udp'
  readonly port: number
  readonly sourcePort?: number
  /** bytes of the whole packet */
  readonly size?: number
}

/** Whether each is answered. */
export async function sendAll(packets: readonly Sent[], services: readonly Service[]): Promise<boolean[]> {
  const probes = packets.flatMap((p, i) => (p.protocol === 'udp' ? [] : [{ i, request: probeOf(p) }]))
  const answered = packets.map(() => false)
  const datagrams = packets.flatMap((p, i) => (p.protocol === 'udp' ? [{ i, packet: p, fd: openClient(p) }] : []))
  const end = performance.now() + PATIENCE
  const exchange = (async () => {
    while (performance.now() < end) {
      for (const { i, packet, fd } of datagrams) if (!answered[i]) answered[i] = exchangeOnce(packet, fd)
      for (const service of services) service.serve()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  const results = await runProbes(
    probes.map(({ request }) => request),
    { enter },
  )
  await exchange
  for (const [k, { i }] of probes.entries()) answered[i] = results[k]?.outcome === 'reached'
  for (const { fd } of datagrams) sys.close(fd)
  return answered
}

const HEADERS = { 4: 28, 6: 48 } as const

function probeOf({ from, target, family, protocol, port, size }: Sent): ProbeRequest {
  const common = { namespace: from, address: target, timeout: PATIENCE }
  if (protocol === 'tcp') return { kind: 'tcp', ...common, port }
  return { kind: 'ping', ...common, ...(size === undefined ? {} : { size: size - HEADERS[family] }) }
}

function openClient({ from, family, sourcePort }: Sent): number {
  const fd = enter(from, () => sys.socket(family === 4 ? sys.AF_INET : sys.AF_INET6, sys.SOCK_DGRAM, 0))
  if (sourcePort !== undefined) sys.bind(fd, encodeSocketAddress(family === 4 ? '0.0.0.0' : '::', sourcePort))
  return fd
}

/** One datagram, and no wait for an answer. */
export function sendDatagram(from: string, sourcePort: number, target: string, port: number): void {
  const family = target.includes(':') ? 6 : 4
  const fd = openClient({ from, target, family, protocol: 'udp', port, sourcePort })
  try {
    sys.sendto(fd, new TextEncoder().encode('early'), 0, encodeSocketAddress(target, port))
    sys.poll([{ fd, events: sys.POLLIN }], 30)
  } finally {
    sys.close(fd)
  }
}

/** Sends once more, and looks whether an answer is there. Only an answer from where it was sent to is one. */
function exchangeOnce({ target, port }: Sent, fd: number): boolean {
  const address = encodeSocketAddress(target, port)
  try {
    sys.connect(fd, address)
    sys.send(fd, new TextEncoder().encode('why'))
  } catch {
    // unreachable, or what an earlier one brought back
  }
  try {
    return sys.recv(fd, new Uint8Array(64), sys.MSG_DONTWAIT) !== undefined
  } catch {
    return false
  }
}
