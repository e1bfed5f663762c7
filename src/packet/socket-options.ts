/** Socket options that probes of several kinds set; ip(7), ipv6(7), linux/in.h, linux/in6.h. */
import type { Family } from '../ip/index.ts'
import * as sys from '../sys/index.ts'

const SOL_IP = 0
const SOL_IPV6 = 41
const IP_TTL = 2
const IP_MTU_DISCOVER = 10
const IP_RECVERR = 11
const IPV6_UNICAST_HOPS = 16
const IPV6_MTU_DISCOVER = 23
const IPV6_RECVERR = 25
const IPV6_DONTFRAG = 62
/** DF is set, and what the kernel remembers of the path is passed over: only the device's own MTU limits a packet. */
const PMTUDISC_PROBE = 3

const MSG_ERRQUEUE = 0x2000

/** ICMP errors about what this socket sent become an errno, and wait in the error queue. */
export function receiveErrors(fd: number, family: Family): void {
  if (family === 4) sys.setsockopt(fd, SOL_IP, IP_RECVERR, 1)
  else sys.setsockopt(fd, SOL_IPV6, IPV6_RECVERR, 1)
}

/** Takes one error out of the queue: the datagram at fault is copied to `buffer`. Undefined when there is none. */
export function takeError(fd: number, buffer: Uint8Array): number | undefined {
  return sys.recvfrom(fd, buffer, sys.MSG_DONTWAIT | MSG_ERRQUEUE)?.length
}

/** A packet that is too large for a device is refused (EMSGSIZE here, an ICMP error from a router), never cut. */
export function forbidFragments(fd: number, family: Family): void {
  if (family === 4) sys.setsockopt(fd, SOL_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE)
  else {
    sys.setsockopt(fd, SOL_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE)
    sys.setsockopt(fd, SOL_IPV6, IPV6_DONTFRAG, 1)
  }
}

/** Hops that packets may take; -1 for the namespace's default. */
export function setHops(fd: number, family: Family, hops: number): void {
  sys.setsockopt(fd, family === 4 ? SOL_IP : SOL_IPV6, family === 4 ? IP_TTL : IPV6_UNICAST_HOPS, hops)
}
