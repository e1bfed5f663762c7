/** Values that hold a port or an interface after a colon: `host:veth0`, `192.168.56.12:80/tcp`, `[fd00::50]:80`. Pure. */
import { canonicalAddress, familyOf, isLoopback } from '../ip/index.ts'
import type { End } from './model.ts'
import { type Complaint, type Explain, explainInterfaceName, explainNamespaceName } from './values.ts'

const complain = (message: string, hint: string): Complaint => ({ message, hint })

/** `netns1:veth1` of a link. */
export function readEnd(text: string): End | undefined {
  const colon = text.indexOf(':')
  if (colon < 1 || colon === text.length - 1) return undefined
  return { namespace: text.slice(0, colon), interface: text.slice(colon + 1) }
}

export const explainEnd: Explain = (text) => {
  const end = readEnd(text)
  if (!end)
    return complain(`"${text}" is not the end of a link`, 'write namespace:interface, like netns1:veth1 or host:veth0')
  if (end.interface === 'lo')
    return complain('"lo" cannot be the end of a link', 'every namespace has a lo of its own; name another interface')
  return explainNamespaceName(end.namespace) ?? explainInterfaceName(end.interface)
}

/** A host and a port, before names are looked up. */
export interface HostPort {
  /** a canonical address, or a name; empty when nothing stands before the colon */
  readonly host: string
  readonly isAddress: boolean
  readonly port: number
}

/** Splits `name:80`, `10.0.0.1:80`, `[fd00::1]:80`. */
export function readHostPort(text: string): HostPort | Complaint {
  const form = 'like netns1:8080, 10.0.0.101:8080 or [fd00::1]:8080'
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/s.exec(text)
  if (bracketed) {
    const address = canonicalAddress(bracketed[1] ?? '')
    if (address === undefined || familyOf(address) !== 6)
      return complain(`"${bracketed[1]}" is not an IPv6 address`, form)
    if (bracketed[2] === undefined) return complain(`"${text}" has no port`, `write [${address}]:80`)
    const port = readPort(bracketed[2])
    return typeof port === 'number' ? { host: address, isAddress: true, port } : port
  }
  if (canonicalAddress(text) !== undefined && familyOf(text) === 6) {
    return complain(
      `"${text}" is an IPv6 address without brackets or without a port`,
      `write '[${text}]:80', in quotes`,
    )
  }
  const colon = text.lastIndexOf(':')
  if (colon < 0) return complain(`"${text}" has no port`, form)
  const host = text.slice(0, colon)
  if (host.includes(':')) {
    const address = canonicalAddress(host)
    if (address !== undefined)
      return complain(
        `"${text}" is an IPv6 address without brackets`,
        `write '[${address}]:${text.slice(colon + 1)}', in quotes`,
      )
    return complain(`"${text}" has too many colons`, form)
  }
  const port = readPort(text.slice(colon + 1))
  if (typeof port !== 'number') return port
  const address = canonicalAddress(host)
  if (address !== undefined) return { host: address, isAddress: true, port }
  if (/^[\d.]+$/.test(host) && host.includes('.')) return complain(`"${host}" is not an address`, form)
  return { host, isAddress: false, port }
}

export function isComplaint(value: object): value is Complaint {
  return 'message' in value
}

function readPort(text: string): number | Complaint {
  if (/^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65535) return Number(text)
  return complain(`"${text}" is not a port`, 'a number from 1 to 65535')
}

export type Protocol = 'tcp' | 'udp' | 'sctp'

export interface Listen {
  /** absent: every local address */
  readonly address?: string
  readonly port: number
  readonly protocol: Protocol
}

/** `192.168.56.12:80/tcp`, `[fd00::50]:80`, `:80`. */
export function readListen(text: string): Listen | Complaint {
  const slash = text.lastIndexOf('/')
  const word = slash < 0 ? 'tcp' : text.slice(slash + 1).toLowerCase()
  if (word !== 'tcp' && word !== 'udp' && word !== 'sctp')
    return complain(`"${word}" is not a protocol that has ports`, 'tcp, udp or sctp')
  const rest = slash < 0 ? text : text.slice(0, slash)
  if (/^\d+$/.test(rest)) {
    const port = readPort(rest)
    return typeof port === 'number'
      ? complain(`"${text}" does not say which address`, `write ':${text}' for every local address`)
      : port
  }
  const read = readHostPort(rest)
  if (isComplaint(read)) return read
  if (read.host === '' || read.host === '*') return { port: read.port, protocol: word }
  if (!read.isAddress)
    return complain(
      `"${read.host}" is not an address`,
      `like 192.168.56.12:${read.port}, '[fd00::50]:${read.port}' or :${read.port}`,
    )
  if (read.host === '0.0.0.0' || read.host === '::') {
    return complain(
      `"${text}" listens on ${read.host}, which no packet is sent to`,
      `write ':${read.port}/${word}' for every local address`,
    )
  }
  if (read.host === '::1') {
    return complain(
      'a port cannot be published on [::1]: the kernel drops what leaves from ::1 for another host, and IPv6 has no route_localnet to allow it',
      `use another address of this namespace, 127.0.0.1:${read.port}, or :${read.port}`,
    )
  }
  return { address: read.host, port: read.port, protocol: word }
}

export const explainListen: Explain = (text) => {
  const read = readListen(text)
  return isComplaint(read) ? read : undefined
}

/** `netns1:8080` of a published port. */
export const explainTarget: Explain = (text) => {
  const read = readHostPort(text)
  if (isComplaint(read)) return read
  if (read.host === '') return complain(`"${text}" does not say where to`, `like netns1:${read.port}`)
  if (read.isAddress && isLoopback(read.host)) {
    return complain(
      `"${text}" is a loopback address: packets from elsewhere cannot be sent there`,
      `name the namespace, like netns1:${read.port}, and let the service listen on its address`,
    )
  }
  return undefined
}
