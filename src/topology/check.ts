/**
 * Holds a tree against the declared format. Unlike a plain validation it reports every mistake, each at its place, and
 * still gives what is good of the rest, so that the checks of meaning can go on.
 */
import * as v from 'valibot'
import { nearest } from './names.ts'
import { describePath, type Path, type Problems } from './problems.ts'
import { type Topology, topologySchema } from './schema.ts'
import type { MapTree, Tree } from './tree.ts'
import { exampleOf, hintForKey, hintForKind, kindsOf, nameOf, type Shape } from './wanted.ts'

/** Marks a value that could not be used; nothing else can be this. */
const UNUSABLE = Symbol('unusable')

/**
 * The checked values. What is wrong is left out: a key is absent, an item of a list is undefined. Skip those; the
 * problem has been reported.
 */
export function checkFormat(tree: Tree, problems: Problems): Topology {
  const checked = walk(topologySchema as unknown as Shape, tree, [], problems)
  return (checked === UNUSABLE ? {} : checked) as Topology
}

/** The items of a checked list that could be used, with their paths. */
export function* each<T>(list: readonly T[] | undefined, path: Path): Generator<[item: NonNullable<T>, path: Path]> {
  for (const [i, item] of (list ?? []).entries()) if (item !== undefined && item !== null) yield [item, [...path, i]]
}

/** The same for what may be one value or a list of them. */
export function eachOf<T extends string>(
  value: T | readonly T[] | undefined,
  path: Path,
): Iterable<[item: T, path: Path]> {
  if (typeof value === 'string') return [[value, path]]
  return each(value as readonly T[] | undefined, path) as Iterable<[T, Path]>
}

function walk(schema: Shape, tree: Tree, path: Path, problems: Problems): unknown {
  switch (schema.type) {
    case 'optional':
    case 'nullable':
      return schema.wrapped ? walk(schema.wrapped, tree, path, problems) : UNUSABLE
    case 'strict_object':
      return walkObject(schema, tree, path, problems)
    case 'record':
      return walkRecord(schema, tree, path, problems)
    case 'array':
    case 'tuple':
      return walkList(schema, tree, path, problems)
    case 'union': {
      const options = (schema.options ?? []) as readonly Shape[]
      const fit = options.find((option) => takes(option, tree))
      if (fit) return walk(fit, tree, path, problems)
      return misfit(schema, tree, path, problems)
    }
    default:
      return walkScalar(schema, tree, path, problems)
  }
}

/** Whether a value of this outward form could be meant for the schema. */
function takes(schema: Shape, tree: Tree): boolean {
  switch (schema.type) {
    case 'optional':
    case 'nullable':
      return schema.wrapped !== undefined && takes(schema.wrapped, tree)
    case 'union':
      return ((schema.options ?? []) as readonly Shape[]).some((option) => takes(option, tree))
    case 'strict_object':
    case 'record':
      return tree.kind === 'map'
    case 'array':
    case 'tuple':
      return tree.kind === 'list'
    default:
      if (tree.kind !== 'scalar') return false
      if (schema.type === 'literal') return tree.value === schema.literal
      if (schema.type === 'picklist') return typeof tree.value === 'string'
      return typeof tree.value === schema.type
  }
}

const isEmpty = (tree: Tree): boolean => tree.kind === 'scalar' && tree.value === null

function walkObject(schema: Shape, tree: Tree, path: Path, problems: Problems): unknown {
  const entries = schema.entries ?? {}
  const map = mapOf(tree)
  if (!map) return misfit(schema, tree, path, problems)
  const result: Record<string, unknown> = Object.create(null)
  for (const [key, entry] of map.entries) {
    const at = [...path, key]
    const part = Object.hasOwn(entries, key) ? entries[key] : undefined
    if (!part) {
      problems.add(at, unknownKey(key, path), hintForKey(key, path, Object.keys(entries)), { onKey: true })
      continue
    }
    const value = walk(part, entry.value, at, problems)
    if (value !== UNUSABLE) result[key] = value
  }
  let isComplete = true
  for (const [key, part] of Object.entries(entries)) {
    if (part.type === 'optional') {
      if (part.default !== undefined && !(key in result)) result[key] = part.default
      continue
    }
    if (!(key in result)) isComplete = false
    if (!map.entries.has(key)) {
      const inside = describePath(path)
      problems.add(path, `"${key}" is missing${inside === '' ? '' : ` in ${inside}`}`, `add ${key}: ${exampleOf(part)}`)
    }
  }
  return isComplete ? result : UNUSABLE
}

