/** From the next hop's address to the device that gets the frame: neighbour tables, ARP, NDP. */
import { formatPrefix, prefixContains } from '../ip/index.ts'
import type { Address, Link, Neighbour } from '../rtnetlink/index.ts'
import { addFault, addHop, type Context } from './context.ts'
import type { Packet } from './packet.ts'
import { deviceName, type End, type Fault, isBridge, type Segment, segmentOf } from './segment.ts'
import type { Space } from './space.ts'

export type Resolved =
  | {
      readonly kind: 'end'
      readonly end: End
      /** others on the link that have the address, too */
      readonly twins: readonly End[]
    }
  | { readonly kind: 'fault'; readonly fault: Fault }
  | { readonly kind: 'unknown'; readonly text: string }

/** Entries that the kernel believes without asking again at once (NUD_VALID). */
const VALID: readonly Neighbour['state'][] = ['permanent', 'noarp', 'reachable', 'stale', 'delay', 'probe']

/** The device that gets frames for `nextHop`, which `space` sends out of `device`. */
export function resolve(context: Context, space: Space, device: Link, nextHop: string, packet: Packet): Resolved {
  const segment = segmentOf(context.world, space, device)
  const found = resolveOn(context, space, device, nextHop, packet, segment)
  if (found.kind === 'fault') addFault(context, kindOf(found.fault), found.fault)
  return found
}

function kindOf(fault: Fault): 'device' | 'bridge' | 'address' | 'neighbour' {
  if (/^(LINK_DOWN|NO_CARRIER|LOOPBACK_DOWN)$/.test(fault.code)) return 'device'
  if (/^(BRIDGE_|PORT_|NO_MASTER)/.test(fault.code)) return 'bridge'
  return /^(NO_ADDRESS|ADDRESS_DUPLICATE|DAD_PENDING)$/.test(fault.code) ? 'address' : 'neighbour'
}

function resolveOn(
  context: Context,
  space: Space,
  device: Link,
  nextHop: string,
  packet: Packet,
  segment: Segment,
): Resolved {
  const entry = space.neighbours().find((n) => n.index === device.index && n.ip === nextHop && !n.proxy)
  const { holders, answering } = holdersOf(segment, nextHop)
  const isStatic = entry?.state === 'permanent' || entry?.state === 'noarp'
  if (entry?.mac !== undefined && VALID.includes(entry.state)) {
    const known = byMac(segment, entry.mac)
    const isRight = known.some((end) => holders.includes(end) || answering.includes(end))
    if (isRight || (known.length > 0 && holders.length === 0 && isStatic)) {
      const end = known.find((e) => holders.includes(e) || answering.includes(e)) ?? known[0]
      if (end) return reach(context, space, device, nextHop, end, entry, holders)
    }
    if (segment.outside.length > 0 && known.length === 0 && holders.length === 0) return beyond(segment)
    if (isStatic || known.length > 0 || holders.length === 0) {
      if (holders.length > 0 || isStatic)
        return { kind: 'fault', fault: wrongMac(space, device, nextHop, entry, holders[0]) }
    }
  }
  const [holder] = [...holders, ...answering]
  if (!holder) {
    if (segment.outside.length > 0) return beyond(segment)
    return { kind: 'fault', fault: nobodyHas(context, space, device, nextHop, segment) }
  }
  const open = [...holders, ...answering].find((end) => !end.fault()) ?? holder
  if (open.fault()) return reach(context, space, device, nextHop, open, entry, holders)
  const silent = silence(open, nextHop, packet, device, space)
  if (silent) return { kind: 'fault', fault: silent }
  return reach(context, space, device, nextHop, open, entry, holders)
}

function reach(
  context: Context,
  space: Space,
  device: Link,
  nextHop: string,
  end: End,
  entry: Neighbour | undefined,
  holders: readonly End[],
): Resolved {
  const blocked = end.fault()
  if (blocked) {
    describeWay(context, end)
    return { kind: 'fault', fault: blocked }
  }
  const mac = end.link.mac ?? ''
  const isStatic = entry?.state === 'permanent' || entry?.state === 'noarp'
  const how = isStatic ? 'permanent entry' : entry && VALID.includes(entry.state) ? entry.state : 'will be asked for'
  addHop(
    context,
    space,
    'neighbour',
    `${nextHop} lladdr ${mac} dev ${device.name}`,
    `${nextHop} is at ${mac}, ${deviceName(end.space, end.link)} (${how})`,
  )
  const twins = isStatic ? [] : holders.filter((h) => h !== end && !h.fault() && h.space !== end.space)
  for (const twin of twins) {
    const text = `${nextHop} is an address of ${deviceName(end.space, end.link)} and of ${deviceName(twin.space, twin.link)}: whoever answers first gets the packets`
    addHop(context, twin.space, 'address', nextHop, text, 'note', 'ADDRESS_DUPLICATE')
  }
  describeWay(context, end)
  return { kind: 'end', end, twins }
}

