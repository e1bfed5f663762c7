/**
 * Many probes at once, in many namespaces, from one thread. Each probe is a small state machine over sockets that were
 * opened inside its namespace; a socket belongs to that namespace for ever, so nobody stays inside while waiting.
 */
import * as sys from '../sys/index.ts'
import { type DnsRequest, startDns } from './dns.ts'
import { createPinger, type EchoRequest, echoFamily, type Pinger } from './echo.ts'
import { openEchoSocket } from './echo-socket.ts'
import { type HttpRequest, startHttp } from './http.ts'
import { createLoop } from './loop.ts'
import { type MtuRequest, startMtu } from './mtu.ts'
import { impossible, type ProbeResult } from './result.ts'
import { type Descriptors, startTcp, type TcpRequest } from './tcp.ts'
import { startUdp, type UdpRequest } from './udp.ts'

/** `namespace` means something to `enter` only; probes with the same one share sockets. */
export type ProbeRequest = { readonly namespace: string } & (
  | ({ readonly kind: 'ping' } & EchoRequest)
  | ({ readonly kind: 'tcp' } & TcpRequest)
  | ({ readonly kind: 'udp' } & UdpRequest)
  | ({ readonly kind: 'http' } & HttpRequest)
  | ({ readonly kind: 'dns' } & DnsRequest)
  | ({ readonly kind: 'mtu' } & MtuRequest)
)

export interface ProbeOptions {
  /** Runs `fn` inside a network namespace and comes back, synchronously. Throws when there is none of that name. */
  readonly enter: <T>(namespace: string, fn: () => T) => T
  /** called as soon as a probe ends, in no special order */
  readonly onResult?: ((result: ProbeResult, index: number) => void) | undefined
  /** which kind of socket sends echoes; raw where permitted when absent */
  readonly echo?: 'raw' | 'ping' | undefined
}

/**
 * Runs all probes at the same time; results in the order of the requests. Takes about as long as the slowest probe:
 * one time-out in all when some are lost. Never rejects for what the network or a namespace does: a probe that could
 * not be made has the outcome `error`. What `onResult` throws ends the run and is thrown.
 */
export async function runProbes(requests: readonly ProbeRequest[], options: ProbeOptions): Promise<ProbeResult[]> {
  const loop = createLoop()
  const pingers = new Map<string, Pinger | ProbeResult>()
  const descriptors = new Set<number>()
  const results: ProbeResult[] = []
  let left = requests.length

  const pingerOf = (namespace: string, address: string, isWhole = false): Pinger | ProbeResult => {
    const family = echoFamily(address)
    const key = `${family} ${isWhole} ${namespace}`
    const known = pingers.get(key)
    if (known) return known
    let made: Pinger | ProbeResult
    try {
      made = createPinger(
        loop,
        options.enter(namespace, () => openEchoSocket(family, options.echo)),
      )
      if (isWhole) made.forbidFragments()
    } catch (error) {
      made = impossible(`cannot open an ICMP socket in ${namespace} (CAP_NET_RAW or net.ipv4.ping_group_range)`, error)
    }
    pingers.set(key, made)
    return made
  }

  const descriptorsOf = (namespace: string): Descriptors => ({
    open: (domain, transport) => {
      const [type, protocol] =
        transport === 'tcp' ? [sys.SOCK_STREAM, sys.IPPROTO_TCP] : [sys.SOCK_DGRAM, sys.IPPROTO_UDP]
      const fd = options.enter(namespace, () => sys.socket(domain, type | sys.SOCK_NONBLOCK, protocol))
      descriptors.add(fd)
      return fd
    },
    close: (fd) => {
      descriptors.delete(fd)
      sys.close(fd)
    },
    count: () => descriptors.size,
  })

  const start = (request: ProbeRequest, done: (result: ProbeResult) => void): void => {
    switch (request.kind) {
      case 'ping': {
        const pinger = pingerOf(request.namespace, request.address)
        if ('outcome' in pinger) done(pinger)
        else pinger.start(request, done)
        break
      }
      case 'tcp':
        startTcp(loop, descriptorsOf(request.namespace), request, done)
        break
      case 'mtu': {
        const pinger = pingerOf(request.namespace, request.address, true)
        if ('outcome' in pinger) done(pinger)
        else startMtu(pinger, request, done)
        break
      }
      case 'udp':
        startUdp(loop, descriptorsOf(request.namespace), request, done)
        break
      case 'dns':
        startDns(loop, descriptorsOf(request.namespace), request, done)
        break
      case 'http':
        startHttp(loop, descriptorsOf(request.namespace), request, done)
        break
      default:
        request satisfies never
    }
  }

  for (const [index, request] of requests.entries()) {
    loop.defer(() =>
      start(request, (result) => {
        results[index] = result
        left--
        options.onResult?.(result, index)
      }),
    )
  }
  try {
    await loop.run(() => left === 0)
  } finally {
    for (const pinger of pingers.values()) if ('close' in pinger) pinger.close()
    for (const fd of descriptors) sys.close(fd)
  }
  return results
}
