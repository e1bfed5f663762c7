/** A filter as a tree, from the common part of tcpdump's language; pcap-filter(7). Pure. */
import type { Family } from '../../ip/index.ts'
import { parseValue, type Qualifiers } from './filter-values.ts'
import {
  etherTypes,
  FilterError,
  ipProtocols,
  otherWords,
  protocolWords,
  splitWords,
  typeWords,
  unsupported,
  type Word,
} from './filter-words.ts'

export { FilterError } from './filter-words.ts'

export type Direction = 'src' | 'dst' | 'src or dst' | 'src and dst'
export type EtherProtocol = keyof typeof etherTypes

export type Filter =
  | { readonly kind: 'and' | 'or'; readonly left: Filter; readonly right: Filter }
  | { readonly kind: 'not'; readonly of: Filter }
  | { readonly kind: 'ethertype'; readonly type: number }
  /** a protocol over IP, in both families where none is given */
  | { readonly kind: 'protocol'; readonly number: number; readonly family?: Family }
  | {
      readonly kind: 'address'
      readonly direction: Direction
      readonly address: Uint8Array
      /** prefix length */
      readonly length: number
      /** only in this; otherwise wherever such an address stands */
      readonly within?: EtherProtocol
    }
  | { readonly kind: 'mac'; readonly direction: Direction; readonly mac: Uint8Array }
  | {
      readonly kind: 'ports'
      readonly direction: Direction
      readonly first: number
      readonly last: number
      /** TCP, UDP and SCTP where none is given */
      readonly protocol?: number
    }
  /** bytes, link header included */
  | { readonly kind: 'length'; readonly atMost: boolean; readonly bytes: number }
  | { readonly kind: 'broadcast' }
  | { readonly kind: 'multicast'; readonly of: 'ether' | 'ip' | 'ip6' }

const allWords = [...protocolWords, ...typeWords, ...otherWords]
const directions = new Set(['src', 'dst'])

