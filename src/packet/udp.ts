/** UDP probes: datagrams to one port, and whether anything answers. */
import { familyOf } from '../ip/index.ts'
import * as sys from '../sys/index.ts'
import type { Loop, Timer, Watch } from './loop.ts'
import {
  describeErrno,
  errnoOf,
  failure,
  formatMs,
  impossible,
  isExhausted,
  isTransient,
  type ProbeResult,
} from './result.ts'
import { resolveSocketAddress, splitScope } from './sockaddr.ts'
import { receiveErrors, takeError } from './socket-options.ts'
import { type Descriptors, EXHAUSTED_RETRY, formatHostPort } from './tcp.ts'

/** ms between the datagrams of one probe: the first may be eaten by address resolution */
const INTERVAL = 200
const ECONNREFUSED = 111

export interface UdpRequest {
  /** may carry a scope: `fe80::1%veth1` */
  readonly address: string
  readonly port: number
  /** ms from the first datagram until the probe is lost */
  readonly timeout: number
  /** ms during which a failure (a closed port above all) is not yet final; 0 when absent */
  readonly patience?: number | undefined
}

/** What is said over UDP. */
export interface Dialogue {
  /** the next datagram to send */
  readonly say: () => Uint8Array
  /** What an answer means; `ms` since the latest datagram. Undefined when it is no answer to this probe. */
  readonly hear: (answer: Uint8Array, ms: number) => ProbeResult | undefined
}

const receiveBuffer = new Uint8Array(65536)

/** A probe that is done with any answer. `done` is called exactly once, perhaps before this returns. */
export function startUdp(
  loop: Loop,
  descriptors: Descriptors,
  request: UdpRequest,
  done: (result: ProbeResult) => void,
): void {
  const target = formatHostPort(request.address, request.port)
  const message = new TextEncoder().encode('hardway\n')
  const hear: Dialogue['hear'] = ({ length }, ms) => {
    const size = `${length} ${length === 1 ? 'byte' : 'bytes'}`
    return { outcome: 'reached', ms, detail: `answer of ${size} from ${target} in ${formatMs(ms)} ms` }
  }
  converse(loop, descriptors, request, { say: () => message, hear }, done)
}

/** Sends again and again until an answer is accepted, an error is final, or the time is over. */
export function converse(
  loop: Loop,
  descriptors: Descriptors,
  request: UdpRequest,
  { say, hear }: Dialogue,
  done: (result: ProbeResult) => void,
): void {
  const { address, port, timeout, patience = 0 } = request
  const target = formatHostPort(address, port)
  const family = familyOf(splitScope(address).address)
  let fd: number
  try {
    fd = descriptors.open(family === 4 ? sys.AF_INET : sys.AF_INET6, 'udp')
  } catch (error) {
    // the clock of this probe has not begun: others will give theirs back
    if (isExhausted(errnoOf(error)) && descriptors.count() > 0) {
      loop.after(EXHAUSTED_RETRY, () => converse(loop, descriptors, request, { say, hear }, done))
    } else done(impossible(`cannot open a socket to send to ${target}`, error))
    return
  }
  const started = performance.now()
  let sent = started
  let count = 0
  let isDone = false
  let problem: ProbeResult | undefined
  let watch: Watch | undefined
  let next: Timer | undefined
  let deadline: Timer | undefined

  const finish = (result: ProbeResult): void => {
    if (isDone) return
    isDone = true
    watch?.stop()
    next?.cancel()
    deadline?.cancel()
    descriptors.close(fd)
    done(result)
  }

  /** A failure is final once the patience is over; before, the next datagram may do better. */
  const fail = (found: ProbeResult): void => {
    problem = found
    if (performance.now() - started >= patience) finish(found)
  }

  const failWith = (error: unknown): void => {
    const errno = errnoOf(error)
    if (errno === undefined) throw error
    while (takeError(fd, receiveBuffer) !== undefined);
    // taking an error out of the queue makes it the pending one once more (sock_dequeue_err_skb)
    sys.socketError(fd)
    if (isTransient(errno)) problem ??= failure(errno, target)
    else if (errno === ECONNREFUSED) {
      const detail = `nothing listens on ${target}: port unreachable (ECONNREFUSED)`
      fail({ outcome: 'refused', detail, code: 'ECONNREFUSED' })
    } else fail(count > 0 ? cameBack(errno, target) : failure(errno, target))
  }

  const receive = (): void => {
    while (!isDone) {
      let length: number | undefined
      try {
        length = sys.recv(fd, receiveBuffer, sys.MSG_DONTWAIT)
      } catch (error) {
        failWith(error)
        continue
      }
      if (length === undefined) return
      const result = hear(receiveBuffer.slice(0, length), performance.now() - sent)
      if (result?.outcome === 'reached') finish(result)
      else if (result) fail(result)
    }
  }

  const send = (): void => {
    next = loop.after(INTERVAL, send)
    sent = performance.now()
    try {
      sys.send(fd, say(), sys.MSG_NOSIGNAL | sys.MSG_DONTWAIT)
      count++
    } catch (error) {
      failWith(error)
    }
    // on one machine the answer, an ICMP error above all, is often there before send(2) returns
    receive()
  }

  const onDeadline = (): void => {
    const left = patience - (performance.now() - started)
    if (problem && left > 0) {
      deadline = loop.after(left, onDeadline)
      return
    }
    const datagrams = `${count} ${count === 1 ? 'datagram' : 'datagrams'}`
    finish(problem ?? { outcome: 'lost', detail: `no answer from ${target} within ${timeout} ms, ${datagrams} sent` })
  }

  try {
    receiveErrors(fd, family)
    sys.connect(fd, resolveSocketAddress(fd, address, port))
  } catch (error) {
    const errno = errnoOf(error)
    // the name of an interface that is not there says nothing about the network, a missing route does
    finish(
      errno === undefined || splitScope(address).scope !== undefined
        ? impossible(`cannot send to ${target}`, error)
        : failure(errno, target),
    )
    return
  }
  watch = loop.watch(fd, sys.POLLIN, receive)
  deadline = loop.after(timeout, onDeadline)
  send()
}

function cameBack(errno: number, target: string): ProbeResult {
  const detail = `an error came back for ${target}: ${describeErrno(errno)}`
  return { ...failure(errno, target), outcome: 'unreachable', detail }
}
