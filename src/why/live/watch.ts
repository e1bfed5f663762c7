/** Sees the marked packet: on devices, and at the rules that it meets. Nothing of it stays, whatever happens. */

import { NETLINK_NETFILTER, openSocket, type Socket } from '../../netlink/index.ts'
import {
  decodeTrace,
  type Expression,
  match,
  meta,
  subscribeTraces,
  type TraceEvent,
  transaction,
} from '../../nftables/index.ts'
import type { Link } from '../../rtnetlink/index.ts'
import * as sys from '../../sys/index.ts'
import type { Space } from '../space.ts'
import type { Marked } from './packet.ts'

const ETH_P_ALL = 0x0300
/** `struct sockaddr_ll`: where the kernel says whether the frame leaves (PACKET_OUTGOING) */
const PACKET_TYPE_AT = 10
const PACKET_OUTGOING = 4

export interface Sighting {
  readonly space: Space
  readonly link: Link
  /** the packet itself, or its answer */
  readonly way: 'request' | 'answer'
  readonly isLeaving: boolean
}

export interface Eye extends Disposable {
  readonly fd: number
  /** What has been seen since it was asked last. */
  readonly look: () => Sighting[]
}

/** Looks at every frame on a device. Throws SysError (EPERM). */
export function watchDevice(space: Space, link: Link, { magic }: Marked): Eye {
  const fd = space.inside(() => sys.socket(sys.AF_PACKET, sys.SOCK_RAW | sys.SOCK_NONBLOCK, 0))
  const address = new Uint8Array(20)
  const view = new DataView(address.buffer)
  view.setUint16(0, sys.AF_PACKET, true)
  view.setUint16(2, ETH_P_ALL, true)
  view.setInt32(4, link.index, true)
  sys.bind(fd, address)
  const buffer = new Uint8Array(65_536)
  return {
    fd,
    look: () => {
      const seen: Sighting[] = []
      for (let got = sys.recvfrom(fd, buffer); got; got = sys.recvfrom(fd, buffer)) {
        const frame = buffer.subarray(0, got.length)
        const isLeaving = got.address[PACKET_TYPE_AT] === PACKET_OUTGOING
        const way = holds(frame, magic.request) ? 'request' : holds(frame, magic.answer) ? 'answer' : undefined
        if (way) seen.push({ space, link, way, isLeaving })
      }
      return seen
    },
    [Symbol.dispose]: () => sys.close(fd),
  }
}

function holds(frame: Uint8Array, magic: number): boolean {
  const bytes = [magic >>> 24, (magic >>> 16) & 255, (magic >>> 8) & 255, magic & 255]
  for (let i = frame.indexOf(bytes[0] ?? 0); i >= 0; i = frame.indexOf(bytes[0] ?? 0, i + 1)) {
    if (bytes.every((byte, k) => frame[i + k] === byte)) return true
  }
  return false
}

export interface Traced {
  readonly space: Space
  readonly event: TraceEvent
}

export interface Tracer extends Disposable {
  readonly fd: number
  readonly look: () => Traced[]
}

/** Earlier than every chain of others. */
const FIRST = -450

/**
 * Marks the packet for tracing in a table that belongs to a socket (flag `owner`): the kernel takes it away with the
 * socket, also when this process is killed. Throws NftablesError where it cannot be made.
 */
export function traceRules(space: Space, marked: Marked): Tracer {
  const owner = space.inside(() => openSocket(NETLINK_NETFILTER))
  const events = space.inside(() => openSocket(NETLINK_NETFILTER))
  const close = (): void => {
    events.close()
    owner.close()
  }
  try {
    makeTable(owner, marked)
    subscribeTraces(events)
  } catch (error) {
    close()
    throw error
  }
  const own = tableName()
  return {
    fd: events.fd,
    look: () =>
      events
        .events(0)
        .map(decodeTrace)
        .filter((event) => event !== undefined && event.table !== own)
        .map((event) => ({ space, event: event as TraceEvent })),
    [Symbol.dispose]: close,
  }
}

function tableName(): string {
  return `hardway_trace_${process.pid}`
}

function makeTable(socket: Socket, { magic, offset }: Marked): void {
  const table = { family: 'inet', name: tableName(), flags: ['owner'] } as const
  const trace: Expression = { kind: 'mangle', target: meta('nftrace'), value: { kind: 'value', value: 1 } }
  const rules = [
    [offset.request, magic.request],
    [offset.answer, magic.answer],
  ] as const
  const change = transaction().createTable(table)
  for (const hook of ['prerouting', 'output'] as const) {
    const chain = { family: 'inet', table: table.name, name: hook } as const
    change.addChain({ ...chain, type: 'filter', hook, priority: FIRST, policy: 'accept' })
    for (const [at, value] of rules) {
      const here = match({ kind: 'raw', base: 'th', offset: at * 8, length: 32 }, value)
      change.addRule({ family: 'inet', table: table.name, chain: hook, expressions: [here, trace] })
    }
  }
  change.commit(socket)
}
