/**
 * ICMP and ICMPv6 sockets: one per namespace and family serves all of its echo probes.
 *
 * A raw socket (CAP_NET_RAW; raw(7)) sees the errors that routers send, word for word. Without that right a ping socket
 * serves (net.ipv4.ping_group_range; icmp(7)): there the kernel turns errors into an errno.
 */
import type { Family } from '../ip/index.ts'
import * as sys from '../sys/index.ts'
import { icmpTypes } from './icmp.ts'
import { errnoOf } from './result.ts'
import { receiveErrors } from './socket-options.ts'

const SOL_RAW = 255
const ICMP_FILTER = 1
/** Answers of thousands of echoes may wait together; memory is used only by what waits. */
const RECEIVE_BUFFER = 4 * 1024 * 1024
const SO_RCVBUF = 8

const EPERM = 1
const EACCES = 13

export interface EchoSocket {
  readonly fd: number
  readonly family: Family
  readonly kind: 'raw' | 'ping'
}

/**
 * Opens an echo socket in the thread's present network namespace: raw, or where that is not permitted a ping socket.
 * Throws SysError.
 */
export function openEchoSocket(family: Family, kind?: EchoSocket['kind']): EchoSocket {
  const [domain, protocol] = family === 4 ? [sys.AF_INET, sys.IPPROTO_ICMP] : [sys.AF_INET6, sys.IPPROTO_ICMPV6]
  if (kind !== 'ping') {
    try {
      const fd = sys.socket(domain, sys.SOCK_RAW | sys.SOCK_NONBLOCK, protocol)
      return prepare({ fd, family, kind: 'raw' })
    } catch (error) {
      const errno = errnoOf(error)
      if (kind === 'raw' || (errno !== EPERM && errno !== EACCES)) throw error
    }
  }
  return prepare({ fd: sys.socket(domain, sys.SOCK_DGRAM | sys.SOCK_NONBLOCK, protocol), family, kind: 'ping' })
}

function prepare(socket: EchoSocket): EchoSocket {
  const { fd, family, kind } = socket
  try {
    if (kind === 'raw') filterTypes(fd, family)
    else receiveErrors(fd, family)
    try {
      sys.setsockopt(fd, sys.SOL_SOCKET, sys.SO_RCVBUFFORCE, RECEIVE_BUFFER)
    } catch {
      // CAP_NET_ADMIN in the first user namespace; up to net.core.rmem_max goes without
      sys.setsockopt(fd, sys.SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER)
    }
    return socket
  } catch (error) {
    sys.close(fd)
    throw error
  }
}

/** A raw socket gets a copy of all ICMP traffic of its namespace; a set bit keeps a type away (raw(7), RFC 3542, 3.2). */
function filterTypes(fd: number, family: Family): void {
  const blocked = new Uint32Array(family === 4 ? 1 : 8).fill(0xffffffff)
  for (const type of [icmpTypes[family].reply, ...Object.values(icmpTypes[family].errors)]) {
    blocked[type >> 5] = ((blocked[type >> 5] ?? 0) & ~(1 << (type & 31))) >>> 0
  }
  sys.setsockopt(fd, family === 4 ? SOL_RAW : sys.IPPROTO_ICMPV6, ICMP_FILTER, new Uint8Array(blocked.buffer))
}
