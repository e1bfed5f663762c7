/**
 * Every pair of namespaces, tried by echo: from each to all global addresses of each other one, of the families that
 * both have.
 */
import { type Handles, openHandles } from '../engine/handles.ts'
import type { Family } from '../ip/index.ts'
import { type BlockEcho, echoInBlocks, type ProbeResult } from '../packet/index.ts'
import { netnsOf } from '../plan/desired.ts'
import type { Place } from '../plan/operations.ts'
import { deleteNeighbour, listAddresses, listNeighbours, type Neighbour } from '../rtnetlink/index.ts'
import type { Model } from '../topology/model.ts'

/** ms; a fresh link asks for a neighbour again after a second */
const TIMEOUT = 1500
/**
 * Neighbour entries that one block of pairs may make. The kernel keeps at most 1,024 of a family for all namespaces
 * together (gc_thresh3, arp(7)) and drops packets beyond; an entry is safe from its collector for five seconds.
 */
const ENTRIES = 512
/** namespaces of which all pairs, both ways, make at most so many entries */
const BLOCK = Math.floor(Math.sqrt(ENTRIES / 2))

export interface MeshResult extends Pick<ProbeResult, 'outcome' | 'ms' | 'detail' | 'code'> {
  readonly from: string
  readonly to: string
  /** of `to` */
  readonly address: string
}

export interface Mesh {
  /** in the order of rows and columns */
  readonly namespaces: readonly string[]
  readonly results: readonly MeshResult[]
  /** ms that it took */
  readonly ms: number
}

export interface MeshOptions {
  readonly onProgress?: ((done: number, total: number) => void) | undefined
}

interface Target {
  readonly address: string
  readonly family: Family
}

interface Member {
  readonly place: Place
  /** its row and column */
  readonly number: number
  readonly targets: readonly Target[]
  /** neighbour entries that were there before */
  readonly known: ReadonlySet<string>
}

interface Pair {
  readonly from: Member
  readonly to: Member
  readonly target: Target
}

/** An incomplete entry stays: packets wait in it, and would come back as unreachable. */
const MADE: ReadonlySet<string> = new Set(['reachable', 'stale', 'delay', 'probe', 'failed'])

const neighbourKey = ({ index, ip }: Neighbour): string => `${index} ${ip}`

function memberOf(handles: Handles, place: Place, number: number): Member {
  const { route } = handles.at(place)
  const targets = listAddresses(route)
    .filter((a) => a.scope === 'global' && !a.flags.includes('tentative') && !a.flags.includes('dadfailed'))
    .map(({ address: { address, family } }) => ({ address, family }))
  return { place, number, targets, known: new Set(listNeighbours(route).map(neighbourKey)) }
}

function pairsOf(from: Member, to: Member): Pair[] {
  if (from === to) return []
  const families = new Set(from.targets.map((t) => t.family))
  return to.targets.filter((t) => families.has(t.family)).map((target) => ({ from, to, target }))
}

/** Blocks of pairs that make few neighbour entries each; both ways are in the same one, because they share entries. */
function blocksOf(members: readonly Member[]): Pair[][] {
  const groups: Member[][] = []
  for (let at = 0; at < members.length; at += BLOCK) groups.push(members.slice(at, at + BLOCK))
  return groups.flatMap((rows, i) =>
    groups
      .slice(i)
      .map((columns) =>
        rows.flatMap((a) =>
          columns.flatMap((b) => (rows === columns ? pairsOf(a, b) : [...pairsOf(a, b), ...pairsOf(b, a)])),
        ),
      ),
  )
}

/** Takes away the neighbour entries that a block has made: the next one needs their place. */
function forgetNeighbours(handles: Handles, block: readonly Pair[]): void {
  for (const { place, known } of new Set(block.flatMap(({ from, to }) => [from, to]))) {
    const { route } = handles.at(place)
    const mine = listNeighbours(route).filter((n) => MADE.has(n.state) && !known.has(neighbourKey(n)))
    // one that is gone already is no error
    route.batch(mine.map(({ index, ip }) => deleteNeighbour({ index, ip })))
  }
}

/** The namespaces of a topology. The machine itself is no member: its addresses are not the topology's. */
export function membersOf(model: Model): Place[] {
  return model.namespaces.flatMap(({ name }) => {
    const netns = netnsOf(model, name)
    return netns === undefined ? [] : [{ name, netns }]
  })
}

/** Tries all pairs. Takes one time-out in all, however many are lost. Throws SysError when a namespace is not there. */
export async function verifyMesh(places: readonly Place[], { onProgress }: MeshOptions = {}): Promise<Mesh> {
  const begin = performance.now()
  using handles = openHandles()
  const members = places.map((place, number) => memberOf(handles, place, number))
  const blocks = blocksOf(members)
  const pairs = blocks.flat()
  const found = new Map<Pair, ProbeResult>()
  const echoOf = (pair: Pair): BlockEcho => ({
    namespace: pair.from.place.name,
    address: pair.target.address,
    done: (result) => {
      found.set(pair, result)
      onProgress?.(found.size, pairs.length)
    },
  })
  const byName = new Map(places.map((place) => [place.name, place]))
  await echoInBlocks(
    blocks.map((block) => block.map(echoOf)),
    {
      enter: (name, work) => handles.at(byName.get(name) ?? { name }).inside(work),
      timeout: TIMEOUT,
      onBlock: (index) => {
        // few pairs leave room for those of others
        if (pairs.length > ENTRIES) forgetNeighbours(handles, blocks[index] ?? [])
      },
    },
  )
  // as the matrix is read, whatever the order of the answers
  const results = pairs
    .sort((a, b) => a.from.number - b.from.number || a.to.number - b.to.number)
    .flatMap((pair) => meshResult(pair, found.get(pair)) ?? [])
  return { namespaces: members.map(({ place }) => place.name), results, ms: performance.now() - begin }
}

function meshResult({ from, to, target }: Pair, result: ProbeResult | undefined): MeshResult | undefined {
  if (!result) return undefined
  const { outcome, ms, detail, code } = result
  return {
    from: from.place.name,
    to: to.place.name,
    address: target.address,
    outcome,
    detail,
    ...(ms === undefined ? {} : { ms }),
    ...(code === undefined ? {} : { code }),
  }
}
