/**
 * Layer 2: where a frame that leaves by a device can end. Follows veth pairs and bridges until it comes to devices that
 * hand the frame to a protocol stack. Faults on the way are kept with the end that they keep from being reached.
 */
import type { Link } from '../rtnetlink/index.ts'
import type { Code } from './codes.ts'
import type { Space } from './space.ts'
import type { World } from './world.ts'

export interface Step {
  readonly space: Space
  readonly link: Link
  readonly kind: 'device' | 'bridge'
  readonly text: string
}

export interface Fault {
  readonly code: Code
  readonly space: Space
  readonly object: string
  readonly text: string
  /** the commands that mend it, lines of sh, run in `mendedIn` */
  readonly remedy: string
  /** `space` when absent */
  readonly mendedIn?: Space
  /** what to change in the topology file */
  readonly file?: string
  /** of a missing address: a device on the link has none, and is the likely one to lack it */
  readonly isBare?: true
}

/** A device at which a frame is handed to the protocol stack of its namespace. */
export interface End {
  readonly space: Space
  readonly link: Link
  readonly steps: readonly Step[]
  /** the first thing on the way that stops the frame; looked for when it is asked for */
  readonly fault: () => Fault | undefined
  /** smallest MTU of the devices on the way, with the device that has it */
  readonly mtu: { readonly bytes: number; readonly at: string }
  /** the bridges that it crosses: each pair of ports, for the rules that bridges run */
  readonly crossings: readonly Crossing[]
}

export interface Crossing {
  readonly space: Space
  readonly bridge: Link
  readonly from: Link
  /** absent when the frame goes to the bridge itself */
  readonly to?: Link
}

/** Where a frame leaves what can be seen from here. */
export interface Outside {
  readonly space: Space
  readonly link: Link
  readonly steps: readonly Step[]
  readonly text: string
}

export interface Segment {
  readonly ends: readonly End[]
  readonly outside: readonly Outside[]
}

/** Looks for a fault: most ways are never asked about. */
type Check = () => Fault | undefined

interface Way {
  readonly steps: readonly Step[]
  readonly checks: readonly Check[]
  readonly mtu: End['mtu']
  readonly crossings: readonly Crossing[]
}

/** `netns1:veth1` */
export function deviceName(space: Space, link: Link): string {
  return `${space.name}:${link.name}`
}

function withStep(way: Way, step: Step, ...checks: readonly Check[]): Way {
  const smaller = step.link.mtu < way.mtu.bytes && step.link.type !== LOOPBACK
  return {
    ...way,
    steps: [...way.steps, step],
    checks: [...way.checks, ...checks],
    mtu: smaller ? { bytes: step.link.mtu, at: deviceName(step.space, step.link) } : way.mtu,
  }
}

/** ARPHRD_LOOPBACK */
const LOOPBACK = 772

export function isBridge(link: Link | undefined): boolean {
  return link?.kind === 'bridge'
}

function portOf(space: Space, link: Link) {
  const { slave } = space.detail(link)
  return slave && 'data' in slave && slave.kind === 'bridge' ? slave.data : undefined
}

const segments = new WeakMap<Space, Map<number, Segment>>()

/** Every place where a frame that `space` sends out of `link` can end. */
export function segmentOf(world: World, space: Space, link: Link): Segment {
  const known = segments.get(space) ?? new Map<number, Segment>()
  segments.set(space, known)
  const segment = known.get(link.index) ?? explore(world, space, link)
  known.set(link.index, segment)
  return segment
}

