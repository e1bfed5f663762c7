/**
 * A netlink socket. It belongs to the network namespace in which it was opened, for ever: the thread may leave.
 *
 * Calls are synchronous: the kernel answers most requests before send(2) returns.
 */
import * as sys from '../sys/index.ts'
import type { Fields } from './attributes.ts'
import { Reader, Writer } from './buffer.ts'
import { NetlinkError, readDone, readError } from './errors.ts'
import {
  decodeBody,
  type Message,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_NOOP,
  type Received,
  type Request,
  type Shape,
  splitMessages,
  writeRequest,
} from './message.ts'
import type { StructFields } from './struct.ts'

export const NETLINK_ROUTE = 0
export const NETLINK_SOCK_DIAG = 4
export const NETLINK_NETFILTER = 12

const SOL_NETLINK = 270
const NETLINK_ADD_MEMBERSHIP = 1
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11
const NETLINK_GET_STRICT_CHK = 12

const ENOBUFS = 105
const EBUSY = 16

/** Larger than any datagram of a dump (the kernel builds them up to 32 KiB). */
const RECEIVE_SIZE = 128 * 1024
/** Room for an nf_tables transaction, which must be one send(2), for its errors, and for a burst of events. */
const SOCKET_BUFFER = 8 * 1024 * 1024
/** Requests in one send: bounded so that their errors fit a receive buffer of the usual size. */
const BATCH_MESSAGES = 64
/** A dump that the kernel marks as interrupted is asked again this often before we give up. */
const DUMP_TRIES = 10

// one buffer for every socket: a datagram is decoded before the next one is read
const receiveBuffer = new Uint8Array(RECEIVE_SIZE)

export interface Socket extends Disposable {
  readonly fd: number
  /** Sends one request and waits for its acknowledgement. Throws NetlinkError. */
  readonly execute: (message: Request) => void
  /**
   * Sends many requests in few system calls. The kernel goes on after one that fails; the answer has, for each
   * request in order, its error or undefined.
   */
  readonly batch: (messages: readonly Request[]) => (NetlinkError | undefined)[]
  /** Sends one request and returns its one answer. Throws NetlinkError. */
  readonly get: <S extends StructFields, F extends Fields>(message: Request, as: Shape<S, F>) => Message<S, F>
  /** Everything that the request selects, as one consistent picture. Throws NetlinkError. */
  readonly dump: <S extends StructFields, F extends Fields>(message: Request, as: Shape<S, F>) => Message<S, F>[]
  /**
   * Sends raw requests in one send(2) and returns each answer until every request flagged NLM_F_ACK was answered
   * or failed: for nf_tables, whose transactions are framed by two messages of their own.
   */
  readonly exchange: (messages: readonly Request[]) => { errors: (NetlinkError | undefined)[]; answers: Received[] }
  /** Joins a multicast group. */
  readonly subscribe: (group: number) => void
  /** Messages that have arrived without being asked for, waiting up to `timeout` ms. Throws ENOBUFS when some were lost. */
  readonly events: (timeout: number) => Received[]
  readonly close: () => void
}

/** The message with a payload of its own: the next datagram overwrites the receive buffer. */
function keep(message: Received): Received {
  return { ...message, payload: new Reader(message.payload.copy()) }
}

let lastSequence = Math.floor(Date.now() / 1000) >>> 0

function nextSequence(): number {
  lastSequence = (lastSequence + 1) >>> 0 || 1
  return lastSequence
}

function setOption(fd: number, name: number, value: number): void {
  sys.setsockopt(fd, SOL_NETLINK, name, value)
}

function enlarge(fd: number): void {
  for (const option of [sys.SO_SNDBUFFORCE, sys.SO_RCVBUFFORCE]) {
    try {
      sys.setsockopt(fd, sys.SOL_SOCKET, option, SOCKET_BUFFER)
    } catch {
      // needs CAP_NET_ADMIN in the first user namespace; in a sandbox the default sizes must do
      sys.setsockopt(fd, sys.SOL_SOCKET, option === sys.SO_SNDBUFFORCE ? 7 : 8, SOCKET_BUFFER)
    }
  }
}

