/** Operations as netlink messages. */
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, type Request } from '../netlink/message.ts'
import {
  chainShape,
  type ElementAttrs,
  elementsShape,
  msg,
  nftRequest,
  ruleShape,
  setShape,
  tableShape,
} from './attributes.ts'
import { compileRule } from './compile.ts'
import { wireElements } from './elements.ts'
import { hookNumber } from './hooks.ts'
import type { Chain, NftMap, NftSet, Rule, Table } from './objects.ts'
import type { Operation } from './operation.ts'
import { declareSet } from './sets.ts'
import { commentData } from './userdata.ts'

/**
 * The list of elements is one attribute, whose length has 16 bits; the kernel's answer repeats it with more in it.
 * A message of this many bytes leaves room for that.
 */
const ELEMENTS_BYTES = 48 * 1024

/** Numbers that link objects within one transaction: ids of sets. */
export interface Ids {
  next: number
  /** of named sets made in this transaction, by family, table and name */
  readonly named: Map<string, number>
  /** sets made in this transaction that have elements by now */
  readonly filled: Set<number>
}

export function newIds(): Ids {
  return { next: 1, named: new Map(), filled: new Set() }
}

function idKey(set: { family: string; table: string; name: string }): string {
  return JSON.stringify([set.family, set.table, set.name])
}

const creating = (verb: 'add' | 'create'): number => (verb === 'create' ? NLM_F_CREATE | NLM_F_EXCL : NLM_F_CREATE)

/** The messages of one operation, in order. Throws CompileError, RangeError for names that do not fit. */
export function encodeOperation(operation: Operation, ids: Ids): Request[] {
  switch (operation.kind) {
    case 'table':
      return [encodeTable(operation)]
    case 'chain':
      return [encodeChain(operation)]
    case 'rule':
      return encodeRule(operation, ids)
    case 'set':
      return [encodeSet(operation, ids)]
    case 'element':
      return encodeElements(operation, ids)
    default:
      return operation satisfies never
  }
}

function encodeTable(operation: Extract<Operation, { kind: 'table' }>): Request {
  const { family, name } = operation.table
  switch (operation.verb) {
    case 'add':
    case 'create': {
      // a table is made in any case, so nft does not ask for it
      const flags = operation.verb === 'create' ? NLM_F_EXCL : 0
      return nftRequest(msg.newTable, flags, tableShape, family, tableAttributes(operation.table))
    }
    case 'delete':
      return nftRequest(msg.delTable, 0, tableShape, family, { name })
    case 'flush':
      // the rules of every chain; the chains stay
      return nftRequest(msg.delRule, 0, ruleShape, family, { table: name })
    default:
      return operation satisfies never
  }
}

function tableAttributes(table: Table): { name: string; flags: number; userdata?: Uint8Array } {
  const flags = (table.flags ?? []).reduce((sum, flag) => sum | (flag === 'dormant' ? 1 : 2), 0)
  const base = { name: table.name, flags }
  return table.comment === undefined ? base : { ...base, userdata: commentData(table.comment) }
}

function encodeChain(operation: Extract<Operation, { kind: 'chain' }>): Request {
  const { family, table, name } = operation.chain
  switch (operation.verb) {
    case 'add':
    case 'create':
      return nftRequest(msg.newChain, creating(operation.verb), chainShape, family, chainAttributes(operation.chain))
    case 'delete':
      return nftRequest(msg.delChain, 0, chainShape, family, { table, name })
    case 'flush':
      return nftRequest(msg.delRule, 0, ruleShape, family, { table, chain: name })
    default:
      return operation satisfies never
  }
}

function chainAttributes(chain: Chain): Parameters<typeof chainShape.table.encode>[0] {
  const named = { table: chain.table, name: chain.name }
  const userdata = chain.comment === undefined ? {} : { userdata: commentData(chain.comment) }
  if (!chain.hook) return { ...named, ...userdata }
  const hook = { hooknum: hookNumber(chain, chain.hook), priority: (chain.priority ?? 0) >>> 0 }
  return {
    ...named,
    type: chain.type ?? 'filter',
    ...(chain.policy ? { policy: chain.policy === 'accept' ? 1 : 0 } : {}),
    hook: chain.device === undefined ? hook : { ...hook, dev: chain.device },
    ...userdata,
  }
}

