/**
 * The ruleset as the kernel's virtual machine has it, for programs that run rules rather than show them. Chains and
 * rules are read at once; expressions are decoded when a rule is run, and sets and objects read when one is named.
 */
import { attrs, eachAttribute } from '../netlink/attributes.ts'
import { Reader } from '../netlink/buffer.ts'
import { be64, bytes, str } from '../netlink/codec.ts'
import { NetlinkError } from '../netlink/errors.ts'
import { shape } from '../netlink/message.ts'
import type { Socket } from '../netlink/socket.ts'
import {
  chainShape,
  type ElementAttrs,
  familyName,
  msg,
  nfgenmsg,
  nftRequest,
  objectShape,
  type SetAttrs,
  tableShape,
} from './attributes.ts'
import { expressionKinds, type Vm, vmCodec } from './attributes-expressions.ts'
import { decompileRule } from './decompile.ts'
import { hookName } from './hooks.ts'
import { consistently, readElements, readSets } from './list.ts'
import type { Family, Hook, Policy } from './objects.ts'
import { renderRule } from './text.ts'
import { readComment } from './userdata.ts'

export interface ImageRule {
  readonly family: Family
  readonly table: string
  readonly chain: string
  readonly handle: bigint
  readonly comment?: string
  /** Expression number `index`, decoded when first asked for: most packets match few rules. Undefined past the last. */
  readonly vm: (index: number) => Vm | undefined
}

export interface ImageBase {
  readonly type: 'filter' | 'nat' | 'route'
  readonly hook: Hook
  readonly priority: number
  readonly policy: Policy
  /** of the netdev family, and of ingress of inet: the names that the chain was made for, `eth*` too */
  readonly devices: readonly string[]
}

export interface ImageChain {
  readonly family: Family
  readonly table: string
  readonly name: string
  readonly handle: bigint
  /** absent: only jumps lead here */
  readonly base?: ImageBase
  readonly rules: readonly ImageRule[]
}

export interface ImageSet {
  readonly attributes: SetAttrs
  /** read at the first call; undefined when the set has gone since */
  readonly elements: () => readonly ElementAttrs[] | undefined
}

export interface ImageTable {
  readonly family: Family
  readonly name: string
  readonly handle: bigint
  /** its base chains are not hooked in */
  readonly isDormant: boolean
  readonly chains: ReadonlyMap<string, ImageChain>
}

export interface Image {
  readonly generation: number
  readonly tables: readonly ImageTable[]
  /** Undefined when there is none, or it has gone since. Throws NetlinkError. */
  readonly set: (family: Family, table: string, name: string) => ImageSet | undefined
  /** A named limit, quota or other object, as the expression of that kind; undefined like `set`. Throws NetlinkError. */
  readonly object: (family: Family, table: string, name: string, type: number) => Vm | undefined
}

/** Like `ruleShape`, but expressions stay bytes: most rules are never run. */
const rawRuleShape = shape(
  nfgenmsg,
  attrs({ table: [1, str], chain: [2, str], handle: [3, be64], expressions: [4, bytes], userdata: [7, bytes] }),
)

/** NFT_OBJECT_* of the objects that decide over a packet */
const objectKinds: Readonly<Record<number, 'quota' | 'limit' | 'connlimit'>> = {
  2: 'quota',
  4: 'limit',
  5: 'connlimit',
}

function once<T>(compute: () => T): () => T {
  let value: { readonly it: T } | undefined
  return () => {
    value ??= { it: compute() }
    return value.it
  }
}

const keyOf = (...parts: readonly (string | undefined)[]): string => parts.join('\0')

/** What was named may have gone since the rules were read. */
function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** The ruleset of the namespace of the socket (NETLINK_NETFILTER). The socket must stay open. Throws NetlinkError. */
export function readImage(socket: Socket): Image {
  const { generation, tables } = consistently(socket, (number) => ({ generation: number, tables: readTables(socket) }))
  const sets = once(() => {
    const found = new Map<string, ImageSet>()
    for (const { family, attributes } of readSets(socket, {})) {
      const elements = once(() => unlessGone(() => readElements(socket, family, attributes)))
      found.set(keyOf(family, attributes.table, attributes.name), { attributes, elements })
    }
    return found
  })
  const objects = new Map<string, Vm | undefined>()
  return {
    generation,
    tables,
    set: (family, table, name) => sets().get(keyOf(family, table, name)),
    object: (family, table, name, type) => {
      const key = keyOf(family, table, name, String(type))
      if (!objects.has(key)) objects.set(key, readObject(socket, family, table, name, type))
      return objects.get(key)
    },
  }
}

