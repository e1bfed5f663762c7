/** Sets and maps: which element a key meets. Hash tables, intervals, and intervals of concatenations (pipapo). */
import type { ElementAttrs } from '../../nftables/attributes.ts'
import type { VmData } from '../../nftables/attributes-expressions.ts'
import { CATCHALL, INTERVAL_END } from '../../nftables/elements.ts'
import type { ImageSet } from '../../nftables/index.ts'
import { setFlags } from '../../nftables/sets.ts'
import { all, type Bits, compareBytes, equals, isKnown, known, largest, type Maybe, within } from './bits.ts'
import { read } from './compute.ts'
import { store, whatOf } from './registers.ts'
import { commit, type Run, undecidable, type Verdict, verdictOf } from './run.ts'
import { runStateful } from './stateful.ts'
import { decodeVerdictData } from './verdicts.ts'

interface Range {
  readonly from: Uint8Array
  /** included; undefined: to the end of all values */
  readonly to: Uint8Array | undefined
  readonly element: ElementAttrs
}

interface Index {
  /** by the bytes of the key; of sets without intervals */
  readonly exact: ReadonlyMap<string, ElementAttrs>
  /** in ascending order, apart from each other; of sets with plain intervals */
  readonly ranges: readonly Range[] | undefined
  readonly elements: readonly ElementAttrs[]
  readonly catchall: ElementAttrs | undefined
  /** bytes of each field of a concatenation, without padding */
  readonly fields: readonly number[]
}

const latin1 = new TextDecoder('latin1')
const indexes = new WeakMap<ImageSet, Index>()

function indexOf(set: ImageSet, elements: readonly ElementAttrs[]): Index {
  const found = indexes.get(set)
  if (found) return found
  const { flags = 0, desc, keyLen = 0 } = set.attributes
  const isConcat = elements.some(({ keyEnd }) => keyEnd) || desc?.concat !== undefined
  const plain = elements.filter((element) => !((element.flags ?? 0) & CATCHALL))
  const index: Index = {
    exact: new Map(plain.map((element) => [latin1.decode(element.key?.value), element])),
    ranges: flags & setFlags.interval && !isConcat ? rangesOf(plain) : undefined,
    elements: plain,
    catchall: elements.find((element) => (element.flags ?? 0) & CATCHALL),
    fields: desc?.concat?.map(({ len = 4 }) => len) ?? [keyLen],
  }
  indexes.set(set, index)
  return index
}

/** Starts and ends in the order of their keys; an end at the place of a start belongs to the interval before. */
function rangesOf(elements: readonly ElementAttrs[]): Range[] {
  const isEnd = ({ flags = 0 }: ElementAttrs): boolean => (flags & INTERVAL_END) !== 0
  const keyOf = ({ key }: ElementAttrs): Uint8Array => key?.value ?? new Uint8Array(0)
  const marks = [...elements].sort((a, b) => compareBytes(keyOf(a), keyOf(b)) || Number(isEnd(b)) - Number(isEnd(a)))
  return marks.flatMap((element, i) => {
    if (isEnd(element)) return []
    const next = marks[i + 1]
    return [{ from: keyOf(element), to: next && decremented(keyOf(next)), element }]
  })
}

function decremented(bytes: Uint8Array): Uint8Array {
  const less = bytes.slice()
  for (let i = less.length - 1; i >= 0; i--) {
    const byte = less[i] ?? 0
    less[i] = (byte + 255) & 255
    if (byte > 0) break
  }
  return less
}

function inRange(key: Bits, { from, to }: Range): Maybe {
  return within(key, from, to ?? new Uint8Array(key.value.length).fill(255))
}

/** The last range that starts at or before the key. */
function rangeBefore(ranges: readonly Range[], key: Uint8Array): Range | undefined {
  let [low, high] = [0, ranges.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareBytes(ranges[middle]?.from ?? key, key) <= 0) low = middle + 1
    else high = middle
  }
  return ranges[low - 1]
}

/** Each field of a concatenation lies in its own range; without an end it is a point. */
function inFields(key: Bits, { key: from, keyEnd: to }: ElementAttrs, fields: readonly number[]): Maybe {
  const low = from?.value ?? new Uint8Array(0)
  const high = to?.value ?? low
  let at = 0
  return all(
    ...fields.map((length) => {
      const [start, end] = [at, at + length]
      at += (length + 3) & ~3
      const field = { value: key.value.subarray(start, end), unknown: key.unknown?.subarray(start, end) }
      return within(field, low.subarray(start, end), high.subarray(start, end))
    }),
  )
}

/** Elements that the key may meet, and whether it may meet none. One and false: that is the answer. */
interface Candidates {
  readonly elements: readonly ElementAttrs[]
  readonly mayMiss: boolean
}

