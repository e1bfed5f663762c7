/** The text that identifies an object: what ip(8) would call it. Equal keys mean equal objects, in all respects. */
import { formatPrefix } from '../ip/index.ts'
import type { Neighbour, Route, Rule } from '../topology/model.ts'
import type { Accept, AddressState, ServiceState } from './state.ts'

export const MAIN_TABLE = 254

export function addressKey(a: AddressState): string {
  return `${formatPrefix(a.address)} dev ${a.dev}`
}

/** Arguments of `ip route add`, without the protocol. */
export function routeKey(r: Route): string {
  const words = [...(r.type === 'unicast' ? [] : [r.type]), formatPrefix(r.to)]
  if (r.via !== undefined) words.push('via', r.via)
  if (r.dev !== undefined) words.push('dev', r.dev)
  if (r.src !== undefined) words.push('src', r.src)
  if (r.scope !== undefined && r.scope !== defaultScope(r)) words.push('scope', r.scope)
  if (r.metric !== undefined && r.metric !== defaultMetric(r)) words.push('metric', String(r.metric))
  if (r.table !== MAIN_TABLE) words.push('table', String(r.table))
  if (r.mtu !== undefined) words.push('mtu', String(r.mtu))
  if (r.onlink) words.push('onlink')
  for (const hop of r.nexthops ?? []) {
    words.push(
      'nexthop',
      ...(hop.via === undefined ? [] : ['via', hop.via]),
      'dev',
      hop.dev,
      'weight',
      String(hop.weight),
    )
  }
  return words.join(' ')
}

/** The scope that a route gets when nobody says: a device route without gateway reaches the link only (IPv4). */
function defaultScope(r: Route): Route['scope'] {
  if (r.to.family === 6 || r.type !== 'unicast' || r.via !== undefined || r.nexthops) return 'global'
  return 'link'
}

/** IPv6 has no metric 0: the kernel makes it 1024. */
function defaultMetric(r: Route): number {
  return r.to.family === 6 ? 1024 : 0
}

/** Arguments of `ip rule add`. */
export function ruleKey(r: Rule): string {
  const words = [r.family === 6 ? '-6' : '-4', 'from', r.from ? formatPrefix(r.from) : 'all']
  if (r.to) words.push('to', formatPrefix(r.to))
  if (r.iif !== undefined) words.push('iif', r.iif)
  if (r.oif !== undefined) words.push('oif', r.oif)
  if (r.mark !== undefined) words.push('fwmark', String(r.mark))
  words.push('table', String(r.table), 'priority', String(r.priority))
  return words.join(' ')
}

/** Arguments of `ip neighbour add`. */
export function neighbourKey(n: Neighbour): string {
  return n.proxy ? `proxy ${n.ip} dev ${n.dev}` : `${n.ip} lladdr ${n.mac} dev ${n.dev}`
}

export function acceptKey(a: Accept): string {
  return `${a.family} ${a.table} ${a.chain} ${a.direction} ${formatPrefix(a.prefix)}`
}

export function serviceKey(s: ServiceState): string {
  return `${s.number} ${JSON.stringify(s.argv)}`
}
