/** `sockaddr_in` and `sockaddr_in6` in host layout; ip(7), ipv6(7). */
import { formatAddress, parseAddress } from '../ip/index.ts'
import { AF_INET, AF_INET6, ioctl, SysError } from '../sys/index.ts'

const IPV4_SIZE = 16
const IPV6_SIZE = 28
/** linux/sockios.h: index from name and back, in a `struct ifreq` (40 bytes, 16 of them the name) */
const SIOCGIFINDEX = 0x8933
const SIOCGIFNAME = 0x8910
const IFREQ_SIZE = 40
const IFNAMSIZ = 16

export interface SocketAddress {
  /** canonical text */
  readonly address: string
  /** 0 when the protocol has no ports */
  readonly port: number
  /** interface index of a link-local IPv6 address; 0 for none */
  readonly scope: number
}

/**
 * The `sockaddr` of an address and port: 16 bytes for IPv4, 28 for IPv6. `scope` is an interface index and counts for
 * IPv6 only. Throws RangeError when the text is not an address.
 */
export function encodeSocketAddress(address: string, port = 0, scope = 0): Uint8Array {
  const ip = parseAddress(address)
  if (!ip) throw new RangeError(`not an address: ${address}`)
  const bytes = new Uint8Array(ip.length === 4 ? IPV4_SIZE : IPV6_SIZE)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, ip.length === 4 ? AF_INET : AF_INET6, true)
  view.setUint16(2, port, false)
  if (ip.length === 4) {
    bytes.set(ip, 4)
  } else {
    bytes.set(ip, 8)
    view.setUint32(24, scope, true)
  }
  return bytes
}

/** What a `sockaddr` says; undefined for other families and for one that is too short. */
export function decodeSocketAddress(bytes: Uint8Array): SocketAddress | undefined {
  if (bytes.length < 2) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const family = view.getUint16(0, true)
  if (family === AF_INET && bytes.length >= 8) {
    return { address: formatAddress(bytes.subarray(4, 8)), port: view.getUint16(2, false), scope: 0 }
  }
  if (family === AF_INET6 && bytes.length >= IPV6_SIZE) {
    return {
      address: formatAddress(bytes.subarray(8, 24)),
      port: view.getUint16(2, false),
      scope: view.getUint32(24, true),
    }
  }
  return undefined
}

/** Splits `fe80::1%veth1` into the address and the name or number of its interface; RFC 4007, section 11. */
export function splitScope(text: string): { address: string; scope?: string } {
  const percent = text.indexOf('%')
  return percent < 0 ? { address: text } : { address: text.slice(0, percent), scope: text.slice(percent + 1) }
}

/** The index of an interface, looked up in the namespace of the socket `fd`. Throws SysError (ENODEV). */
export function interfaceIndex(fd: number, name: string): number {
  if (/^\d+$/.test(name)) return Number(name)
  const bytes = new TextEncoder().encode(name)
  if (bytes.length === 0 || bytes.length >= IFNAMSIZ) throw new RangeError(`not the name of an interface: ${name}`)
  const request = new Uint8Array(IFREQ_SIZE)
  request.set(bytes)
  ioctl(fd, SIOCGIFINDEX, request)
  return new DataView(request.buffer).getInt32(IFNAMSIZ, true)
}

/** The name of an interface, looked up in the namespace of the socket `fd`; undefined when there is none. */
export function interfaceName(fd: number, index: number): string | undefined {
  const request = new Uint8Array(IFREQ_SIZE)
  new DataView(request.buffer).setInt32(IFNAMSIZ, index, true)
  try {
    ioctl(fd, SIOCGIFNAME, request)
  } catch (error) {
    if (error instanceof SysError && error.code === 'ENODEV') return undefined
    throw error
  }
  return new TextDecoder().decode(request.subarray(0, request.indexOf(0)))
}

/** The `sockaddr` of `address`, which may carry a scope (`fe80::1%veth1`) known in the namespace of the socket `fd`. */
export function resolveSocketAddress(fd: number, address: string, port = 0): Uint8Array {
  const { address: bare, scope } = splitScope(address)
  return encodeSocketAddress(bare, port, scope === undefined ? 0 : interfaceIndex(fd, scope))
}
