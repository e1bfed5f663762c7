/** Atomic changes: all of a transaction happens, or nothing of it. */
import type { NetlinkError, Request, Socket } from '../netlink/index.ts'
import { batchMarker, NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END } from './attributes.ts'
import { encodeOperation, newIds } from './encode.ts'
import { NftablesError } from './errors.ts'
import type { Chain, Element, NftMap, NftSet, Rule, Table } from './objects.ts'
import type { ChainName, InTable, Operation, RuleName, TableName } from './operation.ts'
import { renderOperation } from './text.ts'

export interface Transaction {
  readonly operations: readonly Operation[]
  readonly addTable: (table: Table) => Transaction
  /** Fails when it is there already. */
  readonly createTable: (table: Table) => Transaction
  /** With everything in it. */
  readonly deleteTable: (table: TableName) => Transaction
  /** Takes the rules out of all its chains. */
  readonly flushTable: (table: TableName) => Transaction
  readonly addChain: (chain: Chain) => Transaction
  readonly createChain: (chain: Chain) => Transaction
  readonly deleteChain: (chain: InTable) => Transaction
  readonly flushChain: (chain: InTable) => Transaction
  /** At the end of the chain, or after the rule whose handle is `position`. */
  readonly addRule: (rule: Rule, position?: bigint) => Transaction
  /** At the beginning of the chain, or before the rule whose handle is `position`. */
  readonly insertRule: (rule: Rule, position?: bigint) => Transaction
  readonly replaceRule: (rule: Rule, handle: bigint) => Transaction
  readonly deleteRule: (rule: RuleName) => Transaction
  /** Sets and maps. */
  readonly addSet: (set: NftSet | NftMap) => Transaction
  readonly createSet: (set: NftSet | NftMap) => Transaction
  readonly deleteSet: (set: InTable & { readonly kind: 'set' | 'map' }) => Transaction
  /** Takes all elements out. */
  readonly flushSet: (set: InTable & { readonly kind: 'set' | 'map' }) => Transaction
  readonly addElements: (set: NftSet | NftMap, elements: readonly Element[]) => Transaction
  /** Fails when one of them is there already. */
  readonly createElements: (set: NftSet | NftMap, elements: readonly Element[]) => Transaction
  readonly deleteElements: (set: NftSet | NftMap, elements: readonly Element[]) => Transaction
  /** Adds an operation given as data. */
  readonly push: (...operations: readonly Operation[]) => Transaction
  /**
   * Sends everything in one system call. Throws NftablesError, which names the operation at fault, and then nothing was
   * changed; CompileError before anything is sent. With `generation` it fails with ERESTART when the ruleset was
   * changed since that generation was read.
   */
  readonly commit: (socket: Socket, options?: { readonly generation?: number }) => void
}

export type { ChainName, InTable, Operation, RuleName, TableName }

export function transaction(initial: readonly Operation[] = []): Transaction {
  const operations = [...initial]
  const push = (...more: readonly Operation[]): Transaction => {
    operations.push(...more)
    return self
  }
  const self: Transaction = {
    operations,
    push,
    addTable: (table) => push({ verb: 'add', kind: 'table', table }),
    createTable: (table) => push({ verb: 'create', kind: 'table', table }),
    deleteTable: (table) => push({ verb: 'delete', kind: 'table', table }),
    flushTable: (table) => push({ verb: 'flush', kind: 'table', table }),
    addChain: (chain) => push({ verb: 'add', kind: 'chain', chain }),
    createChain: (chain) => push({ verb: 'create', kind: 'chain', chain }),
    deleteChain: (chain) => push({ verb: 'delete', kind: 'chain', chain }),
    flushChain: (chain) => push({ verb: 'flush', kind: 'chain', chain }),
    addRule: (rule, position) =>
      push({ verb: 'add', kind: 'rule', rule, ...(position === undefined ? {} : { position }) }),
    insertRule: (rule, position) =>
      push({ verb: 'insert', kind: 'rule', rule, ...(position === undefined ? {} : { position }) }),
    replaceRule: (rule, handle) => push({ verb: 'replace', kind: 'rule', rule, handle }),
    deleteRule: (rule) => push({ verb: 'delete', kind: 'rule', rule }),
    addSet: (set) => push({ verb: 'add', kind: 'set', set }),
    createSet: (set) => push({ verb: 'create', kind: 'set', set }),
    deleteSet: (set) => push({ verb: 'delete', kind: 'set', set }),
    flushSet: (set) => push({ verb: 'flush', kind: 'set', set }),
    addElements: (set, elements) => push({ verb: 'add', kind: 'element', set, elements }),
    createElements: (set, elements) => push({ verb: 'create', kind: 'element', set, elements }),
    deleteElements: (set, elements) => push({ verb: 'delete', kind: 'element', set, elements }),
    commit: (socket, options) => commit(socket, operations, options?.generation),
  }
  return self
}

/** The messages of a whole transaction, and which operation each belongs to (-1 for the two that frame it). */
export function encodeTransaction(
  operations: readonly Operation[],
  generation?: number,
): { messages: Request[]; owners: number[] } {
  const ids = newIds()
  const messages = [batchMarker(NFNL_MSG_BATCH_BEGIN, generation === undefined ? {} : { id: generation })]
  const owners = [-1]
  for (const [index, operation] of operations.entries()) {
    for (const message of encodeOperation(operation, ids)) {
      messages.push(message)
      owners.push(index)
    }
  }
  messages.push(batchMarker(NFNL_MSG_BATCH_END))
  owners.push(-1)
  return { messages, owners }
}

function commit(socket: Socket, operations: readonly Operation[], generation: number | undefined): void {
  const { messages, owners } = encodeTransaction(operations, generation)
  if (messages.length === 2) return
  // like nft, ask for no acknowledgements: the kernel reports every refusal of a batch anyway
  const { errors } = socket.exchange(messages)
  // one operation may be several messages: its first refusal is the one that says why
  const refused = new Map<number, NetlinkError>()
  for (const [i, error] of errors.entries()) {
    const owner = owners[i] ?? -1
    if (error && !refused.has(owner)) refused.set(owner, error)
  }
  const [first, ...others] = refused
  if (!first) return
  const explain = ([index, cause]: [number, NetlinkError], rest: readonly NftablesError[] = []): NftablesError => {
    const operation = operations[index]
    return new NftablesError(operation ? renderOperation(operation) : '', index, cause, rest)
  }
  const later = others.map((other) => explain(other))
  throw explain(first, later)
}