function candidatesOf(index: Index, key: Bits): Candidates {
  const { ranges, exact, fields } = index
  if (isKnown(key)) {
    const element = ranges
      ? hit(rangeBefore(ranges, key.value), key)
      : fields.length > 1 || index.elements.some(({ keyEnd }) => keyEnd)
        ? index.elements.find((one) => inFields(key, one, fields))
        : exact.get(latin1.decode(key.value))
    return { elements: element ? [element] : [], mayMiss: !element }
  }
  const claims = ranges
    ? ranges.map((range) => [range.element, inRange(key, range)] as const)
    : index.elements.map((one) => [one, one.keyEnd ? inFields(key, one, fields) : equals(key, keyBytes(one))] as const)
  const sure = claims.find(([, claim]) => claim)
  if (sure) return { elements: [sure[0]], mayMiss: false }
  return {
    elements: claims.flatMap(([one, claim]) => (claim === false ? [] : [one])),
    mayMiss: !isCovered(ranges, key),
  }
}

const keyBytes = ({ key }: ElementAttrs): Uint8Array => key?.value ?? new Uint8Array(0)

function hit(range: Range | undefined, key: Bits): ElementAttrs | undefined {
  return range && inRange(key, range) ? range.element : undefined
}

/** Whether ranges without a gap hold every value that the key may have. */
function isCovered(ranges: readonly Range[] | undefined, key: Bits): boolean {
  const most = largest(key)
  let next: Uint8Array | undefined = key.value
  for (const { from, to } of ranges ?? []) {
    if (to && next && compareBytes(to, next) < 0) continue
    if (!next || compareBytes(from, next) > 0) return false
    if (!to || compareBytes(to, most) >= 0) return true
    next = incremented(to)
  }
  return false
}

function incremented(bytes: Uint8Array): Uint8Array {
  const more = bytes.slice()
  for (let i = more.length - 1; i >= 0; i--) {
    more[i] = ((more[i] ?? 0) + 1) & 255
    if (more[i] !== 0) break
  }
  return more
}

/** NFT_LOOKUP_F_INV */
const INVERTED = 1

export function runLookup(run: Run, { set: name = '', sreg, dreg, flags = 0 }: VmData<'lookup'>): Verdict {
  const { family, table } = run.at
  const set = run.firewall.image.set(family, table, name)
  const elements = set?.elements()
  if (!set || !elements) return undecidable(run, `the set ${name}`)
  const length = set.attributes.keyLen ?? 0
  const key = read(run, sreg, length)
  const index = indexOf(set, elements)
  const { elements: met, mayMiss } = candidatesOf(index, key)
  const what = whatOf(run.registers, sreg, length) ?? `the set ${name}`
  const possible = mayMiss ? [...met, index.catchall] : met
  if (dreg === undefined) return isIn(run, possible, (flags & INVERTED) !== 0, what)
  const choices = distinct(possible)
  // a map is asked for something to be done with it: no use in going on with all of them at once
  if (choices.length > 1 && !commit(run)) return 'break'
  const element = choices[choices.length > 1 ? run.choose(choices.length, { rule: run.at, what }) : 0]
  if (!element) return 'break'
  const state = runElementState(run, element)
  return state === 'continue' ? takeData(run, dreg, element, what) : state
}

function isIn(run: Run, possible: readonly (ElementAttrs | undefined)[], isInverted: boolean, what: string): Verdict {
  const [only] = possible
  const isSure = possible.every((element) => (element === undefined) === (only === undefined))
  const claim = isSure ? (only !== undefined) !== isInverted : undefined
  const verdict = verdictOf(run, claim, what)
  return verdict === 'continue' && possible.length === 1 && only ? runElementState(run, only) : verdict
}

/** Elements that give the same count once. */
function distinct(elements: readonly (ElementAttrs | undefined)[]): (ElementAttrs | undefined)[] {
  const keyOf = (element: ElementAttrs | undefined): string => {
    const { verdict, value } = element?.data ?? {}
    return element ? `${verdict?.code} ${verdict?.chain} ${latin1.decode(value)}` : ''
  }
  return [...new Map(elements.map((element) => [keyOf(element), element])).values()]
}

function runElementState(run: Run, { expr, expressions }: ElementAttrs): Verdict {
  for (const vm of expr ? [expr] : (expressions ?? [])) {
    const verdict = runStateful(run, vm)
    if (verdict !== 'continue') return verdict
  }
  return 'continue'
}

function takeData(run: Run, dreg: number, { data }: ElementAttrs, what: string): Verdict {
  if (data?.verdict) return commit(run) ? decodeVerdictData(run, data.verdict) : 'break'
  const isStored = data?.value && store(run.registers, dreg, known(data.value), what)
  return isStored ? 'continue' : undecidable(run, what)
}
