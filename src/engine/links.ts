/** Links of the kernel in the plan's words: names in place of indices, and which veth belongs to which. */
import type { Place } from '../plan/operations.ts'
import type { LinkState } from '../plan/state.ts'
import { getNamespaceId, type Link, linkData } from '../rtnetlink/index.ts'
import type { LinkKind } from '../topology/model.ts'
import type { Handles } from './handles.ts'

const UNKNOWN = '?'

/** Finds the other end of a veth among the topology's places. */
type FindPeer = (place: Place, link: Link) => { namespace: string; interface: string }

function peerFinder(handles: Handles, places: readonly Place[], links: ReadonlyMap<string, readonly Link[]>): FindPeer {
  // the two ends name each other's index; small indices repeat, so the kernel's number of the namespace decides
  const byIndices = new Map<string, { place: Place; link: Link }[]>()
  for (const place of places) {
    for (const link of links.get(place.name) ?? []) {
      if (link.kind !== 'veth') continue
      const key = `${link.index} ${link.link}`
      const ends = byIndices.get(key)
      if (ends) ends.push({ place, link })
      else byIndices.set(key, [{ place, link }])
    }
  }
  return (place, link) => {
    const candidates = (byIndices.get(`${link.link} ${link.index}`) ?? []).filter((c) =>
      link.linkNetnsid === undefined ? c.place.name === place.name : c.place.name !== place.name,
    )
    const isIt = (place_: Place): boolean =>
      getNamespaceId(handles.at(place).route, handles.at(place_).fd) === link.linkNetnsid
    const found = candidates.length > 1 ? candidates.find((c) => isIt(c.place)) : candidates[0]
    return found
      ? { namespace: found.place.name, interface: found.link.name }
      : { namespace: UNKNOWN, interface: UNKNOWN }
  }
}

function kindOf(link: Link, place: Place, names: ReadonlyMap<number, string>, findPeer: FindPeer): LinkKind {
  switch (link.kind) {
    case 'veth':
      return { kind: 'veth', peer: findPeer(place, link) }
    case 'bridge':
      return { kind: 'bridge' }
    case 'vxlan': {
      const data = linkData(link, 'vxlan')
      const remote = data?.group ?? data?.group6
      const local = data?.local ?? data?.local6
      const dev = data?.link === undefined ? undefined : names.get(data.link)
      return {
        kind: 'vxlan',
        id: data?.id ?? 0,
        ...(remote === undefined ? {} : { remote }),
        ...(local === undefined ? {} : { local }),
        ...(dev === undefined ? {} : { dev }),
        port: data?.port ?? 0,
      }
    }
    case 'macvlan': {
      const mode = linkData(link, 'macvlan')?.mode
      return {
        kind: 'macvlan',
        parent: names.get(link.link ?? 0) ?? UNKNOWN,
        mode: mode === 'source' || mode === undefined ? 'bridge' : mode,
      }
    }
    default:
      return { kind: 'existing' }
  }
}

function isHairpin({ slave }: Link): boolean {
  return slave?.kind === 'bridge' && 'data' in slave && slave.data?.hairpin === 1
}

/** States of the topology's own links, by namespace and name. Loopback is nobody's. */
export function linkStates(
  handles: Handles,
  places: readonly Place[],
  links: ReadonlyMap<string, readonly Link[]>,
  ownLinks: ReadonlyMap<string, readonly Link[]>,
): Map<string, Map<string, LinkState>> {
  const findPeer = peerFinder(handles, places, links)
  return new Map(
    places.map((place) => {
      const names = new Map((links.get(place.name) ?? []).map((l) => [l.index, l.name]))
      const states = (ownLinks.get(place.name) ?? []).map((link): [string, LinkState] => {
        const master = link.master === undefined ? undefined : names.get(link.master)
        return [
          link.name,
          {
            name: link.name,
            link: kindOf(link, place, names, findPeer),
            up: link.isUp,
            mtu: link.mtu,
            ...(link.mac === undefined ? {} : { mac: link.mac }),
            ...(master === undefined ? {} : { master }),
            ...(isHairpin(link) ? { hairpin: true } : {}),
          },
        ]
      })
      return [place.name, new Map(states)]
    }),
  )
}
