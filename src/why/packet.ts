/** The packet whose way is followed, as it is at one place of that way. Plain data; every step makes a new one. */
import type { Family } from '../ip/index.ts'

export type Protocol = 'icmp' | 'icmpv6' | 'tcp' | 'udp' | 'sctp'

/** A device as rules see it. */
export interface PacketDevice {
  readonly index: number
  readonly name: string
  /** `veth`, `bridge`, …; absent for physical devices and loopback */
  readonly kind?: string
  readonly group: number
  readonly mac?: string
}

/** One direction of a flow. Ports of ICMP are its identifier, which is never known here. */
export interface Tuple {
  readonly source: string
  readonly destination: string
  /** absent: a port that the kernel chooses */
  readonly sourcePort?: number
  readonly destinationPort?: number
}

/** What connection tracking knows of the packet in the present namespace. */
export interface Tracking {
  readonly state: 'new' | 'established' | 'related' | 'invalid' | 'untracked'
  readonly direction: 'original' | 'reply'
  readonly original: Tuple
  /** what the answer will look like; differs from the mirror image of `original` once the flow is translated */
  readonly reply: Tuple
  readonly mark: number
  readonly isSourceTranslated: boolean
  readonly isDestinationTranslated: boolean
}

export interface Packet extends Tuple {
  readonly family: Family
  readonly protocol: Protocol
  readonly icmpType?: number
  readonly icmpCode?: number
  /** TCP flags as in the header: SYN is 2, SYN with ACK 0x12 */
  readonly tcpFlags?: number
  /** bytes of the whole IP packet */
  readonly length: number
  readonly ttl: number
  /** firewall mark (meta mark) */
  readonly mark: number
  readonly in?: PacketDevice
  readonly out?: PacketDevice
  /** port of a bridge that it came in by or leaves by, where the bridge passes it to IP rules (br_netfilter) */
  readonly physicalIn?: PacketDevice
  readonly physicalOut?: PacketDevice
  readonly sourceMac?: string
  readonly destinationMac?: string
  readonly tracking: Tracking
}
