/** What a packet consists of, from the outside to the inside. Addresses are canonical text. */
import type { Family } from '../../ip/index.ts'

export interface Ethernet {
  readonly layer: 'ethernet'
  readonly source: string
  readonly destination: string
  /** EtherType, or below 1536 the length of an 802.3 frame */
  readonly type: number
}

export interface Vlan {
  readonly layer: 'vlan'
  readonly id: number
  readonly type: number
}

export interface Arp {
  readonly layer: 'arp'
  /** 1 request, 2 reply */
  readonly operation: number
  readonly senderMac: string
  readonly sender: string
  readonly targetMac: string
  readonly target: string
}

export interface Ip {
  readonly layer: 'ip'
  readonly family: Family
  readonly source: string
  readonly destination: string
  /** of what is inside, extension headers skipped */
  readonly protocol: number
  /** hop limit for IPv6 */
  readonly ttl: number
  /** bytes behind the headers */
  readonly length: number
  /** traffic class for IPv6 */
  readonly tos: number
  /** of IPv4, and of IPv6 fragments */
  readonly id?: number
  readonly dontFragment?: boolean
  readonly fragment?: { readonly offset: number; readonly isLast: boolean }
}

export interface Tcp {
  readonly layer: 'tcp'
  readonly source: number
  readonly destination: number
  /** `SYN`, `ACK`, … in the order in which people say them */
  readonly flags: readonly string[]
  readonly seq: number
  readonly ack: number
  readonly window: number
  /** bytes of data */
  readonly length: number
  readonly mss?: number
  readonly windowScale?: number
}

/** The beginning of a TCP header, which is all that an ICMP error may quote. */
export interface Ports {
  readonly layer: 'ports'
  readonly source: number
  readonly destination: number
}

export interface Udp {
  readonly layer: 'udp'
  readonly source: number
  readonly destination: number
  /** bytes of data */
  readonly length: number
}

export interface Icmp {
  readonly layer: 'icmp'
  readonly family: Family
  readonly type: number
  readonly code: number
  /** `echo request`, `destination port unreachable`, … */
  readonly words: string
  readonly id?: number
  readonly sequence?: number
  /** bytes of data of an echo */
  readonly length?: number
  /** address that is asked for, told or redirected to */
  readonly target?: string
  readonly mac?: string
  /** the packet that an error quotes */
  readonly about?: readonly Layer[]
}

export interface DnsQuestion {
  readonly name: string
  /** `A`, `AAAA`, … */
  readonly type: string
}

export interface DnsRecord extends DnsQuestion {
  /** seconds */
  readonly ttl: number
  readonly data: string
}

export interface Dns {
  readonly layer: 'dns'
  readonly id: number
  readonly isAnswer: boolean
  /** `NOERROR`, `NXDOMAIN`, … */
  readonly status: string
  readonly questions: readonly DnsQuestion[]
  readonly answers: readonly DnsRecord[]
}

export interface Vxlan {
  readonly layer: 'vxlan'
  readonly id: number
}

/** What is not looked into. */
export interface Other {
  readonly layer: 'other'
  readonly name: string
  /** bytes */
  readonly length: number
}

/** What is too short for its own headers, or says nonsense about itself. */
export interface Broken {
  readonly layer: 'broken'
  /** whose header it should be */
  readonly name: string
  /** bytes that are there */
  readonly length: number
}

export type Layer = Ethernet | Vlan | Arp | Ip | Tcp | Ports | Udp | Icmp | Dns | Vxlan | Other | Broken

export function broken(name: string, bytes: Uint8Array): Broken {
  return { layer: 'broken', name, length: bytes.length }
}

export function other(name: string, length: number): Other {
  return { layer: 'other', name, length }
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':')
}
