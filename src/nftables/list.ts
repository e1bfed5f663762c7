/** Reading the ruleset back. Every list is one consistent picture: read again when the ruleset changed meanwhile. */
import type { NetlinkError, Socket } from '../netlink/index.ts'
import {
  chainShape,
  type ElementAttrs,
  elementsShape,
  familyName,
  genShape,
  msg,
  nftRequest,
  ruleShape,
  type SetAttrs,
  setShape,
  tableShape,
} from './attributes.ts'
import type { Vm } from './attributes-expressions.ts'
import { decodeChain, decodeSet, decodeTable } from './decode.ts'
import { type Counters, decompileRule, type KnownSet } from './decompile.ts'
import { decodeElements } from './decompile-elements.ts'
import type { Chain, Element, Family, NftMap, NftSet, Rule, Table } from './objects.ts'
import { setFlags } from './sets.ts'
import { readComment } from './userdata.ts'

export interface Listed {
  /** the kernel's number of the object, never used again */
  readonly handle: bigint
}
export interface ListedTable extends Listed {
  readonly table: Table
}
export interface ListedChain extends Listed {
  readonly chain: Chain
}
export interface ListedSet extends Listed {
  readonly set: NftSet | NftMap
}
export interface ListedRule extends Listed {
  readonly rule: Rule
  /** one for each counter of the rule, in order */
  readonly counters: readonly Counters[]
  /** as the kernel runs it */
  readonly vm: readonly Vm[]
}
export interface ListedElements extends ListedSet {
  /** in ascending order; undefined where an element says more than this language can */
  readonly elements: readonly Element[] | undefined
  readonly raw: readonly ElementAttrs[]
}
export interface Ruleset {
  readonly generation: number
  readonly tables: readonly ListedTable[]
  readonly chains: readonly ListedChain[]
  readonly rules: readonly ListedRule[]
  readonly sets: readonly ListedElements[]
}

/** Which part is listed; everything when left out. */
export interface Scope {
  readonly family?: Family
  readonly table?: string
}

/** How often a list is read again before giving up. */
const TRIES = 20

/** The ruleset's generation: it grows with every transaction. */
export function getGeneration(socket: Socket): number {
  return socket.get(nftRequest(msg.getGen, 0, genShape, undefined, {}), genShape).attrs.id ?? 0
}

/** What `read` gives when no transaction came in between. Throws NetlinkError, and Error when that never happens. */
export function consistently<T>(socket: Socket, read: (generation: number) => T): T {
  let lastError: NetlinkError | undefined
  for (let i = 0; i < TRIES; i++) {
    const before = getGeneration(socket)
    try {
      const found = read(before)
      if (getGeneration(socket) === before) return found
    } catch (error) {
      // an object that was named may have gone meanwhile
      if (getGeneration(socket) === before) throw error
      lastError = error as NetlinkError
    }
  }
  throw lastError ?? new Error(`the ruleset kept changing while it was read, ${TRIES} times`)
}

function inScope({ family, table }: Scope, at: { family: Family; table?: string | undefined }): boolean {
  return (family === undefined || at.family === family) && (table === undefined || at.table === table)
}

/** All tables, of one family or of all. Throws NetlinkError. */
export function listTables(socket: Socket, scope: Pick<Scope, 'family'> = {}): ListedTable[] {
  return consistently(socket, () => readTables(socket, scope))
}

function readTables(socket: Socket, scope: Scope): ListedTable[] {
  return socket.dump(nftRequest(msg.getTable, 0, tableShape, scope.family, {}), tableShape).flatMap((message) => {
    const family = familyName(message.header.family)
    if (!family || !inScope(scope, { family, table: message.attrs.name })) return []
    return [{ table: decodeTable(family, message.attrs), handle: message.attrs.handle ?? 0n }]
  })
}

/** Chains, of one table or of all. Throws NetlinkError. */
export function listChains(socket: Socket, scope: Scope = {}): ListedChain[] {
  return consistently(socket, () => readChains(socket, scope))
}

function readChains(socket: Socket, scope: Scope): ListedChain[] {
  return socket.dump(nftRequest(msg.getChain, 0, chainShape, scope.family, {}), chainShape).flatMap((message) => {
    const family = familyName(message.header.family)
    if (!family || !inScope(scope, { family, table: message.attrs.table })) return []
    return [{ chain: decodeChain(family, message.attrs), handle: message.attrs.handle ?? 0n }]
  })
}

/** Named sets and maps, of one table or of all. Throws NetlinkError. */
export function listSets(socket: Socket, scope: Scope = {}): ListedSet[] {
  return consistently(socket, () =>
    readSets(socket, scope).flatMap(({ listed }) => (listed ? [{ set: listed.set, handle: listed.handle }] : [])),
  )
}

export interface RawSet {
  readonly family: Family
  readonly attributes: SetAttrs
  /** undefined for a rule's own set and for key types that have no name here */
  readonly listed: ListedSet | undefined
}

/** Declarations of all sets, those of rules too. */
export function readSets(socket: Socket, scope: Scope): RawSet[] {
  const attributes = scope.table === undefined ? {} : { table: scope.table }
  return dumpUnlessGone(() =>
    socket.dump(nftRequest(msg.getSet, 0, setShape, scope.family, attributes), setShape).flatMap((message) => {
      const family = familyName(message.header.family)
      if (!family || !inScope(scope, { family, table: message.attrs.table })) return []
      const isOwn = ((message.attrs.flags ?? 0) & setFlags.anonymous) !== 0
      const set = isOwn ? undefined : decodeSet(family, message.attrs)
      const listed = set && { set, handle: message.attrs.handle ?? 0n }
      return [{ family, attributes: message.attrs, listed }]
    }),
  )
}

