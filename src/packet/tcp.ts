/** TCP probes: a non-blocking connect(2), and what became of it. */
import { familyOf } from '../ip/index.ts'
import * as sys from '../sys/index.ts'
import type { Loop, Timer, Watch } from './loop.ts'
import { errnoOf, failure, formatMs, impossible, isExhausted, isTransient, type ProbeResult } from './result.ts'
import { resolveSocketAddress, splitScope } from './sockaddr.ts'

/** ms before a connection that was refused is tried again, when there is patience */
const RETRY = 50
/** ms before a descriptor is asked for again when none was free */
export const EXHAUSTED_RETRY = 20
const TCP_INFO = 11
/** offset of tcpi_rtt in `struct tcp_info`, microseconds; linux/tcp.h */
const TCPI_RTT = 68
/** `struct tcp_info` up to and with tcpi_rtt */
const TCP_INFO_SIZE = TCPI_RTT + 4

/** Opens and closes the sockets of probes, each in its own namespace. */
export interface Descriptors {
  /** A non-blocking socket in the probe's namespace. Throws what entering the namespace or socket(2) throws. */
  readonly open: (domain: number, transport: 'tcp' | 'udp') => number
  readonly close: (fd: number) => void
  /** how many probes hold one now */
  readonly count: () => number
}

export interface TcpRequest {
  /** may carry a scope: `fe80::1%veth1` */
  readonly address: string
  readonly port: number
  /** ms for one attempt */
  readonly timeout: number
  /** ms during which a failed attempt (but not a lost one) is followed by another; 0 when absent */
  readonly patience?: number | undefined
}

/** A connection of a probe. Whoever has it must call `end` once. */
export interface Connection {
  readonly fd: number
  /** ms of the handshake as the kernel measured it */
  readonly ms: number
  /** when the attempt began, as performance.now() */
  readonly started: number
  /** Replaces what is waited for. */
  readonly wait: (events: number, ready: () => void) => void
  /** Ends this attempt: closes the socket; the result is final, or another attempt follows. */
  readonly end: (result: ProbeResult) => void
}

/** `10.0.0.101:8080`, `[fd00::1]:8080` */
export function formatHostPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** A probe that is done when the connection stands. `done` is called exactly once, perhaps before this returns. */
export function startTcp(
  loop: Loop,
  descriptors: Descriptors,
  request: TcpRequest,
  done: (result: ProbeResult) => void,
): void {
  const target = formatHostPort(request.address, request.port)
  connectTo(loop, descriptors, request, done, ({ ms, end }) =>
    end({ outcome: 'reached', ms, detail: `connected to ${target} in ${formatMs(ms)} ms` }),
  )
}

/**
 * Connects, trying again within the patience, and hands each connection to `onConnect`. The time-out of an attempt also
 * covers what is done over its connection.
 */
export function connectTo(
  loop: Loop,
  descriptors: Descriptors,
  request: TcpRequest,
  done: (result: ProbeResult) => void,
  onConnect: (connection: Connection) => void,
): void {
  const target = formatHostPort(request.address, request.port)
  const { timeout, patience = 0 } = request
  let begun: number | undefined

  const open = (): number | undefined => {
    try {
      const family = familyOf(splitScope(request.address).address)
      return descriptors.open(family === 4 ? sys.AF_INET : sys.AF_INET6, 'tcp')
    } catch (error) {
      // the clock of this probe has not begun: others will give theirs back
      if (isExhausted(errnoOf(error)) && descriptors.count() > 0) loop.after(EXHAUSTED_RETRY, attempt)
      else done(impossible(`cannot open a socket to connect to ${target}`, error))
      return undefined
    }
  }

  const attempt = (): void => {
    const fd = open()
    if (fd === undefined) return
    const started = performance.now()
    begun ??= started
    const elapsed = started - begun
    let watch: Watch | undefined
    let deadline: Timer | undefined
    let isEnded = false
    let isConnected = false

    const end = (result: ProbeResult, until = patience): void => {
      if (isEnded) return
      isEnded = true
      watch?.stop()
      deadline?.cancel()
      descriptors.close(fd)
      const isFinal = result.outcome === 'reached' || result.outcome === 'lost' || result.outcome === 'error'
      if (!isFinal && elapsed + RETRY < until) loop.after(RETRY, attempt)
      else done(result)
    }
    const endWith = (errno: number): void => {
      // a tentative address becomes usable soon: worth the probe's own time-out whatever the patience
      end(failure(errno, target), isTransient(errno) ? Math.max(patience, timeout) : patience)
    }
    const wait = (events: number, ready: () => void): void => {
      watch?.stop()
      watch = loop.watch(fd, events, ready)
    }
    const connected = (): void => {
      if (isEnded) return
      isConnected = true
      const ms = handshakeTime(fd) || performance.now() - started
      onConnect({ fd, ms, started, wait, end: (result) => end(result) })
    }
    const check = (): boolean => {
      const errno = sys.socketError(fd)
      if (errno !== 0) endWith(errno)
      return errno === 0
    }

    deadline = loop.after(timeout, () => {
      const what = isConnected ? `connected to ${target}, but no whole answer` : `no answer from ${target}`
      if (check()) end({ outcome: 'lost', detail: `${what} within ${timeout} ms` })
    })
    let to: Uint8Array
    try {
      to = resolveSocketAddress(fd, request.address, request.port)
    } catch (error) {
      end(impossible(`cannot connect to ${target}`, error))
      return
    }
    try {
      if (sys.connect(fd, to)) {
        connected()
        return
      }
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === undefined) throw error
      endWith(errno)
      return
    }
    // an ICMP error that came while connect(2) held the socket is kept as a soft error: without this look it would
    // show only when the second SYN is answered, a second later (tcp_v4_err)
    if (check()) wait(sys.POLLOUT, () => check() && connected())
  }

  attempt()
}

/** ms; 0 when the kernel has no measure. */
function handshakeTime(fd: number): number {
  const info = sys.getsockopt(fd, sys.IPPROTO_TCP, TCP_INFO, new Uint8Array(TCP_INFO_SIZE))
  return info.length < TCP_INFO_SIZE ? 0 : new DataView(info.buffer).getUint32(TCPI_RTT, true) / 1000
}
