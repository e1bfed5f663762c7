/** The rules that a bridge runs for what it carries from port to port. */
import { type Context, unknown } from './context.ts'
import { deviceOf, type Hooked, passHook } from './firewall.ts'
import type { Packet } from './packet.ts'
import type { Crossing } from './segment.ts'
import { full, remember, track } from './tracking.ts'

export function withoutOut({ out: _, physicalIn: _in, physicalOut: _out, ...packet }: Packet): Packet {
  return packet
}

/** The rules that a bridge runs for frames that go from port to port. */
export function cross(context: Context, { space, from, to, bridge }: Crossing, packet: Packet): Hooked {
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