function encodeRule(operation: Extract<Operation, { kind: 'rule' }>, ids: Ids): Request[] {
  if (operation.verb === 'delete') {
    const { family, table, chain, handle } = operation.rule
    return [nftRequest(msg.delRule, 0, ruleShape, family, { table, chain, handle })]
  }
  const { rule } = operation
  const compiled = compileRule(rule, {
    first: ids.next,
    of: (name) => ids.named.get(idKey({ family: rule.family, table: rule.table, name })),
  })
  ids.next += compiled.sets.length
  const messages: Request[] = []
  for (const set of compiled.sets) {
    messages.push(nftRequest(msg.newSet, NLM_F_CREATE, setShape, rule.family, set.declaration))
    const named = { table: rule.table, set: set.declaration.name ?? '', setId: set.id }
    messages.push(...elementMessages(msg.newElement, NLM_F_CREATE, rule, named, set.elements))
  }
  const userdata = rule.comment === undefined ? {} : { userdata: commentData(rule.comment) }
  const body = { expressions: compiled.expressions, ...userdata }
  const place = { table: rule.table, chain: rule.chain }
  if (operation.verb === 'replace') {
    const attributes = { ...place, handle: operation.handle, ...body }
    messages.push(nftRequest(msg.newRule, NLM_F_REPLACE, ruleShape, rule.family, attributes))
  } else {
    const flags = NLM_F_CREATE | (operation.verb === 'add' ? NLM_F_APPEND : 0)
    const position = operation.position === undefined ? {} : { position: operation.position }
    messages.push(nftRequest(msg.newRule, flags, ruleShape, rule.family, { ...place, ...body, ...position }))
  }
  return messages
}

function encodeSet(operation: Extract<Operation, { kind: 'set' }>, ids: Ids): Request {
  const { family, table, name } = operation.set
  switch (operation.verb) {
    case 'add':
    case 'create': {
      const id = ids.next++
      ids.named.set(idKey(operation.set), id)
      return nftRequest(msg.newSet, creating(operation.verb), setShape, family, declareSet(operation.set, id))
    }
    case 'delete':
      return nftRequest(msg.delSet, 0, setShape, family, { table, name })
    case 'flush':
      return nftRequest(msg.delElement, 0, elementsShape, family, { set: name, table })
    default:
      return operation satisfies never
  }
}

function encodeElements(operation: Extract<Operation, { kind: 'element' }>, ids: Ids): Request[] {
  const { set, elements, verb } = operation
  if (elements.length === 0) return []
  const setId = ids.named.get(idKey(set))
  const types = {
    key: set.key,
    data: set.kind === 'map' && verb !== 'delete' ? set.data : undefined,
    isInterval: set.flags?.includes('interval') ?? false,
    isMerged: false,
    isNew: setId !== undefined && !ids.filled.has(setId),
  }
  if (setId !== undefined) ids.filled.add(setId)
  const wire = wireElements(types, elements)
  const named = { table: set.table, set: set.name, ...(setId === undefined ? {} : { setId }) }
  if (verb === 'delete') return elementMessages(msg.delElement, 0, set, named, wire)
  return elementMessages(msg.newElement, creating(verb), set, named, wire)
}

function elementMessages(
  type: number,
  flags: number,
  of: Pick<Rule | NftSet | NftMap, 'family'>,
  { table, set, setId }: { table: string; set: string; setId?: number },
  elements: readonly ElementAttrs[],
): Request[] {
  const messages: Request[] = []
  const named = setId === undefined ? { table, set } : { table, set, setId }
  let from = 0
  let size = 0
  const close = (to: number): void => {
    if (to === from) return
    const attributes = { ...named, elements: elements.slice(from, to) }
    messages.push(nftRequest(type, flags, elementsShape, of.family, attributes))
    from = to
    size = 0
  }
  for (const [i, element] of elements.entries()) {
    const bytes = boundOf(element)
    if (size + bytes > ELEMENTS_BYTES) close(i)
    size += bytes
  }
  close(elements.length)
  return messages
}

/** No less than the bytes of an element in a message. */
function boundOf({ key, keyEnd, data, userdata }: ElementAttrs): number {
  const chain = data?.verdict?.chain?.length ?? 0
  const values = [key, keyEnd, data].map((part) => (part ? (part.value?.length ?? 0) + 16 : 0))
  return values.reduce((sum, n) => sum + n, 48) + chain * 4 + (userdata?.length ?? 0)
}