/** The devices and bridges that the frame crosses. */
function describeWay(context: Context, end: End): void {
  const blocked = end.fault()
  for (const { space, link, kind } of end.steps) {
    if (blocked && deviceName(space, link) === blocked.object) return
    const words = kind === 'bridge' ? `through bridge ${link.name}` : `by ${link.name}`
    addHop(context, space, kind, deviceName(space, link), `${words}, mtu ${link.mtu}`)
  }
}

function byMac(segment: Segment, mac: string): End[] {
  return segment.ends.filter((end) => end.link.mac === mac)
}

interface Holders {
  /** namespaces that have the address */
  readonly holders: readonly End[]
  /** where nobody has it: those that answer for it all the same */
  readonly answering: readonly End[]
}

function holdersOf(segment: Segment, ip: string): Holders {
  const isIpv6 = ip.includes(':')
  const holders = segment.ends.filter((end) => {
    const has = end.space.addresses().filter((a) => a.address.address === ip)
    // IPv6 answers only on the link that has the address (ndisc_recv_ns), IPv4 on any (arp_process)
    return isIpv6 ? has.some((a) => a.index === end.link.index) : has.length > 0
  })
  const answering = holders.length > 0 ? [] : segment.ends.filter((end) => answersFor(end, ip))
  return { holders: preferOwn(holders, ip), answering }
}

/** Of several ends in one namespace the one that has the address itself. */
function preferOwn(holders: readonly End[], ip: string): End[] {
  const own = (end: End): boolean => addressOn(end, ip) !== undefined
  return [...holders].sort((a, b) => Number(own(b)) - Number(own(a)))
}

function addressOn(end: End, ip: string): Address | undefined {
  return end.space.addresses().find((a) => a.index === end.link.index && a.address.address === ip)
}

/** Proxy ARP and NDP: entries for the address, or the sysctl with a route that leads elsewhere. */
function answersFor({ space, link }: End, ip: string): boolean {
  if (space.proxies().some((p) => p.index === link.index && p.ip === ip)) return true
  const isIpv6 = ip.includes(':')
  const family = isIpv6 ? 'ipv6' : 'ipv4'
  const key = isIpv6 ? 'proxy_ndp' : 'proxy_arp'
  const isOn =
    space.sysctl(`net.${family}.conf.${link.name}.${key}`) === '1' ||
    space.sysctl(`net.${family}.conf.all.${key}`) === '1'
  // IPv6 answers for listed addresses only, whatever the sysctl says
  if (!isOn || isIpv6) return false
  if (space.sysctl(`net.ipv4.conf.${link.name}.forwarding`) !== '1') return false
  const answer = space.route({ to: ip })
  return 'route' in answer && answer.route.index !== undefined && answer.route.index !== link.index
}

/** Why the holder would not answer ARP or NDP; undefined when it would. */
function silence(end: End, ip: string, packet: Packet, device: Link, from: Space): Fault | undefined {
  const { space, link } = end
  const isIpv6 = ip.includes(':')
  const at = deviceName(space, link)
  const fault = (text: string, remedy: string): Fault => ({ code: 'NO_NEIGHBOUR', space, object: at, text, remedy })
  if (link.flags.includes('NOARP')) {
    return fault(`${at} answers no ARP or NDP (arp off)`, `ip link set ${link.name} arp on`)
  }
  if (device.flags.includes('NOARP')) {
    const near = deviceName(from, device)
    return {
      ...fault(`${near} asks for no neighbours (arp off)`, `ip link set ${device.name} arp on`),
      space: from,
      object: near,
    }
  }
  const own = space.addresses().find((a) => a.address.address === ip)
  if (isIpv6) {
    const pending = own?.flags.find((f) => f === 'tentative' || f === 'dadfailed')
    return pending && own ? dadFault(space, link, own) : undefined
  }
  const values = ['all', link.name].map((name) => Number(space.sysctl(`net.ipv4.conf.${name}.arp_ignore`) ?? 0))
  const ignore = Math.max(...values)
  const isOnLink = own?.index === link.index
  const isIgnored = ignore >= 8 || (ignore >= 1 && !isOnLink)
  if (isIgnored) {
    const key = `net.ipv4.conf.${values[0] === ignore ? 'all' : link.name}.arp_ignore`
    return { ...fault(`${at} ignores questions for ${ip}: ${key} = ${ignore}`, `sysctl -w ${key}=0`), object: key }
  }
  const back = space.route({ to: ip, from: packet.source, iif: link.index })
  if ('errno' in back && dropsReversePath(space, link, packet.source) && sourceIsOn(from, device, packet.source)) {
    return reversePath(space, link, packet.source)
  }
  return undefined
}

