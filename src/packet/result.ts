/** What a probe found, and the words for what the kernel said. */
import { isLinkLocalV6 } from '../ip/index.ts'
import { errnoName, SysError, strerror } from '../sys/index.ts'
import type { DnsAnswer } from './dns-message.ts'
import type { HttpResponse } from './http-response.ts'

/**
 * - `reached`: the answer that was asked for came
 * - `refused`: a TCP reset, or a port unreachable
 * - `lost`: nothing came within the time-out
 * - `unreachable`: somebody, the own kernel included, says that it cannot be delivered
 * - `malformed`: an answer that cannot be read: no whole HTTP answer over a connection, a damaged DNS message
 * - `mismatch`: an answer that was not accepted
 * - `error`: the probe itself could not be made; it says nothing about the network
 */
export type Outcome = 'reached' | 'refused' | 'lost' | 'unreachable' | 'malformed' | 'mismatch' | 'error'

export interface ProbeResult {
  readonly outcome: Outcome
  /**
   * ms. Echo: round trip. TCP: round trip of the handshake as the kernel measured it. HTTP: from the first SYN of
   * the connection that gave the answer to the answer's end. UDP and DNS: from the latest datagram to the answer.
   * Absent when nothing answered.
   */
  readonly ms?: number
  /** one plain sentence without a full stop */
  readonly detail: string
  /** the name of an errno (`ENETUNREACH`), or `ICMP 3/1` and `ICMPv6 1/3` with type and code */
  readonly code?: string
  /** who answered, when it was an address of its own */
  readonly from?: string
  readonly response?: HttpResponse
  readonly dns?: DnsAnswer
  /** bytes: the largest packet that gets through, or would, as an ICMP error says */
  readonly mtu?: number
}

/** 0.05, 1.2, 13: what a person wants to read of a number of ms. */
export function formatMs(ms: number): string {
  if (ms >= 100) return ms.toFixed(0)
  return ms >= 1 ? ms.toFixed(1) : ms.toFixed(2)
}

/** An error of this class came from outside (socket call, namespace), not from a mistake in the program. */
export function errnoOf(error: unknown): number | undefined {
  return error instanceof SysError ? error.errno : undefined
}

/** `Network is unreachable (ENETUNREACH)` */
export function describeErrno(errno: number): string {
  return `${strerror(errno)} (${errnoName(errno)})`
}

const EPERM = 1
const EACCES = 13
const EINVAL = 22
const ENETDOWN = 100
const ENETUNREACH = 101
const ECONNRESET = 104
const ETIMEDOUT = 110
const ECONNREFUSED = 111

/** Errors that pass by themselves: an IPv6 address that is still tentative, a full queue, a full neighbour table. */
const transient = new Set([11 /* EAGAIN */, 99 /* EADDRNOTAVAIL */, 105 /* ENOBUFS */])

export function isTransient(errno: number): boolean {
  return transient.has(errno)
}

/** EMFILE and ENFILE: no descriptor is free. */
export function isExhausted(errno: number | undefined): boolean {
  return errno === 24 || errno === 23
}

/** What an errno of connect(2) or sendto(2) says about the way to `target`. */
export function failure(errno: number, target: string): ProbeResult {
  const code = errnoName(errno)
  const words = describeErrno(errno)
  switch (errno) {
    case ECONNREFUSED:
      return { outcome: 'refused', detail: `connection refused by ${target}`, code }
    case ECONNRESET:
      return { outcome: 'refused', detail: `connection reset by ${target}`, code }
    case ETIMEDOUT:
      return { outcome: 'lost', detail: `no answer from ${target}: ${words}`, code }
    case ENETUNREACH:
      return { outcome: 'unreachable', detail: `no route to ${target}: ${words}`, code }
    case ENETDOWN:
      return { outcome: 'unreachable', detail: `the interface towards ${target} is down: ${words}`, code }
    case EPERM:
      // NF_DROP in the output hook is given back as EPERM (nf_hook_slow)
      return { outcome: 'unreachable', detail: `a filter of the sender drops packets to ${target}: ${words}`, code }
    case EACCES:
      return { outcome: 'unreachable', detail: `the way to ${target} is prohibited: ${words}`, code }
    case EINVAL:
      if (isLinkLocalV6(target.replace('[', '')) && !target.includes('%')) {
        return {
          outcome: 'unreachable',
          detail: `${target} needs its interface too, like fe80::1%eth0: ${words}`,
          code,
        }
      }
      // fib_props[RTN_BLACKHOLE]
      return {
        outcome: 'unreachable',
        detail: `${target} cannot be sent to, as with a blackhole route: ${words}`,
        code,
      }
    default:
      return { outcome: 'unreachable', detail: `${target} is unreachable: ${words}`, code }
  }
}

/** The probe could not be made. */
export function impossible(what: string, error: unknown): ProbeResult {
  const errno = errnoOf(error)
  const words = errno !== undefined ? describeErrno(errno) : error instanceof Error ? error.message : String(error)
  return { outcome: 'error', detail: `${what}: ${words}`, ...(errno === undefined ? {} : { code: errnoName(errno) }) }
}
