/** Messages about tables, chains and sets into plain data. Pure. */
import type { Infer } from '../netlink/codec.ts'
import type { chainAttrs, SetAttrs, tableAttrs } from './attributes.ts'
import { type TypeName, typesOfConcat } from './datatypes.ts'
import { hookName } from './hooks.ts'
import type { Chain, Family, NftMap, NftSet, Table } from './objects.ts'
import { setFlags, sizeOf } from './sets.ts'
import { readComment, SET_COMMENT } from './userdata.ts'

export function decodeTable(family: Family, attributes: Infer<typeof tableAttrs>): Table {
  const bits = attributes.flags ?? 0
  const flags = [...(bits & 1 ? (['dormant'] as const) : []), ...(bits & 2 ? (['owner'] as const) : [])]
  const comment = readComment(attributes.userdata)
  return {
    family,
    name: attributes.name ?? '',
    ...(comment === undefined ? {} : { comment }),
    ...(flags.length ? { flags } : {}),
  }
}

export function decodeChain(family: Family, attributes: Infer<typeof chainAttrs>): Chain {
  const { hook, type, policy } = attributes
  const comment = readComment(attributes.userdata)
  const named: Chain = { family, table: attributes.table ?? '', name: attributes.name ?? '' }
  const note = comment === undefined ? {} : { comment }
  const at = hook?.hooknum === undefined ? undefined : hookName(family, hook.hooknum)
  if (!hook || !at) return { ...named, ...note }
  const device = hook.dev ?? hook.devs?.[0]
  return {
    ...named,
    ...(type === 'filter' || type === 'nat' || type === 'route' ? { type } : {}),
    hook: at,
    priority: (hook.priority ?? 0) | 0,
    ...(policy === undefined ? {} : { policy: policy === 0 ? ('drop' as const) : ('accept' as const) }),
    ...(device === undefined ? {} : { device }),
    ...note,
  }
}

/** Types of a key or datum by nft's number and the kernel's length; undefined when they disagree or have no name. */
export function listedTypes(id: number | undefined, length: number | undefined): TypeName[] | undefined {
  if (id === 4) return length === 4 ? ['host32'] : undefined
  const types = id === undefined ? undefined : typesOfConcat(id)
  return types && sizeOf(types) === length ? types : undefined
}

const VERDICT_TYPE = 0xffffff00

export function listedData(attributes: SetAttrs): readonly TypeName[] | 'verdict' | undefined {
  if (!((attributes.flags ?? 0) & setFlags.map)) return undefined
  return attributes.dataType === VERDICT_TYPE ? 'verdict' : listedTypes(attributes.dataType, attributes.dataLen)
}

/** Undefined for sets of types that have no name here, and for maps of objects. */
export function decodeSet(family: Family, attributes: SetAttrs): NftSet | NftMap | undefined {
  const bits = attributes.flags ?? 0
  const key = listedTypes(attributes.keyType, attributes.keyLen)
  const data = listedData(attributes)
  if (!key || bits & setFlags.object || (bits & setFlags.map && !data)) return undefined
  const flags = (['constant', 'interval', 'timeout', 'dynamic'] as const).filter((flag) => bits & setFlags[flag])
  const comment = readComment(attributes.userdata, SET_COMMENT)
  const counter = attributes.expr?.kind === 'counter' || attributes.expressions?.some((e) => e.kind === 'counter')
  const base = {
    family,
    table: attributes.table ?? '',
    name: attributes.name ?? '',
    key,
    ...(flags.length ? { flags } : {}),
    ...(attributes.timeout === undefined ? {} : { timeout: Number(attributes.timeout) }),
    ...(attributes.gcInterval === undefined ? {} : { gcInterval: attributes.gcInterval }),
    ...(attributes.desc?.size === undefined ? {} : { size: attributes.desc.size }),
    ...(attributes.policy === 1 ? { policy: 'memory' as const } : {}),
    ...(counter ? { counter: true as const } : {}),
    ...(comment === undefined ? {} : { comment }),
  }
  return data ? { kind: 'map', ...base, data } : { kind: 'set', ...base }
}
