/** Route lookups: the kernel's own answer, and our reading of rules and tables where the kernel only says no. */
import { type Family, formatPrefix, type Prefix, prefixContains } from '../ip/index.ts'
import type { Link, Route, Rule } from '../rtnetlink/index.ts'
import type { Packet } from './packet.ts'
import { deviceName, type Fault, isBridge } from './segment.ts'
import type { Space } from './space.ts'

export type Routed = { readonly route: Route } | { readonly fault: Fault } | { readonly unknown: string }

const MAIN = 254
const LOCAL = 255
const DEFAULT = 253

/** `10.0.0.0/24 via 10.0.1.1 dev eth0 table 100` */
export function formatRoute(space: Space, route: Route): string {
  const to = route.to.length === 0 ? 'default' : formatPrefix(route.to)
  const dev = space.link(route.index)?.name
  const words = [
    route.type === 'unicast' ? '' : route.type,
    to,
    route.via === undefined ? '' : `via ${route.via}`,
    dev === undefined ? '' : `dev ${dev}`,
    route.table === MAIN || route.table === 0 ? '' : `table ${tableName(route.table)}`,
  ]
  return words.filter((word) => word !== '').join(' ')
}

function tableName(table: number): string {
  return table === LOCAL ? 'local' : table === DEFAULT ? 'default' : table === MAIN ? 'main' : String(table)
}

/** The kernel's choice for a packet: of its own making, or one that came in by `from`. */
export function routeOf(space: Space, packet: Packet, from?: Link): Routed {
  const isForwarded = from !== undefined
  const answer = space.route({
    to: packet.destination,
    ...(packet.source === '' ? {} : { from: packet.source }),
    ...(isForwarded ? { iif: from.index } : {}),
    ...(packet.mark === 0 ? {} : { mark: packet.mark }),
  })
  if ('route' in answer) {
    const refusal = refusalOf(space, packet, answer.route)
    return refusal ? { fault: refusal } : answer
  }
  if (answer.errno === 'EINVAL' && packet.source.startsWith('127.') && !isForwarded) {
    return { fault: staysInside(space, packet) }
  }
  if (answer.errno === 'EINVAL' && packet.source !== '' && !isForwarded) {
    return { unknown: `the kernel refuses the source address ${packet.source}` }
  }
  return { fault: missing(space, packet, from) }
}

/** A loopback address leaves by no device that is not told to let it (route_localnet). */
function staysInside(space: Space, packet: Packet): Fault {
  const answer = space.route({ to: packet.destination })
  const device = ('route' in answer ? space.link(answer.route.index)?.name : undefined) ?? 'all'
  return localnetFault(space, device, `from ${packet.source}`)
}

/** `what`: `from 127.0.0.1` */
export function localnetFault(space: Space, device: string, what: string): Fault {
  const key = `net.ipv4.conf.${device}.route_localnet`
  return {
    code: 'ROUTE_LOCALNET_OFF',
    space,
    object: `${key} = 0`,
    text: `a packet ${what} does not pass ${space.name}:${device}: loopback addresses stay inside`,
    remedy: `sysctl -w ${key}=1`,
    file: `sysctls: { ${key}: 1 }`,
  }
}

/** Routes that lead nowhere on purpose come as an answer for IPv6, as an error for IPv4. */
function refusalOf(space: Space, packet: Packet, route: Route): Fault | undefined {
  if (!isRefusal(route)) return undefined
  const decided = decide(space, packet)
  // the kernel's own route of last resort is no route at all
  if (!decided || !isRefusal(decided.route)) return missing(space, packet, undefined)
  return refusal(space, decided)
}

function isRefusal({ type }: Route): boolean {
  return type === 'blackhole' || type === 'unreachable' || type === 'prohibit'
}

interface Decided {
  readonly rule: Rule
  readonly route: Route
}

function refusal(space: Space, decided: Decided): Fault {
  const { rule, route } = decided
  const text = formatRoute(space, route)
  const table = route.table === MAIN ? '' : ` table ${route.table}`
  const main = route.table === MAIN ? undefined : mainRoute(space, route, rule)
  if (main) return wrongTable(space, decided, main)
  const object = route.to.length === 0 ? 'default' : formatPrefix(route.to)
  return {
    code: 'ROUTE_BLACKHOLE',
    space,
    object: text,
    text: `the route ${text} ${route.type === 'blackhole' ? 'drops the packet in silence' : 'refuses the packet'}`,
    remedy: `ip${route.to.family === 6 ? ' -6' : ''} route del ${route.type} ${object}${table}`,
    file: `routes: # without { to: ${object}, type: ${route.type} }`,
  }
}