/** Opens a socket of `protocol` (NETLINK_ROUTE, …) in the thread's present network namespace. Throws SysError. */
export function openSocket(protocol: number): Socket {
  const fd = sys.socket(sys.AF_NETLINK, sys.SOCK_RAW, protocol)
  setOption(fd, NETLINK_EXT_ACK, 1)
  setOption(fd, NETLINK_CAP_ACK, 1)
  if (protocol === NETLINK_ROUTE) setOption(fd, NETLINK_GET_STRICT_CHK, 1)
  if (protocol === NETLINK_NETFILTER) enlarge(fd)
  let isOpen = true

  const receive = (flags = 0): Received[] | undefined => {
    const length = sys.recv(fd, receiveBuffer, flags)
    return length === undefined ? undefined : splitMessages(receiveBuffer.subarray(0, length))
  }

  /** Every request sent, in one datagram; `acknowledge` says which ask for an answer of their own. */
  const sendAll = (messages: readonly Request[], acknowledge: (index: number) => boolean): number => {
    const first = nextSequence()
    const writer = new Writer(256 * messages.length)
    for (const [i, message] of messages.entries()) {
      writeRequest(writer, message, i === 0 ? first : nextSequence(), acknowledge(i) ? NLM_F_ACK : 0)
    }
    sys.send(fd, writer.bytes)
    return first
  }

  const batchOnce = (messages: readonly Request[], errors: (NetlinkError | undefined)[], from: number): void => {
    // only the last asks for an acknowledgement: errors are reported in any case, and in order
    const first = sendAll(messages, (i) => i === messages.length - 1)
    for (;;) {
      for (const answer of receive() ?? []) {
        const index = (answer.sequence - first) >>> 0
        if (answer.type !== NLMSG_ERROR || index >= messages.length) continue
        errors[from + index] = readError(answer, messages[index])
        if (index === messages.length - 1) return
      }
    }
  }

  const batch: Socket['batch'] = (messages) => {
    const errors = new Array<NetlinkError | undefined>(messages.length).fill(undefined)
    for (let at = 0; at < messages.length; at += BATCH_MESSAGES) {
      batchOnce(messages.slice(at, at + BATCH_MESSAGES), errors, at)
    }
    return errors
  }

  const dumpOnce = <S extends StructFields, F extends Fields>(
    message: Request,
    as: Shape<S, F>,
  ): Message<S, F>[] | 'interrupted' => {
    const sequence = sendAll([{ ...message, flags: message.flags | NLM_F_DUMP }], () => false)
    const found: Message<S, F>[] = []
    let isInterrupted = false
    for (;;) {
      for (const answer of receive() ?? []) {
        if (answer.sequence !== sequence) continue
        if (answer.flags & NLM_F_DUMP_INTR) isInterrupted = true
        if (answer.type === NLMSG_ERROR || answer.type === NLMSG_DONE) {
          const error = answer.type === NLMSG_ERROR ? readError(answer, message) : readDone(answer)
          if (error) throw error
          return isInterrupted ? 'interrupted' : found
        }
        if (answer.type !== NLMSG_NOOP) found.push(decodeBody(as, answer.payload))
      }
    }
  }

  const close = (): void => {
    if (isOpen) sys.close(fd)
    isOpen = false
  }

  return {
    fd,
    batch,
    execute: (message) => {
      const [error] = batch([message])
      if (error) throw error
    },
    get: (message, as) => {
      const sequence = sendAll([message], () => false)
      for (;;) {
        for (const answer of receive() ?? []) {
          if (answer.sequence !== sequence) continue
          if (answer.type !== NLMSG_ERROR) return decodeBody(as, answer.payload)
          throw readError(answer, message) ?? new NetlinkError(EBUSY, 'an acknowledgement came in place of an answer')
        }
      }
    },
    dump: (message, as) => {
      for (let i = 0; i < DUMP_TRIES; i++) {
        const found = dumpOnce(message, as)
        if (found !== 'interrupted') return found
      }
      throw new NetlinkError(EBUSY, `the table kept changing while it was read, ${DUMP_TRIES} times`)
    },
    exchange: (messages) => {
      const first = sendAll(messages, () => false)
      const errors = new Array<NetlinkError | undefined>(messages.length).fill(undefined)
      const waiting = new Set<number>()
      for (const [i, message] of messages.entries()) if (message.flags & NLM_F_ACK) waiting.add(i)
      const answers: Received[] = []
      // everything is queued before send(2) returns; an error takes the place of an acknowledgement
      for (;;) {
        const received = receive(sys.MSG_DONTWAIT)
        if (!received) break
        for (const answer of received) {
          const index = (answer.sequence - first) >>> 0
          if (index >= messages.length) continue
          if (answer.type === NLMSG_ERROR) {
            errors[index] = readError(answer, messages[index])
            waiting.delete(index)
          } else {
            answers.push(keep(answer))
          }
        }
      }
      for (const index of waiting) {
        errors[index] ??= errors.some(Boolean) ? undefined : new NetlinkError(ENOBUFS, 'the kernel gave no answer')
      }
      return { errors, answers }
    },
    subscribe: (group) => {
      enlarge(fd)
      // a socket without an address is left out of every broadcast. Bound to the one that it has: zeros let the
      // kernel choose, and EINVAL answers any other than it got by then from a request or an earlier group
      sys.bind(fd, sys.getsockname(fd))
      setOption(fd, NETLINK_ADD_MEMBERSHIP, group)
    },
    events: (timeout) => {
      const [ready] = sys.poll([{ fd, events: sys.POLLIN }], timeout)
      return ready ? (receive(sys.MSG_DONTWAIT) ?? []).map(keep) : []
    },
    close,
    [Symbol.dispose]: close,
  }
}
