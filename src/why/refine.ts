/** The same fault has several names: which one it is depends on what the whole way was. */

import type { Context } from './context.ts'
import { deviceOf, passHook } from './firewall.ts'
import { forwards, hostPrefix, masqueradeRemedy, publishRemedy, retargetRemedy, withGateway } from './mend.ts'
import type { Packet } from './packet.ts'
import type { Fault } from './segment.ts'
import type { Space } from './space.ts'

/** 10/8, 172.16/12, 192.168/16, 100.64/10, link-local; fc00::/7 and fe80::/10. Networks for documentation count as public. */
export function isPrivate(address: string): boolean {
  if (address.includes(':')) return /^f[cd]|^fe[89ab]/.test(address)
  const [a = 0, b = 0] = address.split('.').map(Number)
  return a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168) || (a === 100 && b >= 64 && b < 128)
}

/** On the way there: what the translations before the fault make of it. */
export function refineRequest(context: Context, fault: Fault, packet: Packet, asked: string): Fault {
  const translated = [...context.trackings.values()].some((t) => t.isDestinationTranslated)
  const isLost = fault.code === 'NO_ADDRESS' || fault.code === 'NO_ROUTE' || fault.code === 'NO_NEIGHBOUR'
  const isElsewhere = translated || packet.destination !== asked
  if (!isLost || !isElsewhere || (fault.code === 'NO_ADDRESS' && fault.isBare)) {
    return withGateway(context.world, fault, packet)
  }
  return {
    ...fault,
    code: 'DNAT_TO_NOWHERE',
    text: `${asked} is translated to ${packet.destination}, and ${fault.text}`,
    file: `publish: [ { listen: …, to: NAMESPACE:${packet.destinationPort ?? 'PORT'} } ]`,
    ...retargetRemedy(context, packet),
  }
}

/** Nothing takes the packet where it arrives: a port that was to be published, or one that nobody serves. */
export function refineDelivery(context: Context, origin: Space, space: Space, packet: Packet, fault: Fault): Fault {
  if (fault.code !== 'NOT_LISTENING') return fault
  const isTranslated = [...context.trackings.values()].some((t) => t.isDestinationTranslated)
  if (isTranslated || !isRouter(space, packet)) return fault
  const at = `${packet.destination}:${packet.destinationPort}`
  const publishing = origin === space ? published(context, space, packet) : undefined
  if (publishing) {
    return {
      ...fault,
      code: 'NO_OUTPUT_DNAT',
      object: at,
      text: `${at} is published for packets that come in (prerouting), not for those that ${space.name} makes itself (output)`,
      remedy: publishRemedy(space, 'output', packet, publishing),
      file: 'publish: # covers both',
    }
  }
  if (packet.destination.startsWith('127.')) return fault
  const own = publishedHere(context, space, packet)
  return {
    ...fault,
    code: 'DNAT_MISSING',
    object: at,
    text: `nothing listens on ${at} in ${space.name}, and no rule publishes it from there`,
    remedy: own
      ? publishRemedy(space, 'prerouting', packet, own)
      : `# a rule in prerouting: ${packet.protocol} dport ${packet.destinationPort} dnat to the address and port of the service`,
    file: `publish: [ { listen: '${at}/${packet.protocol}', to: NAMESPACE:PORT } ]`,
  }
}

/** It forwards, and has another device than the one by which the packet came. */
function isRouter(space: Space, packet: Packet): boolean {
  if (!forwards(space, packet.family)) return false
  const used = new Set(
    space
      .addresses()
      .filter((a) => a.address.family === packet.family && a.scope !== 'link' && space.link(a.index)?.name !== 'lo')
      .map((a) => a.index),
  )
  return used.size > 1
}

/** What the rules for incoming packets would make of it, on any device; undefined where they translate nothing. */
function published(context: Context, space: Space, packet: Packet): Packet | undefined {
  const quiet: Context = { ...context, hops: [], trackings: new Map() }
  const { out: _, ...bare } = packet
  // a loopback address comes from nowhere: what is published on all addresses is published on each
  const isLoopback = packet.destination.startsWith('127.') || packet.destination === '::1'
  const own = space.addresses().find((a) => a.address.family === packet.family && a.scope === 'global')
  const destination = isLoopback ? (own?.address.address ?? packet.destination) : packet.destination
  for (const link of space.links()) {
    if (!link.isUp || link.name === 'lo') continue
    const tracking = { ...packet.tracking, state: 'new' as const, isDestinationTranslated: false }
    const passed = passHook(quiet, space, 'prerouting', { ...bare, destination, in: deviceOf(link), tracking })
    if (passed.kind === 'pass' && passed.isTranslated) return passed.packet
  }
  return undefined
}

/** The same for packets that the namespace makes itself. */
function publishedHere(context: Context, space: Space, packet: Packet): Packet | undefined {
  const quiet: Context = { ...context, hops: [], trackings: new Map() }
  const { in: _, ...bare } = packet
  const lo = space.links().find((link) => link.name === 'lo')
  const tracking = { ...packet.tracking, state: 'new' as const, isDestinationTranslated: false }
  const passed = passHook(quiet, space, 'output', { ...bare, tracking, ...(lo ? { out: deviceOf(lo) } : {}) })
  return passed.kind === 'pass' && passed.isTranslated ? passed.packet : undefined
}

/** On the way back. */
export function refineAnswer(context: Context, fault: Fault, packet: Packet, isRouterMasquerading: boolean): Fault {
  if (fault.code !== 'NO_ROUTE') return fault
  const needsTranslation = isPrivate(packet.destination) && !isPrivate(packet.source)
  if (!needsTranslation && !isRouterMasquerading) {
    const mended = withGateway(context.world, fault, packet)
    return { ...mended, code: 'NO_RETURN_ROUTE', text: `the answer has no way back: ${fault.text}` }
  }
  return {
    ...fault,
    code: 'NO_MASQUERADE',
    text: `the answer has no way back: ${fault.text}, and no router on the way put its own address in place of ${packet.destination}`,
    file: `masquerade: [ { from: ${hostPrefix(packet.destination)}, out: default } ]`,
    ...masqueradeRemedy(context, packet),
  }
}
