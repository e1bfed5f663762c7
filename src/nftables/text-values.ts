/** Values, keys and names as nft text. Pure. */
import { type DataType, typeOf } from './datatypes.ts'
import type { Key, Value } from './expression.ts'
import type { TypeName } from './objects.ts'

/** Text in double quotes. nft knows no escape: a quote inside cannot be said, and would end the string. */
export function quote(text: string): string {
  return `"${text.replaceAll('"', "'").replaceAll('\n', ' ')}"`
}

/**
 * A name of a table, chain or set. nft has no way to say other names than plain words, nor its own keywords (`fwd`): a
 * quoted one is refused by nft, which is better than running on as something else.
 */
export function name(text: string): string {
  return /^[A-Za-z_][\w./-]*$/.test(text) ? text : quote(text)
}

export function renderValue(type: DataType | undefined, value: Value): string {
  if (typeof value === 'number') return type?.isHex ? `0x${value.toString(16)}` : String(value)
  if (type?.form === 'name') return quote(value)
  if (type?.isBitmask && value.includes('|')) return `(${value.split('|').join(' | ')})`
  return value
}

export function renderKey(types: readonly TypeName[] | undefined, key: Key): string {
  const parts = typeof key === 'object' ? key : [key]
  return parts
    .map((part, i) => {
      const type = types?.[i]
      return renderValue(type && typeOf(type), part)
    })
    .join(' . ')
}

/** ms in nft's units: `1h30m`, `10s`, `500ms` */
export function renderTime(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
    ['ms', 1],
  ] as const
  let rest = ms
  let text = ''
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size)
    if (count) text += `${count}${unit}`
    rest -= count * size
  }
  return text || '0s'
}