function walkRecord(schema: Shape, tree: Tree, path: Path, problems: Problems): unknown {
  const map = mapOf(tree)
  if (!map || !schema.key || !schema.value) return misfit(schema, tree, path, problems)
  const result: Record<string, unknown> = Object.create(null)
  for (const [key, entry] of map.entries) {
    const at = [...path, key]
    const fault = faultOf(schema.key, key)
    if (fault) problems.add(at, ...fault, { onKey: true })
    const value = walk(schema.value, entry.value, at, problems)
    // the name counts though its body is wrong: others refer to it
    result[key] = value === UNUSABLE ? null : value
  }
  return result
}

const NOTHING: MapTree = { kind: 'map', entries: new Map() }

/** An empty body, `netns1:` with nothing behind it, is an empty map. */
function mapOf(tree: Tree): MapTree | undefined {
  if (tree.kind === 'map') return tree
  return isEmpty(tree) ? NOTHING : undefined
}

function walkList(schema: Shape, tree: Tree, path: Path, problems: Problems): unknown {
  if (isEmpty(tree) && schema.type === 'array') return []
  if (tree.kind !== 'list') return misfit(schema, tree, path, problems)
  if (schema.type === 'tuple' && tree.items.length !== schema.items?.length) {
    problems.add(
      path,
      `${describePath(path)} has ${tree.items.length} ends`,
      'a link has two ends: [host:veth0, netns1:veth1]',
    )
    return UNUSABLE
  }
  const values = tree.items.map((item, i) => {
    const part = schema.type === 'tuple' ? schema.items?.[i] : schema.item
    const value = part ? walk(part, item, [...path, i], problems) : UNUSABLE
    return value === UNUSABLE ? undefined : value
  })
  return schema.type === 'tuple' && values.includes(undefined) ? UNUSABLE : values
}

function walkScalar(schema: Shape, tree: Tree, path: Path, problems: Problems): unknown {
  if (tree.kind !== 'scalar' || tree.value === null) return misfit(schema, tree, path, problems)
  // a name that is all digits is still a name
  const value = schema.type === 'string' && typeof tree.value === 'number' ? tree.source : tree.value
  const outward = schema.type === 'picklist' ? 'string' : schema.type
  if (schema.type !== 'literal' && typeof value !== outward) return misfit(schema, tree, path, problems)
  const fault = faultOf(schema, value)
  if (!fault) return value
  problems.add(path, ...fault)
  return UNUSABLE
}

/**
 * Whether a text passes every check of its schema: what valibot would find, without the objects that it makes for
 * each value of a large file.
 */
function passes(schema: Shape, value: unknown): boolean {
  if (schema.type !== 'string' || typeof value !== 'string') return false
  return (schema.pipe ?? []).every(({ type, requirement }) => {
    if (type === 'check') return requirement?.(value) === true
    return type === 'string' || type === 'title' || type === 'examples'
  })
}

/** What valibot says of one plain value. */
function faultOf(schema: Shape, value: unknown): [message: string, hint: string] | undefined {
  if (passes(schema, value)) return undefined
  const issue = v.safeParse(schema as unknown as v.GenericSchema, value, { abortEarly: true, abortPipeEarly: true })
    .issues?.[0]
  if (!issue) return undefined
  if (schema.type === 'picklist') {
    const options = (schema.options ?? []) as readonly string[]
    const better = typeof value === 'string' ? nearest(value, options) : undefined
    return [
      `"${String(value)}" is none of ${options.join(', ')}`,
      better ? `did you mean "${better}"?` : `write ${options.join(' or ')}`,
    ]
  }
  if (schema.type === 'literal') return [`"${String(value)}" has no meaning here`, `write ${String(schema.literal)}`]
  const cut = issue.message.indexOf('\n')
  return cut < 0 ? [issue.message, ''] : [issue.message.slice(0, cut), issue.message.slice(cut + 1)]
}

function unknownKey(key: string, path: Path): string {
  const inside = describePath(path)
  return `unknown key "${key}"${inside === '' ? '' : ` in ${inside}`}`
}

function misfit(schema: Shape, tree: Tree, path: Path, problems: Problems): typeof UNUSABLE {
  const wanted = kindsOf(schema)
  const last = path.at(-1)
  const what = typeof last === 'string' ? `"${last}"` : describePath(path) || 'the file'
  problems.add(path, `${what} is ${nameOf(tree)}, wanted is ${wanted.join(' or ')}`, hintForKind(wanted, tree, schema))
  return UNUSABLE
}
