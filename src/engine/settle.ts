/**
 * Waits until links that were just made carry packets. The kernel works off a new carrier in the background
 * (linkwatch_do_dev); until then packets vanish, and address resolution tries again only a second later.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { netnsOf } from '../plan/desired.ts'
import type { Place } from '../plan/operations.ts'
import { listAddresses } from '../rtnetlink/index.ts'
import type { Model, Namespace } from '../topology/model.ts'
import { type Handles, openHandles } from './handles.ts'
import { netnsExists } from './topologies.ts'

/** ms; a carrier can take a second, duplicate address detection of a link-local address another */
const LIMIT = 2500
const STEP = 5

/** Links of which both ends are to be up. */
function expectedUp(model: Model, namespace: Namespace): string[] {
  const spaces = new Map(model.namespaces.map((n) => [n.name, n]))
  return namespace.interfaces.flatMap((i) => {
    if (i.link.kind !== 'veth' || !i.up) return []
    const { peer } = i.link
    const other = spaces.get(peer.namespace)?.interfaces.find((p) => p.name === peer.interface)
    return other?.up ? [i.name] : []
  })
}

/** Links with IPv6 addresses of the file: they speak to neighbours from a link-local one, which comes with the carrier. */
function withIpv6(namespace: Namespace): string[] {
  return namespace.interfaces.flatMap((i) =>
    i.up && i.name !== 'lo' && i.addresses.some((a) => a.family === 6) ? [i.name] : [],
  )
}

function isSettled(handles: Handles, place: Place, names: readonly string[], ipv6: readonly string[]): boolean {
  const handle = handles.at(place)
  const links = new Map(handle.links().map((l) => [l.name, l]))
  const waiting = names.some((name) => {
    const link = links.get(name)
    return link?.isUp && link.operstate !== 'up'
  })
  if (waiting) return false
  if (ipv6.length === 0) return true
  const addresses = listAddresses(handle.route)
  if (addresses.some((a) => a.flags.includes('tentative'))) return false
  const linkLocal = new Set(addresses.flatMap((a) => (a.scope === 'link' && a.address.family === 6 ? [a.index] : [])))
  return ipv6.every((name) => {
    const link = links.get(name)
    return !link?.hasCarrier || link.addrGenMode === 'none' || linkLocal.has(link.index)
  })
}

/** Returns when every link is ready, or after 2.5 s: then the probes say what is wrong. */
export async function settle(model: Model): Promise<void> {
  using handles = openHandles()
  const waiting = new Map(
    model.namespaces.map((n) => {
      const netns = netnsOf(model, n.name)
      const place: Place = netns === undefined ? { name: n.name } : { name: n.name, netns }
      return [place, { names: expectedUp(model, n), ipv6: withIpv6(n) }] as const
    }),
  )
  const end = performance.now() + LIMIT
  for (;;) {
    for (const [place, { names, ipv6 }] of waiting) {
      // a namespace that is not there is for the probes to report
      const isThere = place.netns === undefined || netnsExists(place.netns)
      if (!isThere || isSettled(handles, place, names, ipv6)) waiting.delete(place)
    }
    if (waiting.size === 0 || performance.now() > end) return
    await sleep(STEP)
  }
}
