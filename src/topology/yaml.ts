/** YAML (and JSON, which is YAML) to a tree with positions. Throws nothing. */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type ParsedNode,
  parseDocument,
  type YAMLMap,
} from 'yaml'
import type { Position } from './model.ts'
import { nearest } from './names.ts'
import { type Locate, type Path, Problems } from './problems.ts'
import { type Entry, MAX_DEPTH, MAX_VALUES, offsetOf, type Tree } from './tree.ts'

export interface Source {
  /** undefined when the text is not even YAML */
  readonly tree: Tree | undefined
  readonly problems: Problems
  readonly locate: Locate
}

const MAX_CHARACTERS = 64 * 1024 * 1024
const NO_VALUE: Tree = { kind: 'scalar', value: null, source: '' }

/** Reads a text. Syntax errors end it there; duplicate keys and the like are collected and the rest is still read. */
export function readYaml(text: string): Source {
  const lines = new LineCounter()
  let root: Tree | undefined
  const locate: Locate = (path, spot) => positionAt(lines, text, (root && offsetOf(root, path, spot)) ?? 0)
  const problems = new Problems(locate)
  const byOffset = (offset: number): Problems => new Problems(() => positionAt(lines, text, offset))
  const fail = (offset: number, message: string, hint: string): Source => {
    const failed = byOffset(offset)
    failed.add([], message, hint)
    return { tree: undefined, problems: failed, locate }
  }
  if (text.length > MAX_CHARACTERS)
    return fail(0, 'the file is over 64 MiB', 'a topology of 10,000 namespaces has about 1 MiB')
  try {
    const doc = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false, logLevel: 'silent' })
    const faults = [...doc.errors, ...doc.warnings]
    if (faults.length > 0) return syntaxProblems(text, lines, faults, locate)
    if (doc.contents === null) return { tree: { kind: 'map', entries: new Map(), start: 0 }, problems, locate }
    const reader = new Reader(text)
    root = reader.read(doc.contents, [], 0)
    for (const fault of reader.faults) {
      const line = fault.firstAt === undefined ? '' : ` on line ${positionAt(lines, text, fault.firstAt).line}`
      const at = positionAt(lines, text, fault.offset)
      problems.addAt(at, fault.path, `${fault.message}${line}`, fault.hint)
    }
    return { tree: root, problems, locate }
  } catch (error) {
    // the parser descends by recursion
    if (error instanceof RangeError) return fail(0, 'the file is nested too deeply', `at most ${MAX_DEPTH} levels`)
    return fail(
      0,
      `the file cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      'check its syntax',
    )
  }
}

function positionAt(lines: LineCounter, text: string, offset: number): Position {
  const within = Math.max(0, Math.min(offset, text.length))
  const { line, col } = lines.linePos(within)
  return line === 0 ? { line: 1, column: within + 1 } : { line, column: col }
}

interface SyntaxFault {
  readonly code: string
  readonly message: string
  readonly pos: [number, number]
}

function syntaxProblems(text: string, lines: LineCounter, faults: readonly SyntaxFault[], locate: Locate): Source {
  const problems = new Problems(locate)
  const told = new Set<number>()
  for (const fault of faults) {
    const at = positionAt(lines, text, fault.pos[0])
    // one slip often gives several errors on its line
    if (told.has(at.line)) continue
    told.add(at.line)
    problems.addAt(at, [], ...explainSyntax(text, fault))
  }
  return { tree: undefined, problems, locate }
}

function explainSyntax(text: string, fault: SyntaxFault): [message: string, hint: string] {
  const lineStart = text.lastIndexOf('\n', Math.max(0, fault.pos[0] - 1)) + 1
  const before = text.slice(lineStart, fault.pos[0])
  if (/\[[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\]$/.test(before)) {
    return ['text after a list', "an IPv6 address in brackets needs quotes: '[fd00::50]:80'"]
  }
  if (fault.code === 'MULTIPLE_DOCS') return ['a second document starts here', 'one topology a file; take the --- away']
  if (fault.code === 'TAB_AS_INDENT') return ['a tab indents this line', 'YAML wants blanks']
  if (fault.code === 'TAG_RESOLVE_FAILED')
    return [fault.message, 'tags (!name) have no meaning here; a text that starts with ! needs quotes']
  const open = /indented and end with a (\S)/.exec(fault.message)
  if (open) return ['a bracket is not closed', `close it with ${open[1]}`]
  const hint = HINTS[fault.code] ?? 'this is not YAML; check quotes, brackets and indentation'
  return [fault.message.replace(/\s+/g, ' '), hint]
}

const HINTS: Readonly<Record<string, string>> = {
  BAD_INDENT: 'lines of one list or map start in the same column',
  MISSING_CHAR: 'close every quote and bracket, and put commas between the values in them',
  BLOCK_AS_IMPLICIT_KEY: 'put a text that has ": " in it in quotes',
  MULTILINE_IMPLICIT_KEY: 'end this line with ":" or indent it below its key',
  UNEXPECTED_TOKEN: 'put a text with special characters in quotes',
  BAD_SCALAR_START: 'put this text in quotes',
  BAD_DQ_ESCAPE: 'write \\\\ for a backslash, or use single quotes',
}

interface Fault {
  readonly offset: number
  readonly path: Path
  readonly message: string
  readonly hint: string
  readonly firstAt?: number
}

/** Walks the document once. Aliases are read where they are used, so they are counted: a bomb ends at MAX_VALUES. */
class Reader {
  readonly faults: Fault[] = []
  readonly #text: string
  readonly #anchors = new Map<string, Node>()
  readonly #open = new Set<Node>()
  #count = 0

  constructor(text: string) {
    this.#text = text
  }

  read(node: Node | ParsedNode | null | undefined, path: Path, from: number): Tree {
    if (!node) return { ...NO_VALUE, start: from }
    const start = node.range?.[0] ?? from
    this.#count++
    if (this.#count === MAX_VALUES)
      this.#fault(
        start,
        path,
        `the file has more than ${MAX_VALUES} values, aliases counted as often as they are used`,
        'use fewer aliases',
      )
    if (this.#count >= MAX_VALUES) return { ...NO_VALUE, start }
    if (isAlias(node)) return this.#readAlias(node.source, path, start)
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node)
    if (isScalar(node)) return this.#readScalar(node, start)
    if (path.length >= MAX_DEPTH) {
      this.#fault(start, path, 'the file is nested too deeply', `at most ${MAX_DEPTH} levels`)
      return { ...NO_VALUE, start }
    }
    this.#open.add(node)
    try {
      if (isSeq(node)) {
        const items = node.items.map((item, i) => this.read(item as Node | null, [...path, i], start))
        return { kind: 'list', items, start }
      }
      if (isMap(node)) return { kind: 'map', entries: this.#readMap(node, path), start }
    } finally {
      this.#open.delete(node)
    }
    return { ...NO_VALUE, start }
  }

  #readAlias(name: string, path: Path, start: number): Tree {
    const target = this.#anchors.get(name)
    if (!target || this.#open.has(target)) {
      const better = nearest(name, this.#anchors.keys())
      const hint = better === undefined ? `mark a value with &${name} first` : `did you mean *${better}?`
      this.#fault(
        start,
        path,
        target ? `alias *${name} stands inside of what it repeats` : `alias *${name} repeats nothing`,
        hint,
      )
      return { ...NO_VALUE, start }
    }
    return this.read(target, path, start)
  }

  #readScalar(
    node: {
      value: unknown
      source?: string | undefined
      type?: string | null | undefined
      range?: [number, number, number] | null | undefined
    },
    start: number,
  ): Tree {
    const value = typeof node.value === 'bigint' ? Number(node.value) : node.value
    const plain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null
    const source =
      plain === null ? (node.source ?? '') : typeof plain === 'string' ? plain : (node.source ?? String(plain))
    const base = { kind: 'scalar', value: plain, source, start } as const
    if (typeof plain !== 'string') return base
    const raw = this.#text.slice(start, node.range?.[1] ?? start)
    const inset = raw.indexOf(plain)
    return inset < 0 ? base : { ...base, textStart: start + inset }
  }

  #readMap(node: YAMLMap, path: Path): Map<string, Entry> {
    const entries = new Map<string, Entry>()
    const merges: [value: Node | null, start: number][] = []
    for (const pair of node.items) {
      const keyNode = pair.key as Node | null
      const keyStart = keyNode?.range?.[0] ?? node.range?.[0] ?? 0
      const key = this.#readKey(keyNode, path, keyStart)
      if (key === undefined) continue
      const value = pair.value as Node | null
      if (key === '<<' && isScalar(keyNode) && keyNode.type === 'PLAIN') {
        merges.push([value, keyStart])
        continue
      }
      const first = entries.get(key)
      if (first) {
        this.faults.push({
          offset: keyStart,
          path: [...path, key],
          message: `"${key}" is here a second time; the first is`,
          hint: 'put both into one, or rename one',
          ...(first.keyStart === undefined ? {} : { firstAt: first.keyStart }),
        })
        continue
      }
      entries.set(key, { keyStart, value: this.read(value, [...path, key], keyStart) })
    }
    for (const [value, start] of merges) this.#merge(entries, value, path, start)
    return entries
  }

  /** Merge key: own keys win, then earlier maps (https://yaml.org/type/merge.html). */
  #merge(entries: Map<string, Entry>, value: Node | null, path: Path, start: number): void {
    const tree = this.read(value, path, start)
    const maps = tree.kind === 'list' ? tree.items : [tree]
    for (const map of maps) {
      if (map.kind !== 'map') {
        this.#fault(start, path, '<< merges maps, and this is none', 'write << : *name, where &name marks a map')
        continue
      }
      for (const [key, entry] of map.entries) if (!entries.has(key)) entries.set(key, entry)
    }
  }

  #readKey(node: Node | null, path: Path, start: number): string | undefined {
    if (isScalar(node)) {
      if (typeof node.value === 'string') return node.value
      if (typeof node.value === 'number' || typeof node.value === 'boolean') return node.source ?? String(node.value)
    }
    this.#fault(start, path, 'a key must be a text', 'put { } around maps and quotes around special characters')
    return undefined
  }

  #fault(offset: number, path: Path, message: string, hint: string): void {
    this.faults.push({ offset, path, message, hint })
  }
}
