/**
 * What a file says, with where it says it: a tree of maps, lists and scalars that is the same for YAML, JSON and
 * TypeScript objects.
 */
import type { Locate, Path, Spot } from './problems.ts'

export type Tree = MapTree | ListTree | ScalarTree

interface Standing {
  /** offsets into the text; absent for objects */
  readonly start?: number
}

export interface MapTree extends Standing {
  readonly kind: 'map'
  readonly entries: ReadonlyMap<string, Entry>
}

export interface Entry {
  readonly keyStart?: number
  readonly value: Tree
}

export interface ListTree extends Standing {
  readonly kind: 'list'
  readonly items: readonly Tree[]
}

export interface ScalarTree extends Standing {
  readonly kind: 'scalar'
  readonly value: string | number | boolean | null
  /** as the file spells it, without quotes */
  readonly source: string
  /** where the characters of a text start when they stand in the file as they are */
  readonly textStart?: number
}

/** Values of one file, aliases counted as often as they are used. Some 50,000 namespaces. */
export const MAX_VALUES = 500_000
/** The format itself is 6 deep. */
export const MAX_DEPTH = 64

function childOf(tree: Tree, step: string | number): Tree | undefined {
  if (tree.kind === 'map') return tree.entries.get(String(step))?.value
  if (tree.kind === 'list' && typeof step === 'number') return tree.items[step]
  return undefined
}

/** The offset of a path; of the nearest thing above it where the path does not exist in the file. */
export function offsetOf(root: Tree, path: Path, spot?: Spot): number | undefined {
  let tree = root
  let offset = root.start
  for (const [i, step] of path.entries()) {
    const isLast = i === path.length - 1
    if (isLast && spot?.onKey && tree.kind === 'map') return tree.entries.get(String(step))?.keyStart ?? offset
    const child = childOf(tree, step)
    if (!child) return offset
    // an empty body stands nowhere: its key is the place to look at
    const keyStart = tree.kind === 'map' ? tree.entries.get(String(step))?.keyStart : undefined
    const isEmpty = child.kind === 'scalar' && child.source === ''
    offset = isEmpty ? (keyStart ?? child.start) : child.start
    tree = child
  }
  if (spot?.offset !== undefined && tree.kind === 'scalar' && tree.textStart !== undefined)
    return tree.textStart + spot.offset
  return offset
}

export const locateNowhere: Locate = () => undefined

/**
 * The tree of a JavaScript value. Answers the path of what has no place in a topology (functions, cycles, …) instead
 * when there is such a thing.
 */
export function treeOfObject(value: unknown, path: Path = []): Tree | { readonly misfit: Path } {
  if (value === null || value === undefined) return { kind: 'scalar', value: null, source: '' }
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    return { kind: 'scalar', value, source: String(value) }
  }
  if (typeof value !== 'object' || path.length > MAX_DEPTH) return { misfit: path }
  if (Array.isArray(value)) {
    const items: Tree[] = []
    for (const [i, item] of value.entries()) {
      const child = treeOfObject(item, [...path, i])
      if ('misfit' in child) return child
      items.push(child)
    }
    return { kind: 'list', items }
  }
  const entries = new Map<string, Entry>()
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue
    const child = treeOfObject(item, [...path, key])
    if ('misfit' in child) return child
    entries.set(key, { value: child })
  }
  return { kind: 'map', entries }
}