/** A table that does not exist has no sets. */
function dumpUnlessGone<T>(dump: () => T[]): T[] {
  try {
    return dump()
  } catch (error) {
    if ((error as NetlinkError).code === 'ENOENT') return []
    throw error
  }
}

/**
 * A large set is a hash table that the kernel enlarges in the background, and a dump that runs meanwhile has some
 * elements twice and others not at all, without a word of it. So the dump is repeated until all are different.
 */
export function readElements(
  socket: Socket,
  family: Family,
  { table, name, flags = 0, count }: SetAttrs,
): ElementAttrs[] {
  const attributes = { table: table ?? '', set: name ?? '' }
  const message = nftRequest(msg.getElement, 0, elementsShape, family, attributes)
  // one that expires is counted until it is collected
  const expected = flags & (setFlags.timeout | setFlags.dynamic) ? undefined : count
  for (let i = 0; ; i++) {
    const answers = socket.dump(message, elementsShape)
    const elements = answers.flatMap(({ attrs }) => attrs.elements ?? [])
    // one message was written in one go
    if (answers.length <= 1 || i === TRIES) return elements
    if (areDifferent(elements) && (expected === undefined || expected === elements.length)) return elements
  }
}

function areDifferent(elements: readonly ElementAttrs[]): boolean {
  const decoder = new TextDecoder('latin1')
  const keys = new Set(elements.map(({ key, flags = 0 }) => `${flags}${decoder.decode(key?.value)}`))
  return keys.size === elements.length
}

/** The elements of a named set or map. Throws NetlinkError, ENOENT when it is not there. */
export function listElements(socket: Socket, set: Pick<NftSet, 'family' | 'table' | 'name'>): ListedElements {
  return consistently(socket, () => {
    const found = readSets(socket, { family: set.family, table: set.table }).find((s) => s.attributes.name === set.name)
    const raw = readElements(socket, set.family, found?.attributes ?? { table: set.table, name: set.name })
    if (!found?.listed) throw new Error(`set ${set.name} has a key type that has no name here`)
    return withElements(found.listed, raw)
  })
}

function withElements(listed: ListedSet, raw: readonly ElementAttrs[]): ListedElements {
  const { set } = listed
  const types = {
    key: set.key,
    data: set.kind === 'map' ? set.data : undefined,
    isInterval: set.flags?.includes('interval') ?? false,
  }
  return { ...listed, elements: decodeElements(types, raw), raw }
}

/** Rules in the order in which they run, of a table or one of its chains, or of all. Throws NetlinkError. */
export function listRules(socket: Socket, scope: Scope & { readonly chain?: string } = {}): ListedRule[] {
  return consistently(socket, () => readRules(socket, scope))
}

function readRules(socket: Socket, scope: Scope & { readonly chain?: string }): ListedRule[] {
  const attributes = {
    ...(scope.table === undefined ? {} : { table: scope.table }),
    ...(scope.table === undefined || scope.chain === undefined ? {} : { chain: scope.chain }),
  }
  const messages = socket.dump(nftRequest(msg.getRule, 0, ruleShape, scope.family, attributes), ruleShape)
  const sets = new Map<string, KnownSet>()
  let areRead = false
  const resolverOf =
    (family: Family, table: string) =>
    (name: string): KnownSet | undefined => {
      // most tables have no sets: they are only read when a rule names one
      if (!areRead) {
        for (const { family: f, attributes: a } of readSets(socket, scope)) {
          sets.set(`${f} ${a.table} ${a.name}`, knownSet(socket, f, a))
        }
        areRead = true
      }
      return sets.get(`${family} ${table} ${name}`)
    }
  return messages.flatMap(({ header, attrs }) => {
    const family = familyName(header.family)
    if (!family || !inScope(scope, { family, table: attrs.table })) return []
    if (scope.chain !== undefined && attrs.chain !== scope.chain) return []
    const [table, chain, vm] = [attrs.table ?? '', attrs.chain ?? '', attrs.expressions ?? []]
    const { expressions, counters } = decompileRule(family, table, vm, resolverOf(family, table))
    const comment = readComment(attrs.userdata)
    const rule: Rule = { family, table, chain, expressions, ...(comment === undefined ? {} : { comment }) }
    return [{ rule, handle: attrs.handle ?? 0n, counters, vm }]
  })
}

function knownSet(socket: Socket, family: Family, attributes: SetAttrs): KnownSet {
  let elements: readonly ElementAttrs[] | undefined
  return {
    attributes,
    elements: () => {
      elements ??= readElements(socket, family, attributes)
      return elements
    },
  }
}

/** Everything, as one picture. Throws NetlinkError. */
export function listRuleset(socket: Socket, scope: Scope = {}): Ruleset {
  return consistently(socket, (generation) => ({
    generation,
    tables: readTables(socket, scope),
    chains: readChains(socket, scope),
    rules: readRules(socket, scope),
    sets: readSets(socket, scope).flatMap(({ family, attributes, listed }) =>
      listed ? [withElements(listed, readElements(socket, family, attributes))] : [],
    ),
  }))
}
