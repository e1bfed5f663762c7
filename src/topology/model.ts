/**
 * A topology as the planner wants it: short forms expanded, addresses chosen, names resolved, everything explicit.
 * Plain frozen data; `at` fields say where in the file a thing was written and take no part in comparisons.
 */
import type { Family, Prefix } from '../ip/index.ts'
import type { Code } from './why-codes.ts'

/** Where something stands in the file; both count from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

interface Placed {
  /** absent for what hardway added by itself, and for topologies given as objects */
  readonly at?: Position
}

export interface Model {
  /** letters, digits, `-`, `_`, `.`; at most 32 bytes */
  readonly name: string
  /** `host` is a fresh namespace too */
  readonly isolated: boolean
  /** `host` first, then in the file's order */
  readonly namespaces: readonly Namespace[]
  readonly masquerade: readonly Masquerade[]
  readonly publish: readonly Publish[]
  /** networks for which FORWARD is held open in tables that are not ours */
  readonly forward: readonly Prefix[]
  readonly expect: readonly Expectation[]
}

export interface Namespace extends Placed {
  /** `host`, or the name under /run/netns */
  readonly name: string
  readonly interfaces: readonly Interface[]
  readonly routes: readonly Route[]
  readonly rules: readonly Rule[]
  readonly neighbours: readonly Neighbour[]
  /** dotted keys as sysctl(8) writes them */
  readonly sysctls: readonly Sysctl[]
  readonly run: readonly Service[]
}

/** One end of something. The two ends of a veth are two interfaces that name each other in `peer`. */
export interface Interface extends Placed {
  /** 1 to 15 bytes */
  readonly name: string
  readonly link: LinkKind
  /** a bridge in the same namespace */
  readonly master?: string
  /** link-layer address, lower case with colons; the kernel chooses when absent */
  readonly mac?: string
  /** bytes */
  readonly mtu?: number
  readonly up: boolean
  /** `10.0.0.101/24`; canonical and in the file's order */
  readonly addresses: readonly Prefix[]
}

export type LinkKind =
  | { readonly kind: 'veth'; readonly peer: End }
  | { readonly kind: 'bridge' }
  | {
      readonly kind: 'vxlan'
      /** VXLAN network identifier, 24 bits */
      readonly id: number
      /** unicast or multicast address of the other side */
      readonly remote?: string
      readonly local?: string
      /** underlying device in the same namespace */
      readonly dev?: string
      /** UDP port; 4789 when the file does not say */
      readonly port: number
    }
  | { readonly kind: 'macvlan'; readonly parent: string; readonly mode: 'private' | 'vepa' | 'bridge' | 'passthru' }
  /** a device of this machine that hardway did not make and does not remove (or `lo`) */
  | { readonly kind: 'existing' }

/** One end of a link: `netns1:veth1`. */
export interface End {
  readonly namespace: string
  readonly interface: string
}

export interface Route extends Placed {
  /** a network, host bits clear; `0.0.0.0/0` or `::/0` for default */
  readonly to: Prefix
  readonly type: 'unicast' | 'blackhole' | 'unreachable' | 'prohibit'
  readonly via?: string
  /** always filled for unicast routes with one hop: found from `via` when the file leaves it out */
  readonly dev?: string
  /** preferred source address */
  readonly src?: string
  readonly scope?: 'global' | 'link' | 'host'
  readonly metric?: number
  /** a number; main is 254 */
  readonly table: number
  /** the gateway is reachable on `dev` though no address says so */
  readonly onlink: boolean
  readonly mtu?: number
  /** multipath: then `via` and `dev` are absent */
  readonly nexthops?: readonly { readonly via?: string; readonly dev: string; readonly weight: number }[]
}

export interface Rule extends Placed {
  readonly family: Family
  readonly from?: Prefix
  readonly to?: Prefix
  readonly iif?: string
  readonly oif?: string
  readonly mark?: number
  readonly table: number
  readonly priority: number
}

export interface Neighbour extends Placed {
  readonly ip: string
  /** absent for a proxy entry */
  readonly mac?: string
  readonly dev: string
  /** answer ARP or NDP for this address on `dev` */
  readonly proxy: boolean
}

export interface Sysctl extends Placed {
  readonly key: string
  readonly value: string
  /** why hardway sets it by itself; absent when the file says so */
  readonly because?: string
}

/** A program kept running while the topology is up. */
export interface Service extends Placed {
  /** program and arguments, split as a shell splits words, no expansion */
  readonly argv: readonly string[]
}

export interface Masquerade extends Placed {
  readonly namespace: string
  readonly from: Prefix
  /** a device, `default` for that of the default route, or absent: whatever does not stay in `from` */
  readonly out?: string
}

export interface Publish extends Placed {
  readonly namespace: string
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  /** absent: every local address of `family` */
  readonly address?: string
  readonly family: Family
  readonly port: number
  readonly to: { readonly namespace: string; readonly address: string; readonly port: number }
  /** the target's own network: its members reach the published address too, and need masquerade for it */
  readonly network: Prefix
}

export interface Expectation extends Placed {
  /** as the file says it */
  readonly text: string
  /** `fails …`: it must not succeed */
  readonly fails: boolean
  readonly from: string
  readonly probe: Probe
  /** ms: an answer that takes longer is none */
  readonly within?: number
  /** the reason for which it must fail; only with `fails` */
  readonly because?: Code
}

/** `to` is what the file says; `address` is what it means, seen from `from`. */
export type Probe =
  | { readonly kind: 'ping'; readonly to: string; readonly address: string }
  | { readonly kind: 'tcp' | 'udp'; readonly to: string; readonly address: string; readonly port: number }
  | {
      readonly kind: 'http'
      readonly to: string
      readonly address: string
      readonly port: number
      readonly path: string
      readonly status?: number
      readonly contains?: string
    }
  | {
      readonly kind: 'dns'
      readonly to: string
      /** of the server */
      readonly address: string
      readonly port: number
      /** what is asked for */
      readonly name: string
      /** an address that the answer must have; its family is what is asked for, IPv4 when absent */
      readonly is?: string
    }
  | {
      readonly kind: 'mtu'
      readonly to: string
      readonly address: string
      /** bytes of the IP packet that must get through whole */
      readonly atLeast: number
    }