/** A route of table main that would serve, where a rule chose another table. */
function mainRoute(space: Space, route: Route, rule: Rule): Route | undefined {
  if (rule.table === MAIN) return undefined
  const to = route.to.length === (route.to.family === 4 ? 32 : 128) ? route.to.address : undefined
  return to === undefined
    ? space.routes().find((r) => r.table === MAIN && r.to.family === route.to.family && !isRefusal(r))
    : best(
        space.routes().filter((r) => r.table === MAIN && !isRefusal(r)),
        to,
      )
}

function wrongTable(space: Space, { rule, route }: Decided, main: Route): Fault {
  return {
    code: 'RULE_WRONG_TABLE',
    space,
    object: formatRule(rule),
    text: `rule ${rule.priority} sends the packet to table ${tableName(rule.table)} (${formatRoute(space, route)}), though table main knows ${formatRoute(space, main)}`,
    remedy: `ip${rule.family === 6 ? ' -6' : ''} rule del priority ${rule.priority}`,
    file: `rules: # without priority ${rule.priority}`,
  }
}

/** The same for a route that was taken, and that turned out to lead nowhere. */
export function blameRule(space: Space, packet: Packet, from?: Link): Fault | undefined {
  const decided = decide(space, packet, from)
  if (!decided || [MAIN, LOCAL, DEFAULT].includes(decided.route.table)) return undefined
  const main = best(
    space.routes().filter((r) => r.table === MAIN && !isRefusal(r)),
    packet.destination,
  )
  if (!main || (main.index === decided.route.index && main.via === decided.route.via)) return undefined
  return wrongTable(space, decided, main)
}

export function formatRule(rule: Rule): string {
  const words = [
    `${rule.priority}:`,
    `from ${rule.from ? formatPrefix(rule.from) : 'all'}`,
    rule.to ? `to ${formatPrefix(rule.to)}` : '',
    rule.iif === undefined ? '' : `iif ${rule.iif}`,
    rule.mark === undefined ? '' : `fwmark ${rule.mark}`,
    `lookup ${tableName(rule.table)}`,
  ]
  return words.filter((word) => word !== '').join(' ')
}

function familyOfPacket(packet: Packet): Family {
  return packet.family
}

/** Which rule and route decide, as fib_rules_lookup() goes about it. */
export function decide(space: Space, packet: Packet, from?: Link): Decided | undefined {
  const family = familyOfPacket(packet)
  const rules = [...space.rules()].filter((r) => r.family === family).sort((a, b) => a.priority - b.priority)
  for (const rule of rules) {
    if (!matches(rule, packet, from)) continue
    const route = best(
      space.routes().filter((r) => r.table === rule.table),
      packet.destination,
    )
    if (route && route.to.length > (rule.suppressPrefixlength ?? -1)) return { rule, route }
  }
  return undefined
}

function matches(rule: Rule, packet: Packet, from: Link | undefined): boolean {
  const holds = (prefix: Prefix | undefined, address: string): boolean =>
    prefix === undefined || (address !== '' && prefixContains(prefix, address))
  if (!holds(rule.from, packet.source) || !holds(rule.to, packet.destination)) return false
  if (rule.iif !== undefined && rule.iif !== (from?.name ?? 'lo')) return false
  return rule.mark === undefined || (packet.mark & (rule.maskOfMark ?? 0xffffffff)) === rule.mark
}

/** The longest prefix that holds the address; of equal ones the lowest metric. */
export function best(routes: readonly Route[], address: string): Route | undefined {
  return routes
    .filter((r) => prefixContains(r.to, address))
    .sort((a, b) => b.to.length - a.to.length || (a.metric ?? 0) - (b.metric ?? 0))[0]
}