function explore(world: World, space: Space, link: Link): Segment {
  const ends: End[] = []
  const outside: Outside[] = []
  const seen = new Set<string>()

  const leave = (at: Space, device: Link, way: Way): void => {
    const key = `out ${at.inode} ${device.index}`
    if (seen.has(key)) return
    seen.add(key)
    const next = withStep(way, { space: at, link: device, kind: 'device', text: '' }, () => downFault(at, device))
    if (device.kind === 'bridge') {
      for (const port of portsOf(at, device)) cross(at, device, undefined, port, next)
      return
    }
    if (device.kind === 'veth') {
      const peer = peerOf(world, at, device)
      if (!peer) {
        const text = `the other end of ${device.name} is in a namespace that no file and no process names`
        outside.push({ space: at, link: device, steps: next.steps, text })
        return
      }
      const check = (): Fault | undefined => carrierFault(at, device, peer.space, peer.link)
      arrive(peer.space, peer.link, { ...next, checks: [...next.checks, check] })
      return
    }
    if (device.type === LOOPBACK) return
    outside.push({ space: at, link: device, steps: next.steps, text: leavesBy(device) })
  }

  const arrive = (at: Space, device: Link, way: Way): void => {
    const key = `in ${at.inode} ${device.index}`
    if (seen.has(key)) return
    seen.add(key)
    const master = at.link(device.master)
    const next = withStep(way, { space: at, link: device, kind: 'device', text: '' })
    if (!master) {
      ends.push(endOf(at, device, next))
      return
    }
    if (!isBridge(master)) {
      const text = `${device.name} belongs to ${master.name}, a ${master.kind}, which is not followed`
      outside.push({ space: at, link: device, steps: next.steps, text })
      return
    }
    const blocked = { ...next, checks: [...next.checks, () => portFault(at, device, master)] }
    const inside = { ...blocked, crossings: [...blocked.crossings, { space: at, bridge: master, from: device }] }
    seen.add(`in ${at.inode} ${master.index}`)
    ends.push(
      endOf(
        at,
        master,
        withStep(inside, { space: at, link: master, kind: 'bridge', text: '' }, () => downFault(at, master)),
      ),
    )
    for (const port of portsOf(at, master)) cross(at, master, device, port, blocked)
  }

  const cross = (at: Space, bridge: Link, from: Link | undefined, to: Link, way: Way): void => {
    if (from && to.index === from.index && portOf(at, to)?.hairpin !== 1) return
    const crossing = from ? [{ space: at, bridge, from, to }] : []
    const step: Step = { space: at, link: bridge, kind: 'bridge', text: '' }
    const checks = [() => downFault(at, bridge), () => isolationFault(at, from, to), () => portFault(at, to, bridge)]
    const next = withStep({ ...way, crossings: [...way.crossings, ...crossing] }, step, ...checks)
    leave(at, to, next)
  }

  leave(space, link, { steps: [], checks: [], mtu: { bytes: Number.POSITIVE_INFINITY, at: '' }, crossings: [] })
  return { ends, outside }
}

function endOf(space: Space, link: Link, { steps, checks, mtu, crossings }: Way): End {
  let looked: { readonly fault: Fault | undefined } | undefined
  const fault = (): Fault | undefined => {
    looked ??= { fault: firstFault(checks) }
    return looked.fault
  }
  return { space, link, steps, mtu, crossings, fault }
}

function firstFault(checks: readonly Check[]): Fault | undefined {
  for (const check of checks) {
    const fault = check()
    if (fault) return fault
  }
  return undefined
}

function leavesBy(link: Link): string {
  if (link.kind === 'tun') return `${link.name} is a tap: a program holds its other end`
  if (link.kind === 'vxlan') return `${link.name} is a tunnel, which is not followed`
  return `${link.name}${link.kind === undefined ? '' : ` (${link.kind})`} leads out of what can be seen from here`
}

function portsOf(space: Space, bridge: Link): Link[] {
  return space.links().filter((link) => link.master === bridge.index)
}

/** The other end of a veth. */
export function peerOf(world: World, space: Space, link: Link): { space: Space; link: Link } | undefined {
  const other = link.linkNetnsid === undefined ? space : world.byId(space, link.linkNetnsid)
  const peer = other?.link(link.link)
  return other && peer ? { space: other, link: peer } : undefined
}

function downFault(space: Space, link: Link): Fault | undefined {
  if (link.isUp) return undefined
  const isLoopback = link.type === LOOPBACK
  return {
    code: isLoopback ? 'LOOPBACK_DOWN' : 'LINK_DOWN',
    space,
    object: deviceName(space, link),
    text: `${deviceName(space, link)} is switched off`,
    remedy: `ip link set ${link.name} up`,
    file: `${link.name}: { up: true }`,
  }
}

function carrierFault(space: Space, link: Link, otherSpace: Space, other: Link): Fault | undefined {
  if (!link.isUp || (other.isUp && link.hasCarrier)) return undefined
  return {
    code: 'NO_CARRIER',
    space: otherSpace,
    object: deviceName(otherSpace, other),
    text: `${deviceName(space, link)} has no carrier: its other end ${deviceName(otherSpace, other)} is switched off`,
    remedy: `ip link set ${other.name} up`,
    file: `${other.name}: { up: true }`,
  }
}

function portFault(space: Space, port: Link, bridge: Link): Fault | undefined {
  const data = portOf(space, port)
  const state = data?.state ?? 'forwarding'
  if (state === 'forwarding' || !port.isUp || !port.hasCarrier || !bridge.isUp) return undefined
  return {
    code: 'BRIDGE_PORT_BLOCKED',
    space,
    object: deviceName(space, port),
    text: `port ${port.name} of bridge ${bridge.name} is in state ${state} and forwards nothing`,
    remedy: `bridge link set dev ${port.name} state 3`,
  }
}

function isolationFault(space: Space, from: Link | undefined, to: Link): Fault | undefined {
  if (!from || portOf(space, from)?.isolated !== 1 || portOf(space, to)?.isolated !== 1) return undefined
  return {
    code: 'PORT_ISOLATED',
    space,
    object: `${deviceName(space, from)} and ${to.name}`,
    text: `both ports ${from.name} and ${to.name} are isolated: the bridge forwards nothing between them`,
    remedy: `bridge link set dev ${to.name} isolated off`,
  }
}
