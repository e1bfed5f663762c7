/** WHERE of a capture: a namespace, an interface, both ends of a link, or all links of a topology. */
import { EngineError } from '../engine/errors.ts'
import { listTopologies, type TopologySummary } from '../engine/topologies.ts'
import type { Link } from '../rtnetlink/index.ts'
import { nearest } from '../topology/names.ts'
import type { Space } from './space.ts'
import type { World } from './world.ts'

/** Interfaces of one namespace. */
export interface Place {
  /** the namespace, as `exec` takes it */
  readonly name: string
  readonly inside: Space['inside']
  /** names of the interfaces that there are now */
  readonly interfaces: readonly string[]
  /** indices of interfaces; all of the namespace when left out */
  readonly devices?: readonly number[]
}

const LOOPBACK = 'lo'

/**
 * Finds what `where` names: `NS`, `NS:INTERFACE` (with `both`, its other end too), or a topology; a namespace goes
 * before a topology of the same name. The places are good for as long as the world is open. Throws EngineError with
 * the names that are near.
 */
export function findPlaces(world: World, where: string, options: { readonly both?: boolean } = {}): Place[] {
  const colon = where.lastIndexOf(':')
  if (colon >= 0) {
    const space = world.find(where.slice(0, colon)) ?? failUnknown(world, where.slice(0, colon))
    const link = findLink(space, where.slice(colon + 1))
    const one = placeOf(space, [link])
    return options.both ? joined(one, otherEnd(world, space, link)) : [one]
  }
  if (options.both) {
    throw new EngineError('--both wants an interface', { hint: `hardway capture ${where}:INTERFACE --both` })
  }
  const space = world.find(where)
  if (space) return [placeOf(space)]
  const topology = listTopologies().find(({ name }) => name === where) ?? failUnknown(world, where)
  const places = linksOf(world, topology)
  if (places.length > 0) return places
  throw new EngineError(`${where} has no links`, { hint: `hardway show ${where}` })
}

function placeOf(space: Space, links?: readonly Link[]): Place {
  const interfaces = (links ?? space.links()).map(({ name }) => name)
  const devices = links ? { devices: links.map(({ index }) => index) } : {}
  return { name: space.name, inside: space.inside, interfaces, ...devices }
}

function failUnknown(world: World, name: string): never {
  const topologies = listTopologies()
  const names = [...new Set([...world.names(), ...topologies.map((t) => t.name)])]
  throw new EngineError(`there is no namespace and no topology ${name}`, { hint: suggest(name, names) })
}

function suggest(word: string, names: readonly string[]): string {
  const near = nearest(word, names)
  return `${near === undefined ? '' : `did you mean ${near}? `}there are: ${names.join(', ')}`
}

function findLink(space: Space, name: string): Link {
  const link = space.links().find((l) => l.name === name)
  if (link) return link
  const names = space.links().map((l) => l.name)
  throw new EngineError(`there is no interface ${name} in ${space.name}`, { hint: suggest(name, names) })
}

/** The peer of a veth. */
function otherEnd(world: World, space: Space, link: Link): Place {
  if (link.kind !== 'veth' || link.link === undefined) {
    throw new EngineError(`${link.name} in ${space.name} is no veth: it has one end`, {
      hint: `without --both: hardway capture ${space.name}:${link.name}`,
    })
  }
  const there = link.linkNetnsid === undefined ? space : world.byId(space, link.linkNetnsid)
  const peer = there?.link(link.link)
  if (there && peer) return placeOf(there, [peer])
  throw new EngineError(`the other end of ${link.name} is in a namespace that nothing on this machine names`, {
    hint: `without --both: hardway capture ${space.name}:${link.name}`,
  })
}

/** Two ends in one namespace are one place. */
function joined(a: Place, b: Place): Place[] {
  if (a.inside !== b.inside) return [a, b]
  const devices = [...(a.devices ?? []), ...(b.devices ?? [])]
  return [{ ...a, interfaces: [...a.interfaces, ...b.interfaces], devices }]
}

/** Every link of a topology, both ends of each: all but loopback in its namespaces, and its own on the host. */
function linksOf(world: World, topology: TopologySummary): Place[] {
  const inside = topology.namespaces.flatMap((netns) => {
    const space = world.find(netns)
    const links = space?.links().filter((l) => l.name !== LOOPBACK) ?? []
    return space && links.length > 0 ? [placeOf(space, links)] : []
  })
  const own = new Set(topology.hostLinks)
  const onHost = world.host.links().filter((l) => own.has(l.name))
  return onHost.length > 0 ? [placeOf(world.host, onHost), ...inside] : inside
}
