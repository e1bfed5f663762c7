/** Listening sockets of a namespace, over sock_diag(7); linux/inet_diag.h. */
import { type Family, formatAddress } from '../ip/index.ts'
import { attrs, NETLINK_SOCK_DIAG, openSocket, request, type Socket, shape, struct, u8 } from '../netlink/index.ts'
import { AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP } from '../sys/index.ts'

const SOCK_DIAG_BY_FAMILY = 20
/** include/net/tcp_states.h; a UDP socket without a peer counts as closed */
const TCP_CLOSE = 7
const TCP_LISTEN = 10

/** `struct inet_diag_sockid`; addresses as two halves of their 16 bytes */
const sockid = {
  sourcePort: 'be16',
  destinationPort: 'be16',
  source0: 'u64',
  source1: 'u64',
  destination0: 'u64',
  destination1: 'u64',
  interface: 'u32',
  cookie0: 'u32',
  cookie1: 'u32',
} as const

/** `struct inet_diag_req_v2` */
const requestHeader = struct({ family: 'u8', protocol: 'u8', extensions: 'u8', _pad: 'u8', states: 'u32', ...sockid })
/** `struct inet_diag_msg` */
const answerHeader = struct({
  family: 'u8',
  state: 'u8',
  timer: 'u8',
  retransmits: 'u8',
  ...sockid,
  expires: 'u32',
  receiveQueue: 'u32',
  sendQueue: 'u32',
  uid: 'u32',
  inode: 'u32',
})
const answerAttrs = attrs({ isIpv6Only: [11, u8] })

const requestShape = shape(requestHeader, answerAttrs)
const answerShape = shape(answerHeader, answerAttrs)

export interface ListeningSocket {
  readonly protocol: 'tcp' | 'udp'
  readonly family: Family
  /** `0.0.0.0` and `::` are every address */
  readonly address: string
  readonly port: number
  /** index of the interface that it is bound to; 0 for every one */
  readonly interface: number
  /** IPv6: no IPv4 packets come in here */
  readonly isIpv6Only: boolean
  readonly uid: number
  /** as in /proc/PID/fd: `socket:[INODE]` */
  readonly inode: number
}

/** Opens a socket for `listListening` in the thread's present namespace. Throws SysError. */
export function openSockDiag(): Socket {
  return openSocket(NETLINK_SOCK_DIAG)
}

function formatHalves(family: Family, first: bigint, second: bigint): string {
  const bytes = new Uint8Array(new BigUint64Array([first, second]).buffer)
  return formatAddress(family === 4 ? bytes.subarray(0, 4) : bytes)
}

/**
 * TCP sockets that listen, and UDP sockets without a peer, of both families. Throws NetlinkError (ENOENT where the
 * kernel lacks tcp_diag or udp_diag).
 */
export function listListening(socket: Socket): ListeningSocket[] {
  const found: ListeningSocket[] = []
  for (const protocol of ['tcp', 'udp'] as const) {
    for (const family of [4, 6] as const) {
      const wanted = {
        family: family === 4 ? AF_INET : AF_INET6,
        protocol: protocol === 'tcp' ? IPPROTO_TCP : IPPROTO_UDP,
        states: 1 << (protocol === 'tcp' ? TCP_LISTEN : TCP_CLOSE),
      }
      for (const { header, attrs } of socket.dump(request(SOCK_DIAG_BY_FAMILY, 0, requestShape, wanted), answerShape)) {
        found.push({
          protocol,
          family,
          address: formatHalves(family, header.source0, header.source1),
          port: header.sourcePort,
          interface: header.interface,
          isIpv6Only: attrs.isIpv6Only === 1,
          uid: header.uid,
          inode: header.inode,
        })
      }
    }
  }
  return found
}
