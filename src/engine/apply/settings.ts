/** Addresses, routes, rules and neighbours, as netlink; sysctls as files under /proc/sys. */
import { writeFileSync } from 'node:fs'
import { PROTOCOL } from '../../plan/marks.ts'
import type { AddressState } from '../../plan/state.ts'
import {
  addAddress,
  addNeighbour,
  addRoute,
  addRule,
  deleteAddress,
  deleteNeighbour,
  deleteRoute,
  deleteRule,
  type NewAddress,
  type NewNeighbour,
  type NewRoute,
  type NewRule,
} from '../../rtnetlink/index.ts'
import type { Neighbour, Route, Rule } from '../../topology/model.ts'
import type { Handle } from '../handles.ts'
import { sysctlPath } from '../observe.ts'

function toAddress(handle: Handle, { dev, address }: AddressState): NewAddress {
  // duplicates are found in the file: an IPv6 address need not wait a second for the kernel to look for them
  const noDad = address.family === 6
  return { index: handle.index(dev), address, protocol: PROTOCOL, ...(noDad ? { noDad } : {}) }
}

export function applyAddress(handle: Handle, verb: 'add' | 'delete', address: AddressState): void {
  const message = toAddress(handle, address)
  handle.route.execute(verb === 'add' ? addAddress(message) : deleteAddress(message))
}

function toRoute(handle: Handle, r: Route): NewRoute {
  return {
    to: r.to,
    type: r.type,
    ...(r.via === undefined ? {} : { via: r.via }),
    ...(r.dev === undefined ? {} : { index: handle.index(r.dev) }),
    ...(r.src === undefined ? {} : { src: r.src }),
    ...(r.scope === undefined ? {} : { scope: r.scope }),
    ...(r.metric === undefined ? {} : { metric: r.metric }),
    table: r.table,
    protocol: PROTOCOL,
    ...(r.onlink ? { onlink: true } : {}),
    ...(r.mtu === undefined ? {} : { metrics: { mtu: r.mtu } }),
    ...(r.nexthops
      ? {
          nexthops: r.nexthops.map((hop) => ({
            ...(hop.via === undefined ? {} : { via: hop.via }),
            index: handle.index(hop.dev),
            weight: hop.weight,
          })),
        }
      : {}),
  }
}

export function applyRoute(handle: Handle, verb: 'add' | 'delete', route: Route): void {
  const message = toRoute(handle, route)
  const { protocol: _, ...any } = message
  // in a namespace of ours a stray route of somebody else goes too, whatever made it
  handle.route.execute(verb === 'add' ? addRoute(message) : deleteRoute(any))
}

export function applyRule(handle: Handle, verb: 'add' | 'delete', rule: Rule): void {
  const { at: _, ...fields } = rule
  const message: NewRule = verb === 'add' ? { ...fields, protocol: PROTOCOL } : fields
  handle.route.execute(verb === 'add' ? addRule(message) : deleteRule(message))
}

export function applyNeighbour(handle: Handle, verb: 'add' | 'delete', n: Neighbour): void {
  const message: NewNeighbour = {
    index: handle.index(n.dev),
    ip: n.ip,
    ...(n.mac === undefined ? {} : { mac: n.mac }),
    ...(n.proxy ? { proxy: true } : {}),
    protocol: PROTOCOL,
  }
  handle.route.execute(verb === 'add' ? addNeighbour(message) : deleteNeighbour(message))
}

/** Throws the file system's error: ENOENT when the kernel has no such key, EINVAL for a value it does not take. */
export function applySysctl(handle: Handle, key: string, value: string): void {
  handle.inside(() => writeFileSync(sysctlPath(key), value))
}
