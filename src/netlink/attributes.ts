/**
 * Attribute tables. `attrs({ mtu: [4, u32], … })` is the only place that knows an attribute's number; types and codec
 * both come from it. Attributes are written in the order of the value's own keys, so a caller decides the bytes.
 */
import { align, type Reader, type Writer } from './buffer.ts'
import { type Codec, type Infer, text } from './codec.ts'

const NLA_F_NESTED = 0x8000
/** The two top bits are flags (nested, network byte order), the rest is the type; linux/netlink.h. */
const NLA_TYPE_MASK = 0x3fff
const HEADER = 4

// biome-ignore lint/suspicious/noExplicitAny: a table holds codecs of many types; each field's type is inferred
type AnyCodec = Codec<any>

export type Fields = Readonly<Record<string, readonly [type: number, codec: AnyCodec]>>

/** What a table describes: every attribute optional, since every attribute is optional on the wire. */
export type Values<F extends Fields> = { -readonly [K in keyof F]?: Infer<F[K][1]> }

export interface Table<F extends Fields = Fields> extends Codec<Values<F>> {
  readonly fields: F
  /** the name of attribute `type`, for error messages */
  readonly nameOf: (type: number) => string | undefined
}

/** Writes one attribute: header, payload by `write`, padding. */
export function writeAttribute(to: Writer, type: number, write: () => void): void {
  const at = to.length
  to.u16(0)
  to.u16(type)
  write()
  to.setU16(at, to.length - at)
  to.pad()
}

/** Calls `visit` for each attribute. A length that does not fit ends the walk: the kernel does the same. */
export function eachAttribute(from: Reader, visit: (type: number, payload: Reader) => void): void {
  let at = 0
  while (at + HEADER <= from.length) {
    const length = from.u16(at)
    if (length < HEADER || at + length > from.length) return
    visit(from.u16(at + 2) & NLA_TYPE_MASK, from.slice(at + HEADER, at + length))
    at += align(length)
  }
}

/** The codec of a list of attributes. Unknown ones are skipped when read; undefined values are not written. */
export function attrs<const F extends Fields>(fields: F): Table<F> {
  const byType = new Map(Object.entries(fields).map(([name, [type, codec]]) => [type, { name, codec }]))
  return {
    fields,
    nameOf: (type) => byType.get(type)?.name,
    encode: (values, to) => {
      for (const name in values) {
        const value = values[name]
        const field = fields[name]
        if (value === undefined || !field) continue
        const [type, codec] = field
        writeAttribute(to, codec.isNested ? type | NLA_F_NESTED : type, () => codec.encode(value, to))
      }
    },
    decode: (from) => {
      const values: Record<string, unknown> = {}
      eachAttribute(from, (type, payload) => {
        const field = byType.get(type)
        if (field) values[field.name] = field.codec.decode(payload)
      })
      return values as Values<F>
    },
  }
}

/** The same codec with NLA_F_NESTED set on its attribute. */
export function nested<T>(codec: Codec<T>): Codec<T> {
  return { ...codec, isNested: true }
}

/**
 * A nested list of one shape. `type` is the attribute type of each element, or `index` for 1, 2, 3 …
 * (the kernel's NLA_NESTED_ARRAY).
 */
export function list<T>(element: Codec<T>, type: number | 'index' = 'index'): Codec<T[]> {
  return {
    encode: (values, to) => {
      for (const [i, value] of values.entries()) {
        const number = type === 'index' ? i + 1 : type
        writeAttribute(to, element.isNested ? number | NLA_F_NESTED : number, () => element.encode(value, to))
      }
    },
    decode: (from) => {
      const values: T[] = []
      eachAttribute(from, (_, payload) => values.push(element.decode(payload)))
      return values
    },
  }
}

/** A value of which `kind` names the shape of `data`: a link's info, an nf_tables expression, a qdisc's options. */
export type Tagged<C extends Readonly<Record<string, AnyCodec>>> =
  | { [K in keyof C]: { kind: K; data?: Infer<C[K]> } }[keyof C]
  | { kind: string & {}; raw: Uint8Array }

/**
 * A nested pair of attributes, name then data, where the name chooses the codec of the data.
 * A name that is not in `kinds` keeps its data as raw bytes.
 */
export function tagged<const C extends Readonly<Record<string, AnyCodec>>>(
  kinds: C,
  numbers: { readonly kind: number; readonly data: number },
  options: { readonly nestedData?: boolean; readonly name?: Codec<string> } = {},
): Codec<Tagged<C>> {
  const name = options.name ?? text
  const dataType = options.nestedData ? numbers.data | NLA_F_NESTED : numbers.data
  return {
    encode: (value, to) => {
      writeAttribute(to, numbers.kind, () => name.encode(value.kind as string, to))
      if ('raw' in value) {
        writeAttribute(to, dataType, () => to.raw(value.raw))
      } else if (value.data !== undefined) {
        writeAttribute(to, dataType, () => kinds[value.kind]?.encode(value.data, to))
      }
    },
    decode: (from) => {
      let kind = ''
      let data: Reader | undefined
      eachAttribute(from, (type, payload) => {
        if (type === numbers.kind) kind = payload.text()
        if (type === numbers.data) data = payload
      })
      const codec = kinds[kind]
      if (codec) return (data ? { kind, data: codec.decode(data) } : { kind }) as Tagged<C>
      return { kind, raw: data?.copy() ?? new Uint8Array(0) }
    },
  }
}