function sourceIsOn(space: Space, device: Link, source: string): boolean {
  return space.addresses().some((a) => a.index === device.index && a.address.address === source)
}

/**
 * Whether the reverse path filter of `link` drops packets from `source`. The kernel's answer to a route query says only
 * that they are refused (EXDEV, since Linux 6.15 EINVAL), not why; fib_validate_source() is what it asks.
 */
export function dropsReversePath(space: Space, link: Link, source: string): boolean {
  if (source.includes(':')) return false
  const mode = Math.max(
    ...['all', link.name].map((name) => Number(space.sysctl(`net.ipv4.conf.${name}.rp_filter`) ?? 0)),
  )
  if (mode === 0) return false
  const back = space.route({ to: source })
  if ('errno' in back || back.route.type !== 'unicast') return true
  const devices = [back.route.index, ...(back.route.nexthops ?? []).map((hop) => hop.index)]
  return mode === 1 && !devices.includes(link.index)
}

/** The reverse path filter drops packets from `source` that come in by `link`. */
export function reversePath(space: Space, link: Link, source: string): Fault {
  const value = (name: string): number => Number(space.sysctl(`net.ipv4.conf.${name}.rp_filter`) ?? 0)
  const key = `net.ipv4.conf.${value('all') >= value(link.name) ? 'all' : link.name}.rp_filter`
  return {
    code: 'RP_FILTER',
    space,
    object: `${key} = ${Math.max(value('all'), value(link.name))}`,
    text: `the reverse path filter drops packets from ${source} that come in by ${link.name}: the route back leaves by another device`,
    remedy: `sysctl -w net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.${link.name}.rp_filter=2`,
    file: `sysctls: { net.ipv4.conf.all.rp_filter: 2 }`,
  }
}

export function dadFault(space: Space, link: Link, address: Address): Fault {
  const isFailed = address.flags.includes('dadfailed')
  const prefix = formatPrefix(address.address)
  return {
    code: 'DAD_PENDING',
    space,
    object: `${prefix} dev ${link.name}`,
    text: isFailed
      ? `${address.address.address} on ${deviceName(space, link)} failed duplicate address detection: somebody else has it`
      : `${address.address.address} on ${deviceName(space, link)} is still tentative: duplicate address detection is not done`,
    remedy: isFailed
      ? `ip address del ${prefix} dev ${link.name}\nip address add ${prefix} dev ${link.name} nodad # once the other one is gone`
      : 'sleep 2 # or give the address with nodad',
  }
}

function beyond(segment: Segment): Resolved {
  return { kind: 'unknown', text: segment.outside[0]?.text ?? '' }
}

function wrongMac(space: Space, device: Link, ip: string, entry: Neighbour, holder: End | undefined): Fault {
  const right = holder?.link.mac
  const isStatic = entry.state === 'permanent' || entry.state === 'noarp'
  return {
    code: 'NEIGHBOUR_WRONG_MAC',
    space,
    object: `${ip} lladdr ${entry.mac} dev ${device.name} ${entry.state}`,
    text: `the entry says that ${ip} is at ${entry.mac}, ${right ? `but it is at ${right}` : 'but nobody on the link has that MAC'}`,
    remedy:
      isStatic && right
        ? `ip neigh replace ${ip} lladdr ${right} dev ${device.name}`
        : `ip neigh del ${ip} dev ${device.name}`,
    file: `neighbours: [ { ip: ${ip}, mac: '${right ?? '…'}', dev: ${device.name} } ]`,
  }
}

