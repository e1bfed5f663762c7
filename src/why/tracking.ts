/** What connection tracking makes of the packet, namespace by namespace. */
import { IPPROTO_TCP, IPPROTO_UDP } from '../sys/index.ts'
import { addFault, type Context, type Ended, stopped } from './context.ts'
import type { Packet, Tracking, Tuple } from './packet.ts'
import type { Fault } from './segment.ts'
import type { Space } from './space.ts'

export function tupleOf({ source, destination, sourcePort, destinationPort }: Tuple): Tuple {
  return {
    source,
    destination,
    ...(sourcePort === undefined ? {} : { sourcePort }),
    ...(destinationPort === undefined ? {} : { destinationPort }),
  }
}

export function mirror({ source, destination, sourcePort, destinationPort }: Tuple): Tuple {
  return {
    source: destination,
    destination: source,
    ...(destinationPort === undefined ? {} : { sourcePort: destinationPort }),
    ...(sourcePort === undefined ? {} : { destinationPort: sourcePort }),
  }
}

export function isSameTuple(a: Tuple, b: Tuple): boolean {
  const samePort = (x: number | undefined, y: number | undefined): boolean =>
    x === undefined || y === undefined || x === y
  return (
    a.source === b.source &&
    a.destination === b.destination &&
    samePort(a.sourcePort, b.sourcePort) &&
    samePort(a.destinationPort, b.destinationPort)
  )
}

/** What connection tracking of the namespace makes of the packet when it comes there. */
export function track(context: Context, space: Space, packet: Packet): Packet {
  const known = context.trackings.get(space.inode)
  if (context.way === 'answer' && known && isSameTuple(known.reply, packet)) {
    return { ...packet, tracking: { ...known, direction: 'reply', state: 'established' } }
  }
  const before = context.way === 'request' && !context.forgets ? knownFlow(space, packet) : undefined
  if (before) {
    context.remembered ??= space
    return { ...packet, tracking: before }
  }
  const state = context.way === 'request' || packet.protocol === 'udp' ? 'new' : 'invalid'
  const tracking: Tracking = {
    state,
    direction: 'original',
    original: tupleOf(packet),
    reply: mirror(packet),
    mark: 0,
    isSourceTranslated: false,
    isDestinationTranslated: false,
  }
  return { ...packet, tracking }
}

/** What is remembered of a flow with these very ports; it is asked for only where the packet's port is given. */
function knownFlow(space: Space, packet: Packet): Tracking | undefined {
  const { family, sourcePort } = packet
  const protocol = packet.protocol === 'udp' ? IPPROTO_UDP : packet.protocol === 'tcp' ? IPPROTO_TCP : undefined
  if (sourcePort === undefined || protocol === undefined) return undefined
  const [flow] = space.flows({ family, protocol, original: tupleOf(packet) })
  if (!flow) return undefined
  return {
    // rules for address translation are for flows that are new in earnest
    state: 'established',
    direction: 'original',
    original: tupleOf(flow.original),
    reply: tupleOf(flow.reply),
    mark: flow.mark,
    isSourceTranslated:
      flow.reply.destination !== flow.original.source || flow.reply.destinationPort !== flow.original.sourcePort,
    isDestinationTranslated:
      flow.reply.source !== flow.original.destination || flow.reply.sourcePort !== flow.original.destinationPort,
  }
}

/** Remembers what rules made of the flow. */
export function remember(context: Context, space: Space, packet: Packet): void {
  if (context.way === 'request') context.trackings.set(space.inode, packet.tracking)
}

/** A table of connection tracking that is full drops every new flow. */
export function full(context: Context, space: Space, packet: Packet): Ended | undefined {
  if (packet.tracking.state !== 'new') return undefined
  const [count, max] = ['count', 'max'].map((key) => space.sysctl(`net.netfilter.nf_conntrack_${key}`))
  if (count === undefined || max === undefined || Number(max) === 0 || Number(count) < Number(max)) return undefined
  const fault: Fault = {
    code: 'CONNTRACK_FULL',
    space,
    object: `net.netfilter.nf_conntrack_max = ${max}`,
    text: `connection tracking of ${space.name} is full (${count} of ${max} flows): it drops every new one`,
    remedy: `sysctl -w net.netfilter.nf_conntrack_max=${Math.max(65536, Number(max) * 2)}`,
    file: `sysctls: { net.netfilter.nf_conntrack_max: ${Math.max(65536, Number(max) * 2)} }`,
  }
  addFault(context, 'tracking', fault)
  return stopped(fault, packet)
}
