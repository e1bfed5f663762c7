/** Echo probes: many share one socket, and are told apart by sequence number and payload. */
import { type Family, familyOf } from '../ip/index.ts'
import * as sys from '../sys/index.ts'
import type { EchoSocket } from './echo-socket.ts'
import { decodeIcmp, encodeEcho, skipIpv4Header } from './icmp.ts'
import type { Loop, Timer } from './loop.ts'
import { describeErrno, errnoOf, failure, formatMs, impossible, isTransient, type ProbeResult } from './result.ts'
import { decodeSocketAddress, resolveSocketAddress, splitScope } from './sockaddr.ts'
import { forbidFragments, setHops, takeError } from './socket-options.ts'

/** ms between the echoes of one probe: the first may be eaten by address resolution or a port that comes up */
const INTERVAL = 200
/** bytes, as ping(8) sends */
const PAYLOAD = 56
const NONCE = 8
const COUNTER = 4

/** Messages read in one go before other sockets have their turn */
const DRAIN = 4096

export interface EchoRequest {
  /** may carry a scope: `fe80::1%veth1` */
  readonly address: string
  /** ms from the first echo until the probe is lost */
  readonly timeout: number
  /** ms during which an error that comes back is not yet final; 0 when absent */
  readonly patience?: number | undefined
  /** hops; the namespace's default when absent */
  readonly ttl?: number | undefined
  /** bytes of payload, at least 12; 56 when absent */
  readonly size?: number | undefined
}

export interface Pinger {
  /** Sends the first echo at once; `done` is called exactly once, perhaps before this returns. */
  readonly start: (request: EchoRequest, done: (result: ProbeResult) => void) => void
  /** From now on no echo of this socket is cut into fragments. */
  readonly forbidFragments: () => void
  /** Stops and closes the socket. Probes under way never end. */
  readonly close: () => void
}

interface Probe {
  readonly request: EchoRequest
  readonly to: Uint8Array
  /** canonical text of the address without its scope */
  readonly target: string
  readonly started: number
  readonly sequences: number[]
  readonly timers: { deadline?: Timer; next?: Timer }
  /** what went wrong within the patience */
  problem?: ProbeResult
  /** why the latest echo could not be sent yet */
  hindrance?: ProbeResult | undefined
  readonly finish: (result: ProbeResult) => void
}

interface Attempt {
  readonly probe: Probe
  readonly payload: Uint8Array
  readonly sent: number
}

const receiveBuffer = new Uint8Array(65536)

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