/** A route for the address alone, or for few, stands before another that leads elsewhere. */
export function shadowedRoute(space: Space, packet: Packet, taken: Route): Route | undefined {
  const same = space.routes().filter((r) => r.table === taken.table && !isRefusal(r))
  const decisive = best(same, packet.destination)
  const next = best(
    same.filter((r) => r !== decisive),
    packet.destination,
  )
  return decisive && next && next.index !== decisive.index ? next : undefined
}

/** Why there is no route. */
function missing(space: Space, packet: Packet, from: Link | undefined): Fault {
  const decided = decide(space, packet, from)
  if (decided && isRefusal(decided.route)) return refusal(space, decided)
  const { destination, family } = packet
  const down = downLink(space, destination)
  if (down) return down
  const own = space.addresses().filter((a) => a.address.family === family && !isOfLoopback(space, a.index))
  const global = own.filter((a) => a.scope !== 'link')
  const flag = family === 6 ? '-6 ' : ''
  if (global.length === 0 && from === undefined) {
    const link = space.links().find((l) => l.kind !== undefined && l.master === undefined && !isBridge(l))
    return {
      code: 'NO_ADDRESS',
      space,
      object: link ? deviceName(space, link) : space.name,
      text: `${space.name} has no IPv${family} address${link ? ` on ${link.name}` : ''}, and so no route to ${destination}`,
      remedy: `# ip ${flag}address add ADDRESS/LENGTH dev ${link?.name ?? 'DEVICE'}`,
      ...(link ? { file: `${link.name}: { addresses: … }` } : {}),
    }
  }
  const gateway = gatewayNear(
    space,
    global.map((a) => a.index),
    family,
  )
  return {
    code: 'NO_ROUTE',
    space,
    object: destination,
    text: `${space.name} has no route to ${destination}`,
    remedy: gateway
      ? `ip ${flag}route add default via ${gateway.via} dev ${gateway.dev}`
      : `# ip ${flag}route add ${destination} via GATEWAY`,
    file: `routes: [ { to: ${gateway ? `default, via: ${gateway.via}` : destination} } ]`,
  }
}

function isOfLoopback(space: Space, index: number): boolean {
  return space.link(index)?.name === 'lo'
}

/** A neighbour that is known already is the best guess for a gateway. */
function gatewayNear(
  space: Space,
  indices: readonly number[],
  family: Family,
): { via: string; dev: string } | undefined {
  const entry = space.neighbours().find(
    (n) =>
      indices.includes(n.index) &&
      n.ip.includes(':') === (family === 6) &&
      !n.ip.startsWith('fe80') &&
      n.mac !== undefined &&
      n.state !== 'noarp', // a multicast group
  )
  const dev = space.link(entry?.index)?.name
  return entry && dev !== undefined ? { via: entry.ip, dev } : undefined
}

/** A device that is switched off takes its routes along: whether one of them would serve. */
function downLink(space: Space, destination: string): Fault | undefined {
  for (const { address, index } of space.addresses()) {
    const link = space.link(index)
    if (!link || link.isUp || !prefixContains(address, destination)) continue
    return down(space, link, destination)
  }
  // a default route went with its device
  const off = space.links().filter((l) => !l.isUp && l.type !== 772 && l.kind !== undefined)
  const family = destination.includes(':') ? 6 : 4
  // IPv6 addresses go with the device that is switched off
  const withAddress = off.find((l) =>
    space.addresses().some((a) => a.index === l.index && a.address.family === family && a.scope !== 'link'),
  )
  const emptied =
    family === 6 &&
    !space.addresses().some((a) => a.address.family === 6 && a.scope === 'global' && !isOfLoopback(space, a.index))
  const isLoopback = destination.startsWith('127.') || destination === '::1'
  const lo = space.links().find((l) => l.name === 'lo')
  if (isLoopback && lo && !lo.isUp) return down(space, lo, destination)
  const at = withAddress ?? (emptied ? off[0] : undefined)
  return at && down(space, at, destination)
}

function down(space: Space, link: Link, destination: string): Fault {
  return {
    code: link.name === 'lo' ? 'LOOPBACK_DOWN' : 'LINK_DOWN',
    space,
    object: deviceName(space, link),
    text: `${deviceName(space, link)} is switched off, and the route to ${destination} with it`,
    remedy: `ip link set ${link.name} up`,
    file: `${link.name}: { up: true }`,
  }
}