function readTables(socket: Socket): ImageTable[] {
  const rules = readRules(socket)
  const chains = new Map<string, Map<string, ImageChain>>()
  for (const { header, attrs: of } of socket.dump(nftRequest(msg.getChain, 0, chainShape, undefined, {}), chainShape)) {
    const family = familyName(header.family)
    const { table = '', name = '', handle = 0n, hook, type, policy } = of
    if (!family) continue
    const at = hook?.hooknum === undefined ? undefined : hookName(family, hook.hooknum)
    const base: ImageBase | undefined = at && {
      type: type === 'nat' || type === 'route' ? type : 'filter',
      hook: at,
      priority: (hook?.priority ?? 0) | 0,
      policy: policy === 0 ? 'drop' : 'accept',
      devices: hook?.devs ?? (hook?.dev === undefined ? [] : [hook.dev]),
    }
    const chain = { family, table, name, handle, rules: rules.get(keyOf(family, table, name)) ?? [] }
    const key = keyOf(family, table)
    const ofTable = chains.get(key) ?? new Map<string, ImageChain>()
    ofTable.set(name, base ? { ...chain, base } : chain)
    chains.set(key, ofTable)
  }
  const listed = socket.dump(nftRequest(msg.getTable, 0, tableShape, undefined, {}), tableShape)
  return listed.flatMap(({ header, attrs: { name = '', handle = 0n, flags = 0 } }) => {
    const family = familyName(header.family)
    if (!family) return []
    return [
      { family, name, handle, isDormant: (flags & 1) !== 0, chains: chains.get(keyOf(family, name)) ?? new Map() },
    ]
  })
}

/** By family, table and chain, in the order in which they run. */
function readRules(socket: Socket): Map<string, ImageRule[]> {
  const found = new Map<string, ImageRule[]>()
  const shared = new Map<string, Vm>()
  for (const message of socket.dump(nftRequest(msg.getRule, 0, rawRuleShape, undefined, {}), rawRuleShape)) {
    const family = familyName(message.header.family)
    const { table = '', chain = '', handle = 0n, expressions, userdata } = message.attrs
    if (!family) continue
    const comment = readComment(userdata)
    const rule = {
      family,
      table,
      chain,
      handle,
      vm: lazyVm(expressions, shared),
      ...(comment === undefined ? {} : { comment }),
    }
    const key = keyOf(family, table, chain)
    const ofChain = found.get(key)
    if (ofChain) ofChain.push(rule)
    else found.set(key, [rule])
  }
  return found
}

const latin1 = new TextDecoder('latin1')

/** NFTA_LIST_ELEM, one after the other. Rules have most of their expressions in common: each is decoded once. */
function lazyVm(expressions: Uint8Array | undefined, shared: Map<string, Vm>): ImageRule['vm'] {
  let parts: Reader[] | undefined
  const decoded: Vm[] = []
  return (index) => {
    if (!parts) {
      const found: Reader[] = []
      if (expressions) eachAttribute(new Reader(expressions), (_, part) => found.push(part))
      parts = found
    }
    const known = decoded[index]
    const part = parts[index]
    if (known || !part) return known
    const key = latin1.decode(part.bytes)
    const vm = shared.get(key) ?? vmCodec.decode(part)
    shared.set(key, vm)
    decoded[index] = vm
    return vm
  }
}

/** All expressions of a rule, decoded. */
export function imageRuleVm(rule: ImageRule): Vm[] {
  const all: Vm[] = []
  for (let vm = rule.vm(0); vm; vm = rule.vm(all.length)) all.push(vm)
  return all
}

function readObject(socket: Socket, family: Family, table: string, name: string, type: number): Vm | undefined {
  const kind = objectKinds[type]
  if (!kind) return undefined
  const message = nftRequest(msg.getObject, 0, objectShape, family, { table, name, type })
  const data = unlessGone(() => socket.get(message, objectShape).attrs.data)
  return data && ({ kind, data: expressionKinds[kind].decode(new Reader(data)) } as Vm)
}

/** The rule as nft writes it; what has no words stays in those of the virtual machine. Reads the sets that it names. */
export function imageRuleText(image: Image, rule: ImageRule): string {
  const resolve = (name: string): { attributes: SetAttrs; elements: () => readonly ElementAttrs[] } | undefined => {
    const set = image.set(rule.family, rule.table, name)
    return set && { attributes: set.attributes, elements: () => set.elements() ?? [] }
  }
  const { expressions } = decompileRule(rule.family, rule.table, imageRuleVm(rule), resolve)
  return renderRule({ expressions, ...(rule.comment === undefined ? {} : { comment: rule.comment }) })
}