/** Drives all echo probes of one socket, which it owns from now on. */
export function createPinger(loop: Loop, socket: EchoSocket): Pinger {
  const { fd, family } = socket
  const pending = new Map<number, Attempt>()
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE))
  // the kernel replaces the id of a ping socket's echoes by one of its own choice
  const [id = 0] = crypto.getRandomValues(new Uint16Array(1))
  let sequence = 0
  let counter = 0
  let ttl = -1

  const nextSequence = (): number | undefined => {
    for (let i = 0; i < 0x10000; i++) {
      sequence = (sequence + 1) & 0xffff
      if (!pending.has(sequence)) return sequence
    }
    return undefined
  }

  /** Nobody who has not seen the echo can answer it: the payload begins with what only this socket knows. */
  const nextPayload = (size: number): Uint8Array => {
    const payload = new Uint8Array(Math.max(size, NONCE + COUNTER))
    payload.set(nonce)
    new DataView(payload.buffer).setUint32(NONCE, counter++)
    for (let i = NONCE + COUNTER; i < payload.length; i++) payload[i] = i & 0xff
    return payload
  }

  const setTtl = (wanted: number): void => {
    if (wanted === ttl) return
    setHops(fd, family, wanted)
    ttl = wanted
  }

  /** A failure is final once the patience is over; before, the next echo may do better. */
  const fail = (probe: Probe, problem: ProbeResult): void => {
    probe.problem = problem
    if (performance.now() - probe.started >= (probe.request.patience ?? 0)) probe.finish(problem)
  }

  const send = (probe: Probe): void => {
    probe.timers.next = loop.after(INTERVAL, () => send(probe))
    const number = nextSequence()
    if (number === undefined) return
    const payload = nextPayload(probe.request.size ?? PAYLOAD)
    if (socket.kind === 'ping') drainErrors()
    try {
      setTtl(probe.request.ttl ?? -1)
      const message = encodeEcho(family, 'request', { id, sequence: number, payload })
      probe.sequences.push(number)
      pending.set(number, { probe, payload, sent: performance.now() })
      sys.sendto(fd, message, 0, probe.to)
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === undefined) throw error
      pending.delete(number)
      const problem = failure(errno, probe.target)
      if (isTransient(errno)) probe.hindrance = problem
      else fail(probe, problem)
      return
    }
    probe.hindrance = undefined
    // over veth and bridges the answer is there before sendto(2) returns: read now, the time is the true one
    receive(1)
  }

  const onReply = (number: number, payload: Uint8Array, from: string, received: number): void => {
    const attempt = pending.get(number)
    if (!attempt || !isEqual(attempt.payload, payload)) return
    const ms = received - attempt.sent
    const { target, finish } = attempt.probe
    const who = from === target ? from : `${from} (not ${target})`
    finish({ outcome: 'reached', ms, from, detail: `reply from ${who} in ${formatMs(ms)} ms` })
  }

  const receive = (limit: number): void => {
    for (let i = 0; i < limit; i++) {
      let got: ReturnType<typeof sys.recvfrom>
      try {
        got = sys.recvfrom(fd, receiveBuffer, sys.MSG_DONTWAIT)
      } catch (error) {
        drainErrors(errnoOf(error))
        continue
      }
      const received = performance.now()
      if (!got) return
      const from = decodeSocketAddress(got.address)?.address ?? ''
      const packet = receiveBuffer.subarray(0, got.length)
      const message = family === 4 && socket.kind === 'raw' ? skipIpv4Header(packet) : packet
      const icmp = message && decodeIcmp(family, message)
      if (icmp?.kind === 'reply' && (socket.kind === 'ping' || icmp.id === id)) {
        onReply(icmp.sequence, icmp.payload, from, received)
      } else if (icmp?.kind === 'error' && icmp.about.id === id) {
        const probe = pending.get(icmp.about.sequence)?.probe
        if (!probe || probe.target !== icmp.about.destination) continue
        // the kernel answers itself when address resolution fails or a rule of its own rejects (ipv4_link_failure)
        const who = from === icmp.about.source ? `${from}, the sender itself,` : from
        const code = `${family === 4 ? 'ICMP' : 'ICMPv6'} ${icmp.type}/${icmp.code}`
        const detail = `${who} answers: ${icmp.words}`
        fail(probe, { outcome: 'unreachable', from, code, detail, ...(icmp.mtu ? { mtu: icmp.mtu } : {}) })
      }
    }
  }

  /**
   * The error queue of a ping socket gives our own datagrams back, and SO_ERROR the errno of the latest (the exact type
   * and code would take recvmsg(2)).
   */
  const drainErrors = (known?: number): void => {
    let errno = known ?? sys.socketError(fd)
    for (let i = 0; i < DRAIN; i++) {
      const length = takeError(fd, receiveBuffer)
      if (length === undefined) return
      const view = new DataView(receiveBuffer.buffer, 0, Math.max(length, 8))
      const probe = length >= 8 ? pending.get(view.getUint16(6))?.probe : undefined
      if (probe && errno !== 0) {
        const detail = `an error came back for ${probe.target}: ${describeErrno(errno)}`
        fail(probe, { ...failure(errno, probe.target), outcome: 'unreachable', detail })
      }
      // taking one error out makes the next one pending
      errno = sys.socketError(fd) || errno
    }
  }

  const watch = loop.watch(fd, sys.POLLIN, (events) => {
    if (events & sys.POLLERR) drainErrors()
    if (events & sys.POLLIN) receive(DRAIN)
  })

  const onDeadline = (probe: Probe): void => {
    const { timeout, patience = 0 } = probe.request
    const left = patience - (performance.now() - probe.started)
    const problem = probe.problem ?? probe.hindrance
    if (problem && left > 0) {
      probe.timers.deadline = loop.after(left, () => onDeadline(probe))
      return
    }
    const count = probe.sequences.length
    const detail = `no reply from ${probe.target} within ${timeout} ms, ${count} ${count === 1 ? 'echo' : 'echoes'} sent`
    probe.finish(problem ?? { outcome: 'lost', detail })
  }

  const start: Pinger['start'] = (request, done) => {
    let to: Uint8Array
    try {
      to = resolveSocketAddress(fd, request.address)
    } catch (error) {
      return done(impossible(`cannot ping ${request.address}`, error))
    }
    let isDone = false
    const probe: Probe = {
      request,
      to,
      target: decodeSocketAddress(to)?.address ?? splitScope(request.address).address,
      started: performance.now(),
      sequences: [],
      timers: {},
      finish: (result) => {
        if (isDone) return
        isDone = true
        probe.timers.deadline?.cancel()
        probe.timers.next?.cancel()
        for (const number of probe.sequences) pending.delete(number)
        done(result)
      },
    }
    probe.timers.deadline = loop.after(request.timeout, () => onDeadline(probe))
    send(probe)
  }

  return {
    start,
    forbidFragments: () => forbidFragments(fd, family),
    close: () => {
      watch.stop()
      sys.close(fd)
    },
  }
}

/** The family that an address, perhaps with a scope, belongs to. */
export function echoFamily(address: string): Family {
  return familyOf(splitScope(address).address)
}