/** Nobody on the segment has the address: the ways in which that comes about. */
function nobodyHas(context: Context, space: Space, device: Link, ip: string, segment: Segment): Fault {
  return (
    strayedPort(context, space, device, ip, segment) ??
    otherDevice(context, space, device, ip) ??
    emptiedByDown(ip, segment) ??
    missingAddress(space, device, ip, segment)
  )
}

/** A device that is no port, beside a bridge: the packet is on one side of the gap, the address on the other. */
function strayedPort(context: Context, space: Space, device: Link, ip: string, segment: Segment): Fault | undefined {
  const here: readonly Place[] = [{ space, link: device }, ...segment.ends]
  for (const { space: at, link } of here) {
    const bridges = isBridge(link) ? [link] : isStray(at, link) ? at.links().filter(isBridge) : []
    for (const bridge of bridges) {
      // on the bridge looking for a stray, or on a stray looking for the bridge
      const strays = isBridge(link) ? at.links().filter((l) => isStray(at, l)) : [link]
      const stray = strays.find((s) => leadsTo(context, at, isBridge(link) ? s : bridge, ip))
      if (stray) return noMaster(at, stray, bridge, ip)
    }
  }
  return undefined
}

interface Place {
  readonly space: Space
  readonly link: Link
}

function isStray(space: Space, link: Link): boolean {
  if (link.kind !== 'veth' || link.master !== undefined) return false
  return !space.addresses().some((a) => a.index === link.index && a.scope !== 'link')
}

function leadsTo(context: Context, space: Space, link: Link, ip: string): boolean {
  if (space.addresses().some((a) => a.index === link.index && a.address.address === ip)) return true
  return holdersOf(segmentOf(context.world, space, link), ip).holders.length > 0
}

function noMaster(space: Space, stray: Link, bridge: Link, ip: string): Fault {
  return {
    code: 'NO_MASTER',
    space,
    object: deviceName(space, stray),
    text: `${deviceName(space, stray)} is no port of bridge ${bridge.name}, which would join it with ${ip}`,
    remedy: `ip link set ${stray.name} master ${bridge.name}`,
    file: `${stray.name}: { bridge: ${bridge.name} }`,
  }
}

/** IPv6 addresses go with a device that is switched off: the end that lost them so is the likely one. */
function emptiedByDown(ip: string, segment: Segment): Fault | undefined {
  if (!ip.includes(':')) return undefined
  const end = segment.ends.find(
    ({ space, link }) => !link.isUp && !space.addresses().some((a) => a.index === link.index && a.address.family === 6),
  )
  const fault = end?.fault()
  return fault?.code === 'NO_CARRIER' || fault?.code === 'LINK_DOWN' ? fault : undefined
}

function otherDevice(context: Context, space: Space, device: Link, ip: string): Fault | undefined {
  for (const other of space.links()) {
    if (other.index === device.index || other.master !== undefined || other.kind === undefined) continue
    const { holders } = holdersOf(segmentOf(context.world, space, other), ip)
    if (holders.length === 0) continue
    return {
      code: 'ROUTE_WRONG_DEV',
      space,
      object: `${ip} dev ${device.name}`,
      text: `the route leads out of ${device.name}, but ${ip} is behind ${other.name}`,
      remedy: `ip route replace ${ip} dev ${other.name}`,
      file: `routes: [ { to: ${ip}, dev: ${other.name} } ]`,
    }
  }
  return undefined
}

function missingAddress(space: Space, device: Link, ip: string, segment: Segment): Fault {
  const likely = segment.ends.find((end) =>
    end.space
      .addresses()
      .every(
        (a) =>
          a.index !== end.link.index ||
          a.address.family !== (ip.includes(':') ? 6 : 4) ||
          !prefixContains(a.address, ip),
      ),
  )
  const at = likely ?? segment.ends[0]
  const network = space.addresses().find((a) => a.index === device.index && prefixContains(a.address, ip))
  const prefix = `${ip}/${network?.address.length ?? (ip.includes(':') ? 64 : 24)}`
  return {
    code: 'NO_ADDRESS',
    space: at?.space ?? space,
    object: ip,
    text: `nobody behind ${deviceName(space, device)} has the address ${ip}`,
    remedy: at ? `ip address add ${prefix} dev ${at.link.name}` : `# nobody can be given ${ip}`,
    ...(likely ? { isBare: true } : {}),
    ...(at ? { file: `${at.link.name}: { addresses: ${prefix} }` } : {}),
  }
}
