/** Fixed headers: C structs of plain integers, declared as a list of fields in order. */
import type { Reader, Writer } from './buffer.ts'

const sizes = { u8: 1, u16: 2, be16: 2, u32: 4, s32: 4, u64: 8 } as const
type FieldType = keyof typeof sizes

export type StructFields = Readonly<Record<string, FieldType>>
type NumberOf<T extends FieldType> = T extends 'u64' ? bigint : number

/** Names that begin with `_` are padding: written as zero and never read. */
export type StructValue<F extends StructFields> = {
  -readonly [K in keyof F as K extends `_${string}` ? never : K]: NumberOf<F[K]>
}

export interface Struct<F extends StructFields = StructFields> {
  /** bytes */
  readonly size: number
  /** fields left out are zero */
  readonly encode: (value: Partial<StructValue<F>>, to: Writer) => void
  readonly decode: (from: Reader) => StructValue<F>
}

/** `struct({ family: 'u8', _pad: 'u8', type: 'u16', index: 's32' })`. Write padding out: nothing is aligned here. */
export function struct<const F extends StructFields>(fields: F): Struct<F> {
  const entries = Object.entries(fields)
  return {
    size: entries.reduce((sum, [, type]) => sum + sizes[type], 0),
    encode: (value, to) => {
      const values = value as Record<string, number | bigint | undefined>
      for (const [name, type] of entries) {
        if (type === 'u64') to.u64(BigInt(values[name] ?? 0))
        else if (type === 'be16') to.u16(Number(values[name] ?? 0), false)
        else to[type](Number(values[name] ?? 0))
      }
    },
    decode: (from) => {
      const value: Record<string, number | bigint> = {}
      let at = 0
      for (const [name, type] of entries) {
        if (!name.startsWith('_')) value[name] = type === 'be16' ? from.u16(at, false) : from[type](at)
        at += sizes[type]
      }
      return value as StructValue<F>
    },
  }
}
