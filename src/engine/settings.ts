/** Addresses, routes, rules and neighbours of a namespace in the plan's words; what the kernel makes itself is left out. */
import type { Socket } from '../netlink/index.ts'
import { PROTOCOL } from '../plan/marks.ts'
import type { AddressState } from '../plan/state.ts'
import {
  type Address,
  type Route as KernelRoute,
  listAddresses,
  listNeighbours,
  listRoutes,
  listRules,
  protocols,
} from '../rtnetlink/index.ts'
import type { Neighbour, Route, Rule } from '../topology/model.ts'

export interface Settings {
  readonly addresses: readonly AddressState[]
  readonly routes: readonly Route[]
  readonly rules: readonly Rule[]
  readonly neighbours: readonly Neighbour[]
}

type Names = ReadonlyMap<number, string>

/** IFAPROT_KERNEL_LO, _RA, _LL: loopback, router advertisement, link-local; linux/if_addr.h */
const KERNEL_PROTOCOLS = [1, 2, 3]
const FIB_LOCAL = 255

/** Kernels before 5.18 do not tell who made an address: then it shows in the address itself. */
function isKernelMade(a: Address): boolean {
  if (a.protocol === PROTOCOL) return false
  if (KERNEL_PROTOCOLS.includes(a.protocol)) return true
  const { address } = a.address
  return (
    address === '127.0.0.1' ||
    address === '::1' ||
    (a.scope === 'link' && a.address.family === 6) ||
    !a.flags.includes('permanent')
  )
}

export function readAddresses(socket: Socket, names: Names): AddressState[] {
  return listAddresses(socket)
    .filter((a) => !isKernelMade(a))
    .map((a) => ({ dev: names.get(a.index) ?? '', address: a.address }))
}

const ownTypes = ['unicast', 'blackhole', 'unreachable', 'prohibit'] as const

function toRoute(r: KernelRoute, names: Names): Route | undefined {
  const type = ownTypes.find((t) => t === r.type)
  if (!type) return undefined
  // IPv6 shows the loopback as device of routes that lead nowhere
  const dev = r.index === undefined || type !== 'unicast' ? undefined : names.get(r.index)
  const scope = r.scope === 'global' || r.scope === 'link' || r.scope === 'host' ? r.scope : undefined
  return {
    to: r.to,
    type,
    ...(r.via === undefined ? {} : { via: r.via }),
    ...(dev === undefined ? {} : { dev }),
    ...(r.src === undefined ? {} : { src: r.src }),
    ...(scope === undefined ? {} : { scope }),
    ...(r.metric === undefined ? {} : { metric: r.metric }),
    table: r.table,
    onlink: r.onlink,
    ...(r.metrics?.mtu === undefined ? {} : { mtu: r.metrics.mtu }),
    ...(r.nexthops
      ? {
          nexthops: r.nexthops.map((hop) => ({
            ...(hop.via === undefined ? {} : { via: hop.via }),
            dev: names.get(hop.index) ?? '',
            weight: hop.weight,
          })),
        }
      : {}),
  }
}

/** `ours`: without those of the kernel and of routing daemons; `all`: everything outside the local table. */
export function readRoutes(socket: Socket, names: Names, only: 'ours' | 'all'): Route[] {
  const kernel: readonly number[] = [protocols.kernel, protocols.ra, protocols.redirect]
  return listRoutes(socket)
    .filter((r) => r.table !== FIB_LOCAL && (only === 'all' || !kernel.includes(r.protocol)))
    .flatMap((r) => toRoute(r, names) ?? [])
}

/** The rules that every namespace has: local, main, default. */
const FIRST_PRIORITY = 0
const MAIN_PRIORITY = 32766

export function readRules(socket: Socket, only: 'ours' | 'all'): Rule[] {
  return listRules(socket)
    .filter((r) => r.action === 1)
    .filter(
      (r) =>
        only === 'all' ||
        (r.protocol !== protocols.kernel && r.priority > FIRST_PRIORITY && r.priority < MAIN_PRIORITY),
    )
    .map((r) => ({
      family: r.family,
      ...(r.from ? { from: r.from } : {}),
      ...(r.to ? { to: r.to } : {}),
      ...(r.iif === undefined ? {} : { iif: r.iif }),
      ...(r.oif === undefined ? {} : { oif: r.oif }),
      ...(r.mark === undefined ? {} : { mark: r.mark }),
      table: r.table,
      priority: r.priority,
    }))
}

/** Permanent entries and proxies: what the kernel learns by itself comes and goes. */
export function readNeighbours(socket: Socket, names: Names): Neighbour[] {
  const entries = listNeighbours(socket).filter((n) => n.state === 'permanent')
  const proxies = listNeighbours(socket, { proxy: true })
  return [
    ...entries.map((n) => ({
      ip: n.ip,
      ...(n.mac === undefined ? {} : { mac: n.mac }),
      dev: names.get(n.index) ?? '',
      proxy: false,
    })),
    ...proxies.map((n) => ({ ip: n.ip, dev: names.get(n.index) ?? '', proxy: true })),
  ]
}
