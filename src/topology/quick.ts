/**
 * The quick reader: a start of the program costs what it loads, and the YAML library with its positions is most of it.
 * It takes only texts of which it is certain that the library would say the same, and says nothing about mistakes: for
 * all others the caller reads the text again with `parseTopology`.
 */
import { type BuildOptions, buildModel } from './build.ts'
import type { Model } from './model.ts'
import { Problems } from './problems.ts'
import { locateNowhere, treeOfObject } from './tree.ts'

/** The runtime's own YAML parser, where it has one (Bun); it gives plain values and no positions. */
const runtime = globalThis as { readonly Bun?: { readonly YAML?: { readonly parse: (text: string) => unknown } } }

/** The model, without positions, of a text that has no mistakes; undefined when it may have some, or is unusual. */
export function readQuickly(text: string, options: BuildOptions): Model | undefined {
  const value = /^\s*\{/.test(text) ? valueOfJson(text) : valueOfYaml(text)
  if (value === undefined) return undefined
  const tree = treeOfObject(value)
  if ('misfit' in tree) return undefined
  const built = buildModel(tree, new Problems(locateNowhere), locateNowhere, options)
  return 'model' in built ? built.model : undefined
}

interface Counts {
  keys: number
  /** values that have several spellings, or that a text can spell by leaving them out */
  isUnusual: boolean
}

function count(value: unknown, into: Counts): Counts {
  if (Array.isArray(value)) for (const item of value) count(item, into)
  else if (value !== null && typeof value === 'object') {
    for (const [key, item] of Object.entries(value)) {
      into.keys++
      // an integer as a key moves to the front of a JavaScript object
      if (/^\d+$/.test(key)) into.isUnusual = true
      count(item, into)
    }
  } else if (value === null || (typeof value === 'number' && !Number.isSafeInteger(value))) into.isUnusual = true
  return into
}

function occurrences(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0
}

/**
 * Parsers keep one of two equal keys and drop the other without a word. Every key has a colon behind it, so a text
 * with no more colons than there are keys in the value holds no key twice.
 */
function hasEveryKey(value: unknown, colons: number): boolean {
  const { keys, isUnusual } = count(value, { keys: 0, isUnusual: false })
  return keys === colons && !isUnusual
}

function valueOfJson(text: string): unknown {
  // a number keeps its spelling, 1.0 or 1e3, only in the library
  if (text.includes('\\') || /[-+.\d][.eE]\d|-\d/.test(text.replaceAll(/"[^"]*"/g, ''))) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return hasEveryKey(value, occurrences(text, /"\s*:/g)) ? value : undefined
  } catch {
    return undefined
  }
}

/** What has a meaning of its own in YAML, in any place where it could have one. */
const UNUSUAL = [
  // anchors, aliases, tags, directives, reserved characters, explicit keys, block scalars
  /(?:^|[\s[{,:])[&*!%@`?|>~,]/m,
  // several documents, tabs, other line ends, what is not ASCII
  /^(?:---|\.\.\.)|[^\n\x20-\x7e]/m,
  // quoted texts with escapes, or over several lines
  /\\|''|""/,
  // a number or a truth that has another spelling: 010, 0x10, 1_000, 1e3, .5, -1, +1, yes, True
  /(?:^|[\s[{,])(?:[-+.]\d|0[\w.]|\d+[_.eE]\d*(?=$|[\s\]},]))/m,
  /(?:^|[\s[{,])(?:y|n|yes|no|on|off|null|nan|inf)(?=$|[\s\]},:])/im,
  /(?:^|[\s[{,])(?:T(?:rue|RUE)|F(?:alse|ALSE))(?=$|[\s\]},:])/m,
  // a line that goes on with the one before: neither a key nor an item of a list starts it
  /^(?! *(?:$|- |[\w.-]+:(?: |$)))/m,
  // a colon that ends a key without a blank behind it
  /["'\]}]:\S|,:|:[,\]}]/,
] as const

/** Brackets that are opened in a line are closed in it. */
function isBalanced(line: string): boolean {
  return occurrences(line, /[[{]/g) === occurrences(line, /[\]}]/g)
}

function valueOfYaml(text: string): unknown {
  const parse = runtime.Bun?.YAML?.parse
  if (!parse) return undefined
  // a mark in quotes that is no comment
  if (/["'][^\n]* #/.test(text)) return undefined
  // comments go: the parser passes over them, and what stands in them counts for nothing
  const bare = text.replaceAll(/(?:^|[ ])#[^\n]*/gm, '')
  if (UNUSUAL.some((pattern) => pattern.test(bare)) || !bare.split('\n').every(isBalanced)) return undefined
  try {
    const value = parse(text)
    return hasEveryKey(value, occurrences(bare, /:(?=\s|$)/g)) ? value : undefined
  } catch {
    return undefined
  }
}
