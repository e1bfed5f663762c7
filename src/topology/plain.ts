/**
 * The YAML that nearly every topology is written in, read several times faster than all of YAML: block maps and lists,
 * maps and lists in brackets that end on their line, texts on one line. Whatever else a file has in it, or when
 * something is wrong with it, the answer is undefined and the whole of it is left to the library. Gives the same trees.
 */
import { type Entry, MAX_VALUES, type Tree } from './tree.ts'

class Unfit extends Error {}

const KEY = /(?!(?:null|Null|NULL):)[A-Za-z0-9_][A-Za-z0-9_./-]{0,99}:(?=[ ,}\n]|$)/y
const FLOW_TEXT = /[A-Za-z0-9_](?:[^,[\]{}#"':\s]|:(?=[^,[\]{}#"':\s])| +(?=[^,[\]{}#"':\s]))*/y
const FIRST = /[A-Za-z0-9_]/
const MAX_NESTING = 16

interface Line {
  readonly indent: number
  /** offset of the first character that is not a blank */
  readonly start: number
  /** offset behind the last one */
  readonly end: number
}

export function readPlain(text: string): Tree | undefined {
  if (!/^[\x20-\x7e\n]*$/.test(text)) return undefined
  try {
    return new PlainReader(text).read()
  } catch (error) {
    if (error instanceof Unfit) return undefined
    throw error
  }
}

class PlainReader {
  readonly #text: string
  readonly #lines: Line[] = []
  #line = 0
  #at = 0
  #end = 0
  #count = 0

  constructor(text: string) {
    this.#text = text
    for (let from = 0; from < text.length; ) {
      const newline = text.indexOf('\n', from)
      const line = this.#lineOf(from, newline < 0 ? text.length : newline)
      if (line) this.#lines.push(line)
      if (newline < 0) break
      from = newline + 1
    }
  }

  read(): Tree {
    if (this.#lines[0]?.indent !== 0) throw new Unfit()
    const tree = this.#blockMap(0, 0)
    if (this.#line < this.#lines.length) throw new Unfit()
    return tree
  }

  #lineOf(from: number, to: number): Line | undefined {
    let start = from
    while (start < to && this.#text[start] === ' ') start++
    if (start === to || this.#text[start] === '#') return undefined
    let end = to
    const body = this.#text.slice(start, to)
    const comment = body.indexOf(' #')
    if (comment >= 0) {
      // it may be inside of a text
      if (/["']/.test(body)) throw new Unfit()
      end = start + comment
    }
    while (this.#text[end - 1] === ' ') end--
    return { indent: start - from, start, end }
  }

  #blockMap(indent: number, depth: number): Tree {
    const entries = new Map<string, Entry>()
    const start = this.#lines[this.#line]?.start ?? 0
    for (let line = this.#lines[this.#line]; line && line.indent >= indent; line = this.#lines[this.#line]) {
      if (line.indent > indent) throw new Unfit()
      this.#at = line.start
      this.#end = line.end
      const key = this.#key(entries)
      this.#blanks()
      if (this.#at < this.#end) {
        entries.set(key, { keyStart: line.start, value: this.#inline(depth) })
        this.#line++
      } else {
        this.#line++
        entries.set(key, { keyStart: line.start, value: this.#below(indent, depth) })
      }
    }
    return this.#counted({ kind: 'map', entries, start })
  }

  /** What stands on the lines behind `key:`. */
  #below(indent: number, depth: number): Tree {
    if (depth >= MAX_NESTING) throw new Unfit()
    const next = this.#lines[this.#line]
    if (next && next.indent === indent && this.#text[next.start] === '-') throw new Unfit()
    if (!next || next.indent <= indent) return this.#counted({ kind: 'scalar', value: null, source: '' })
    return this.#text[next.start] === '-' ? this.#blockList(next, depth + 1) : this.#blockMap(next.indent, depth + 1)
  }

  #blockList(first: Line, depth: number): Tree {
    const items: Tree[] = []
    for (let line = this.#lines[this.#line]; line && line.indent >= first.indent; line = this.#lines[this.#line]) {
      if (line.indent > first.indent || !this.#text.startsWith('- ', line.start)) throw new Unfit()
      this.#at = line.start + 1
      this.#end = line.end
      this.#blanks()
      if (this.#at >= this.#end) throw new Unfit()
      items.push(this.#inline(depth))
      this.#line++
    }
    return this.#counted({ kind: 'list', items, start: first.start })
  }

  /** A value that fills the rest of its line. */
  #inline(depth: number): Tree {
    const c = this.#text[this.#at] ?? ''
    if (c === '{' || c === '[' || c === '"' || c === "'") {
      const value = this.#flow(depth + 1)
      this.#blanks()
      if (this.#at !== this.#end) throw new Unfit()
      return value
    }
    const start = this.#at
    const source = this.#text.slice(start, this.#end)
    if (!FIRST.test(c) || source.includes(': ') || source.endsWith(':')) throw new Unfit()
    return this.#plain(source, start)
  }

  #flow(depth: number): Tree {
    if (depth >= MAX_NESTING) throw new Unfit()
    const start = this.#at
    const c = this.#text[start] ?? ''
    if (c === '"' || c === "'") return this.#quoted(c, start)
    if (c === '[') {
      const items: Tree[] = []
      this.#parts(']', () => items.push(this.#flow(depth + 1)))
      return this.#counted({ kind: 'list', items, start })
    }
    if (c === '{') {
      const entries = new Map<string, Entry>()
      this.#parts('}', () => this.#pair(entries, depth))
      return this.#counted({ kind: 'map', entries, start })
    }
    return this.#plain(this.#match(FLOW_TEXT), start)
  }

  #pair(entries: Map<string, Entry>, depth: number): void {
    const keyStart = this.#at
    const key = this.#key(entries)
    this.#blanks()
    const c = this.#text[this.#at]
    const isEmpty = c === ',' || c === '}'
    const value = isEmpty ? this.#counted({ kind: 'scalar', value: null, source: '' }) : this.#flow(depth + 1)
    entries.set(key, { keyStart, value })
  }

  /** From the opening bracket to behind the closing one. */
  #parts(close: string, readPart: () => void): void {
    this.#at++
    this.#blanks()
    if (this.#text[this.#at] === close) {
      this.#at++
      return
    }
    for (;;) {
      readPart()
      this.#blanks()
      const c = this.#at < this.#end ? this.#text[this.#at] : undefined
      this.#at++
      if (c === close) return
      if (c !== ',') throw new Unfit()
      this.#blanks()
    }
  }

  #key(entries: ReadonlyMap<string, Entry>): string {
    const key = this.#match(KEY).slice(0, -1)
    if (entries.has(key)) throw new Unfit()
    return key
  }

  #quoted(quote: string, start: number): Tree {
    const end = this.#text.indexOf(quote, start + 1)
    const value = this.#text.slice(start + 1, end)
    if (end < 0 || end >= this.#end || value === '' || value.includes('\\')) throw new Unfit()
    this.#at = end + 1
    if (!/[ ,\]}\n]|^$/.test(this.#text.charAt(this.#at))) throw new Unfit()
    return this.#counted({ kind: 'scalar', value, source: value, start, textStart: start + 1 })
  }

  #plain(source: string, start: number): Tree {
    if (/^[0-9]{1,15}$/.test(source)) return this.#counted({ kind: 'scalar', value: Number(source), source, start })
    if (/^(?:true|false)$/.test(source))
      return this.#counted({ kind: 'scalar', value: source === 'true', source, start })
    // other numbers and words that mean something
    if (/^[0-9][0-9a-fA-FxXoO_+-]*(?:\.[0-9eE_+-]*)?$|^(?:null|Null|NULL|True|TRUE|False|FALSE)$/.test(source))
      throw new Unfit()
    return this.#counted({ kind: 'scalar', value: source, source, start, textStart: start })
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    if (found === undefined || this.#at + found.length > this.#end) throw new Unfit()
    this.#at += found.length
    return found
  }

  #blanks(): void {
    while (this.#at < this.#end && this.#text[this.#at] === ' ') this.#at++
  }

  #counted(tree: Tree): Tree {
    if (++this.#count >= MAX_VALUES) throw new Unfit()
    return tree
  }
}