/** Parses a filter; undefined for an empty one. Throws FilterError. */
export function parseFilter(filter: string): Filter | undefined {
  const words = splitWords(filter)
  if (words.length === 0) return undefined
  let next = 0
  /** what `port 80 or 443` leaves out the second time */
  let last: Qualifiers = {}

  const end: Word = { text: '', at: filter.trimEnd().length }
  const peek = (ahead = 0): string => words[next + ahead]?.text ?? ''
  const take = (): Word => words[next++] ?? end
  const fail = (word: Word, message: string, hint: string, candidates?: readonly string[]): never => {
    throw new FilterError(message, { filter, at: word.at, length: Math.max(1, word.text.length) }, hint, candidates)
  }

  /** `and` and `or` bind alike, from left to right */
  const expression = (): Filter => {
    let left = term()
    while (peek() === 'and' || peek() === 'or') {
      const kind = take().text === 'and' ? 'and' : 'or'
      left = { kind, left, right: term() }
    }
    return left
  }

  const inParentheses = (inside: () => Filter): Filter => {
    const opening = take()
    const result = inside()
    if (peek() !== ')') {
      const found = words[next]
      if (!found) return fail(opening, 'this parenthesis is not closed', 'add ) at the end')
      return fail(found, `${found.text} cannot follow here`, 'join conditions with and, or; close the parenthesis')
    }
    take()
    return result
  }

  const term = (): Filter => {
    if (peek() === 'not') {
      take()
      return { kind: 'not', of: term() }
    }
    if (peek() === '(') return inParentheses(expression)
    return primitive()
  }

  const direction = (): Direction | undefined => {
    if (!directions.has(peek())) return undefined
    const first = take().text as 'src' | 'dst'
    const joint = peek()
    if ((joint !== 'or' && joint !== 'and') || !directions.has(peek(1)) || peek(1) === first) return first
    next += 2
    return joint === 'or' ? 'src or dst' : 'src and dst'
  }

  /** A protocol alone, where no more words qualify it. */
  const alone = (word: string): Filter | undefined => {
    if (word === 'ether') return undefined
    if (Object.hasOwn(etherTypes, word)) return { kind: 'ethertype', type: etherTypes[word as EtherProtocol] }
    const number = ipProtocols[word] ?? 0
    if (word === 'icmp' || word === 'igmp') return { kind: 'protocol', number, family: 4 }
    return { kind: 'protocol', number, ...(word === 'icmp6' ? { family: 6 as const } : {}) }
  }

  /** Whether more words belong to the protocol before: a word misspelt is none of them. */
  const isQualified = (): boolean => {
    const word = peek()
    return directions.has(word) || typeWords.includes(word) || /[\d.:]/.test(word)
  }

  const primitive = (): Filter => {
    const first = words[next] ?? end
    if (first.text === 'less' || first.text === 'greater') return length()
    const protocol = protocolWords.includes(first.text) ? take().text : undefined
    if (peek() === 'broadcast' || peek() === 'multicast') return many(protocol)
    if (protocol !== undefined && !isQualified()) {
      const whole = alone(protocol)
      if (!whole) return fail(words[next] ?? end, 'ether wants more', 'ether host MAC, ether src MAC, ether proto arp')
      last = {}
      return whole
    }
    const towards = direction()
    const type = typeWords.includes(peek()) ? take().text : undefined
    if (protocol !== undefined || towards !== undefined || type !== undefined) {
      last = {
        word: first,
        ...(protocol === undefined ? {} : { protocol }),
        ...(towards === undefined ? {} : { direction: towards }),
        ...(type === undefined ? {} : { type }),
      }
    } else checkWord(first)
    return peek() === '(' ? inParentheses(values) : value()
  }

  /** `port (80 or 443)` */
  const values = (): Filter => {
    let left = valueTerm()
    while (peek() === 'and' || peek() === 'or') {
      const kind = take().text === 'and' ? 'and' : 'or'
      left = { kind, left, right: valueTerm() }
    }
    return left
  }
  const valueTerm = (): Filter => {
    if (peek() === '(') return inParentheses(values)
    if (peek() !== 'not') return value()
    take()
    return { kind: 'not', of: valueTerm() }
  }

  const value = (): Filter => {
    const word = take()
    // `net 10.0.0.0 mask 255.0.0.0`
    const mask = peek() === 'mask' ? words[next + 1] : undefined
    if (mask) next += 2
    return parseValue(word, mask, last, fail)
  }

  /** A word that begins a primitive and is none of the language. */
  const checkWord = (word: Word): void => {
    const instead = unsupported[word.text]
    if (instead !== undefined) fail(word, `hardway's filter does not have ${word.text}`, instead)
    if (word.text === '' || isReserved(word.text)) {
      const what = word.text === '' ? 'the filter ends where a condition is wanted' : `${word.text} stands alone`
      fail(word, what, 'a condition is a protocol (tcp), or like port 80, host 10.0.0.1, net 10.0.0.0/8')
    }
    if (/[[\]=<>&|]/.test(word.text)) {
      fail(word, 'comparisons of bytes are not in this filter', 'capture more, or use tcpdump inside: hardway exec')
    }
    // what has no digit, colon or dot is no value, but a word misspelt
    if (/^[a-z_-]+$/i.test(word.text) && last.type === undefined) {
      fail(word, `${word.text} is no word of the filter language`, `the words are: ${allWords.join(' ')}`, allWords)
    }
  }

  const length = (): Filter => {
    const word = take()
    const number = take()
    if (!/^\d+$/.test(number.text)) fail(number, `${word.text} wants a number of bytes`, `${word.text} 128`)
    return { kind: 'length', atMost: word.text === 'less', bytes: Number(number.text) }
  }

  const many = (protocol: string | undefined): Filter => {
    const word = take()
    const of = protocol ?? 'ether'
    if (word.text === 'broadcast' && of === 'ether') return { kind: 'broadcast' }
    if (word.text === 'multicast' && (of === 'ether' || of === 'ip' || of === 'ip6')) return { kind: 'multicast', of }
    return fail(word, `${of} has no ${word.text}`, 'ether broadcast, ether multicast, ip multicast, ip6 multicast')
  }

  const result = expression()
  const rest = words[next]
  if (rest?.text === ')') fail(rest, 'this parenthesis was never opened', 'take it away, or add ( before')
  if (rest) {
    const candidates = isReserved(rest.text) ? [] : allWords
    fail(rest, `${rest.text} cannot follow here`, 'join conditions with and, or', candidates)
  }
  return result
}

function isReserved(word: string): boolean {
  return word === '(' || word === ')' || allWords.includes(word)
}
