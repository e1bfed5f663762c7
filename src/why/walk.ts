/** The way of a packet through one namespace after the other, as the kernel would take it. */
import { isLinkLocalV6 } from '../ip/index.ts'
import type { Link, Route } from '../rtnetlink/index.ts'
import { addFault, addHop, type Context, type Ended, type Outcome, stopped, unknown } from './context.ts'
import { takenBy } from './deliver.ts'
import { deviceOf, passHook } from './firewall.ts'
import { dadFault, dropsReversePath, resolve, reversePath } from './neighbours.ts'
import type { Packet, Tracking, Tuple } from './packet.ts'
import { passQueue } from './queue.ts'
import { blameRule, formatRoute, localnetFault, routeOf, shadowedRoute } from './routes.ts'
import { type Crossing, deviceName, type End, type Fault } from './segment.ts'
import type { Space } from './space.ts'

/** Namespaces that one packet may pass: as many as its time to live. */
const LIMIT = 64

const LOOPBACK = 1

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

function isSameTuple(a: Tuple, b: Tuple): boolean {
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
function track(context: Context, space: Space, packet: Packet): Packet {
  const known = context.trackings.get(space.inode)
  if (context.way === 'answer' && known && isSameTuple(known.reply, packet)) {
    return { ...packet, tracking: { ...known, direction: 'reply', state: 'established' } }
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

/** Remembers what rules made of the flow. */
function remember(context: Context, space: Space, packet: Packet): void {
  if (context.way === 'request') context.trackings.set(space.inode, packet.tracking)
}

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

/** No address to send from, or none that is ready. */
function withoutSource(space: Space, device: Link | undefined, family: Packet['family']): Fault {
  const pending = space
    .addresses()
    .find(
      (a) =>
        a.address.family === family &&
        a.scope !== 'link' &&
        a.flags.some((f) => f === 'tentative' || f === 'dadfailed'),
    )
  const at = space.link(pending?.index)
  if (pending && at) return dadFault(space, at, pending)
  return {
    code: 'NO_ADDRESS',
    space,
    object: device ? deviceName(space, device) : space.name,
    text: `${space.name} has no IPv${family} address to send from`,
    remedy: `ip address add ADDRESS/LENGTH dev ${device?.name ?? 'DEVICE'}`,
  }
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

export function duplicateFault(space: Space, link: Link, address: string): Fault {
  return {
    code: 'ADDRESS_DUPLICATE',
    space,
    object: address,
    text: `${address} is an address of ${deviceName(space, link)}, too`,
    remedy: `ip address del ${address} dev ${link.name}`,
  }
}

function wrongDevice(space: Space, fault: Fault, taken: Route, better: Route): Fault {
  return {
    code: 'ROUTE_WRONG_DEV',
    space,
    object: formatRoute(space, taken),
    text: `${fault.text}; without this route ${formatRoute(space, better)} would be taken`,
    remedy: `ip route del ${taken.to.address}/${taken.to.length} dev ${space.link(taken.index)?.name ?? ''}`,
    file: `routes: # without { to: ${taken.to.address}/${taken.to.length} }`,
  }
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

function withoutOut({ out: _, physicalIn: _in, physicalOut: _out, ...packet }: Packet): Packet {
  return packet
}

function bigger(space: Space, packet: Packet, mtu: number, at: string): Fault | undefined {
  if (packet.length <= mtu) return undefined
  const [, device = at] = at.split(':')
  return {
    code: 'MTU_TOO_SMALL',
    space,
    object: `${at} mtu ${mtu}`,
    text: `a packet of ${packet.length} bytes does not fit ${at}, whose MTU is ${mtu}`,
    remedy: `ip link set ${device} mtu ${packet.length}`,
    file: `${device}: { mtu: ${packet.length} }`,
  }
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

/** The rules that a bridge runs for frames that go from port to port. */
function cross(context: Context, { space, from, to, bridge }: Crossing, packet: Packet): ReturnType<typeof passHook> {
  const physicalIn = deviceOf(from)
  const common = { ...withoutOut(packet), physicalIn, ...(to ? { physicalOut: deviceOf(to) } : {}) }
  // bridge tables see the ports themselves
  const bridgeHooks = to ? (['prerouting', 'forward', 'postrouting'] as const) : (['prerouting', 'input'] as const)
  let current = packet
  for (const hook of bridgeHooks) {
    const isOut = hook === 'forward' || hook === 'postrouting'
    const seen = { ...withoutOut(current), in: physicalIn, ...(isOut && to ? { out: deviceOf(to) } : {}) }
    const passed = passHook(context, space, hook, seen, 'bridge')
    if (passed.kind !== 'pass') return passed
    current = { ...passed.packet, tracking: packet.tracking }
  }
  const key = `net.bridge.bridge-nf-call-ip${packet.family === 6 ? '6' : ''}tables`
  if (!to || space.sysctl(key) !== '1') return { kind: 'pass', packet, isRerouted: false, isTranslated: false }
  const device = deviceOf(bridge)
  let ip = track(context, space, { ...common, in: device })
  const crowded = full(context, space, ip)
  if (crowded) return crowded
  for (const hook of ['prerouting', 'forward', 'postrouting'] as const) {
    const passed = passHook(context, space, hook, hook === 'prerouting' ? ip : { ...ip, out: device })
    if (passed.kind !== 'pass') return passed
    ip = passed.packet
  }
  if (ip.destination !== packet.destination) {
    return unknown(`bridge ${bridge.name} sends the packet elsewhere (${key} = 1), which is not followed`)
  }
  remember(context, space, ip)
  // what the rules make of its source and mark stays; who forwarded it is no matter any more
  return { kind: 'pass', packet: withoutOut({ ...ip, ttl: packet.ttl }), isRerouted: false, isTranslated: false }
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

/** The receiver has the sender's own address: the kernel takes the packet for forged, or answers itself. */
function twin(context: Context, space: Space, link: Link, packet: Packet): Outcome {
  const fault: Fault = {
    code: 'ADDRESS_DUPLICATE',
    space,
    object: packet.source,
    text: `${space.name} has the sender's address ${packet.source} itself, and drops what comes from it by ${link.name}`,
    remedy: `ip address del ${packet.source} dev ${space.link(space.addresses().find((a) => a.address.address === packet.source)?.index)?.name ?? link.name}`,
  }
  addFault(context, 'address', fault)
  return stopped(fault, packet)
}

function loopbackFault(space: Space, link: Link, packet: Packet): Fault | undefined {
  const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1'
  if (!isLoopback(packet.destination) && !isLoopback(packet.source)) return undefined
  const key = `net.ipv4.conf.${link.name}.route_localnet`
  if (packet.family === 4 && (space.sysctl(key) === '1' || space.sysctl('net.ipv4.conf.all.route_localnet') === '1'))
    return undefined
  const what = isLoopback(packet.source) ? `from ${packet.source}` : `to ${packet.destination}`
  return localnetFault(space, link.name, what)
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

function forwardingOff(space: Space, link: Link, packet: Packet): Fault | undefined {
  const key = packet.family === 4 ? `net.ipv4.conf.${link.name}.forwarding` : 'net.ipv6.conf.all.forwarding'
  if (space.sysctl(key) !== '0') return undefined
  const whole = packet.family === 4 ? 'net.ipv4.ip_forward' : key
  const said = space.sysctl(whole) === '0' ? whole : key
  return {
    code: 'FORWARDING_OFF',
    space,
    object: `${said} = 0`,
    text: `${space.name} does not forward what comes in by ${link.name}: ${said} = 0`,
    remedy: `sysctl -w ${said}=1`,
    file: `sysctls: { ${said}: 1 }`,
  }
}

/** The packet is for this namespace: the input rules, then whoever listens. */
function deliver(context: Context, space: Space, packet: Packet): Outcome {
  const input = passHook(context, space, 'input', withoutOut(packet))
  if (input.kind !== 'pass') return input
  remember(context, space, input.packet)
  return { kind: 'delivered', space, packet: input.packet }
}

/** A table of connection tracking that is full drops every new flow. */
function full(context: Context, space: Space, packet: Packet): Ended | undefined {
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
