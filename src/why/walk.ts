/** The way of a packet through one namespace after the other, as the kernel would take it. */
import { isLinkLocalV6 } from '../ip/index.ts'
import type { Link, Route } from '../rtnetlink/index.ts'
import { cross, withoutOut } from './bridge.ts'
import { bigger, duplicateFault, forwardingOff, loopbackFault, twin, withoutSource, wrongDevice } from './checks.ts'
import { addFault, addHop, type Context, type Outcome, stopped, unknown } from './context.ts'
import { takenBy } from './deliver.ts'
import { deviceOf, passHook } from './firewall.ts'
import { dadFault, dropsReversePath, resolve, reversePath } from './neighbours.ts'
import type { Packet } from './packet.ts'
import { passQueue } from './queue.ts'
import { blameRule, formatRoute, routeOf, shadowedRoute } from './routes.ts'
import { deviceName, type End, type Fault } from './segment.ts'
import type { Space } from './space.ts'
import { full, remember, track } from './tracking.ts'

/** Namespaces that one packet may pass: as many as its time to live. */
const LIMIT = 64

const LOOPBACK = 1

/** A packet that a program in `space` makes. Its source is chosen by the route when it is ''. */
export function send(context: Context, space: Space, made: Packet): Outcome {
  context.sender = space
  const routed = routeOf(space, made)
  if ('unknown' in routed) return unknown(routed.unknown)
  if ('fault' in routed) {
    addFault(context, 'route', routed.fault)
    return stopped(routed.fault, made)
  }
  const chosen = chooseSource(context, space, made, routed.route)
  if ('kind' in chosen) return chosen
  describeRoute(context, space, routed.route)
  const out = space.link(routed.route.index)
  const tracked = track(context, space, { ...chosen, ...(out ? { out: deviceOf(out) } : {}) })
  const before = full(context, space, tracked)
  if (before) return before
  const output = passHook(context, space, 'output', tracked)
  if (output.kind !== 'pass') return output
  let { route } = routed
  if (output.isRerouted) {
    const again = routeOf(space, output.packet)
    if ('unknown' in again) return unknown(again.unknown)
    if ('fault' in again) {
      addFault(context, 'route', again.fault)
      return stopped(again.fault, output.packet)
    }
    route = again.route
    describeRoute(context, space, route)
  }
  return leave(context, space, output.packet, route)
}

function chooseSource(context: Context, space: Space, made: Packet, route: Route): Packet | Outcome {
  if (made.source !== '') return made
  const source = route.src ?? (route.type === 'local' ? made.destination : undefined)
  const own = space.addresses().find((a) => a.address.address === source)
  const link = space.link(own?.index)
  if (own && link && own.flags.some((f) => f === 'tentative' || f === 'dadfailed')) {
    const fault = dadFault(space, link, own)
    addFault(context, 'address', fault)
    return stopped(fault, made)
  }
  if (source === undefined) {
    const fault = withoutSource(space, space.link(route.index), made.family)
    addFault(context, 'address', fault)
    return stopped(fault, made)
  }
  return { ...made, source }
}

function describeRoute(context: Context, space: Space, route: Route): void {
  const text = formatRoute(space, route)
  addHop(context, space, 'route', text, route.type === 'local' ? `${route.to.address} is here` : `route: ${text}`)
}

/** From the route to the wire: postrouting, then the device. */
function leave(context: Context, space: Space, packet: Packet, route: Route): Outcome {
  const out = space.link(route.index)
  if (route.type === 'local') return loopBack(context, space, packet)
  if (route.type !== 'unicast' || !out) return unknown(`a ${route.type} route is not followed`)
  const tooBig = bigger(space, packet, route.metrics?.mtu ?? out.mtu, deviceName(space, out))
  const post = passHook(context, space, 'postrouting', { ...packet, out: deviceOf(out) })
  if (post.kind !== 'pass') return post
  remember(context, space, post.packet)
  if (tooBig) {
    addFault(context, 'device', tooBig)
    return stopped(tooBig, post.packet)
  }
  const queued = passQueue(context, space, out, post.packet, 'out')
  if (queued) return queued
  const nextHop = route.via ?? post.packet.destination
  const found = resolve(context, space, out, nextHop, post.packet)
  if (found.kind === 'unknown') {
    addHop(context, space, 'device', deviceName(space, out), found.text, 'unknown')
    return unknown(found.text)
  }
  if (found.kind === 'fault') {
    const blame = /^(NO_ADDRESS|ROUTE_WRONG_DEV|NO_NEIGHBOUR)$/.test(found.fault.code)
      ? blameRule(space, packet)
      : undefined
    const shadowed = found.fault.code === 'NO_ADDRESS' && !route.via ? shadowedRoute(space, packet, route) : undefined
    return stopped(blame ?? (shadowed ? wrongDevice(space, found.fault, route, shadowed) : found.fault), post.packet)
  }
  const end = arrive(context, found.end, post.packet)
  return found.twins.length === 0 ? end : amongTwins(context, end, found.twins, post.packet)
}

/** Several have the address: it counts only what all of them would do. */
function amongTwins(context: Context, end: Outcome, twins: readonly End[], packet: Packet): Outcome {
  const quiet = (): Context => ({ ...context, hops: [], trackings: new Map(context.trackings), visits: new Map() })
  const takes = (outcome: Outcome): boolean =>
    outcome.kind === 'delivered' && takenBy(quiet(), outcome.space, outcome.packet) === undefined
  const answers = [end, ...twins.map((twin) => arrive(quiet(), twin, packet))].map(takes)
  if (answers.every((answer) => answer === answers[0])) return end
  const [twin] = twins
  const text = `${packet.destination} is there several times, and not all who have it take the packet`
  return unknown(text, twin && duplicateFault(twin.space, twin.link, packet.destination))
}

/** To an address of the namespace itself: out of the loopback device and in again. */
function loopBack(context: Context, space: Space, packet: Packet): Outcome {
  const lo = space.link(LOOPBACK)
  if (!lo) return unknown(`${space.name} has no loopback device`)
  const out = deviceOf(lo)
  const post = passHook(context, space, 'postrouting', { ...packet, out })
  if (post.kind !== 'pass') return post
  if (!lo.isUp) {
    const fault: Fault = {
      code: 'LOOPBACK_DOWN',
      space,
      object: deviceName(space, lo),
      text: `the loopback device of ${space.name} is switched off, and with it the way to its own addresses`,
      remedy: 'ip link set lo up',
      file: 'interfaces: { lo: { up: true } }',
    }
    addFault(context, 'device', fault)
    return stopped(fault, packet)
  }
  const pre = passHook(context, space, 'prerouting', { ...withoutOut(post.packet), in: out })
  if (pre.kind !== 'pass') return pre
  return deliver(context, space, pre.packet)
}

/** The frame crosses the segment and comes to a protocol stack. */
function arrive(context: Context, end: End, packet: Packet): Outcome {
  const { space, link } = end
  if (packet.length > end.mtu.bytes) {
    const at = end.steps.find((s) => deviceName(s.space, s.link) === end.mtu.at)
    const fault = bigger(at?.space ?? space, packet, end.mtu.bytes, end.mtu.at)
    if (fault) {
      addFault(context, 'device', fault)
      return stopped(fault, packet)
    }
  }
  let crossing = packet
  for (const one of end.crossings) {
    const passed = cross(context, one, crossing)
    if (passed.kind !== 'pass') return passed
    crossing = passed.packet
  }
  return receive(context, space, link, withoutOut(crossing))
}

/** A packet that comes in by a device: for here, or to be forwarded. */
export function receive(context: Context, space: Space, link: Link, came: Packet): Outcome {
  const visits = (context.visits.get(space.name) ?? 0) + 1
  context.visits.set(space.name, visits)
  if (visits > LIMIT || came.ttl <= 1) return unknown('the packet goes round in a circle')
  const device = deviceOf(link)
  const tracked = track(context, space, { ...came, in: device })
  const queued = passQueue(context, space, link, tracked, 'in')
  if (queued) return queued
  const ingress = passHook(context, space, 'ingress', tracked, 'netdev')
  if (ingress.kind !== 'pass') return ingress
  const crowded = full(context, space, tracked)
  if (crowded) return crowded
  const pre = passHook(context, space, 'prerouting', { ...ingress.packet, tracking: tracked.tracking })
  if (pre.kind !== 'pass') return pre
  const { packet } = pre
  const martian = loopbackFault(space, link, packet)
  if (martian) {
    addFault(context, 'sysctl', martian)
    return stopped(martian, packet)
  }
  const answer = space.route({
    to: packet.destination,
    from: packet.source,
    iif: link.index,
    ...(packet.mark === 0 ? {} : { mark: packet.mark }),
  })
  if ('errno' in answer && dropsReversePath(space, link, packet.source)) {
    const fault = reversePath(space, link, packet.source)
    addFault(context, 'sysctl', fault)
    return stopped(fault, packet)
  }
  if ('route' in answer && answer.route.type === 'local') {
    addHop(context, space, 'route', formatRoute(space, answer.route), `${packet.destination} is here`)
    return deliver(context, space, packet)
  }
  if (space.addresses().some((a) => a.address.address === packet.source && !isLinkLocalV6(packet.source))) {
    return twin(context, space, link, packet)
  }
  return forward(context, space, link, packet)
}

function forward(context: Context, space: Space, link: Link, packet: Packet): Outcome {
  const off = forwardingOff(space, link, packet)
  if (off) {
    addFault(context, 'sysctl', off)
    return stopped(off, packet)
  }
  const routed = routeOf(space, packet, packet.family === 4 ? link : undefined)
  if ('unknown' in routed) return unknown(routed.unknown)
  if ('fault' in routed) {
    addFault(context, 'route', routed.fault)
    return stopped(routed.fault, packet)
  }
  const { route } = routed
  describeRoute(context, space, route)
  const out = space.link(route.index)
  if (!out) return unknown(`the route ${formatRoute(space, route)} has no device`)
  // ip6_forward(): a link-local address means nothing on another link
  if (isLinkLocalV6(packet.source) && out.index !== link.index) {
    const fault = withoutSource(context.sender ?? space, undefined, packet.family)
    addFault(context, 'address', fault)
    return stopped(fault, packet)
  }
  const passed = passHook(context, space, 'forward', { ...packet, ttl: packet.ttl - 1, out: deviceOf(out) })
  if (passed.kind !== 'pass') return passed
  return leave(context, space, passed.packet, route)
}

/** The packet is for this namespace: the input rules, then whoever listens. */
function deliver(context: Context, space: Space, packet: Packet): Outcome {
  const input = passHook(context, space, 'input', withoutOut(packet))
  if (input.kind !== 'pass') return input
  remember(context, space, input.packet)
  return { kind: 'delivered', space, packet: input.packet }
}
