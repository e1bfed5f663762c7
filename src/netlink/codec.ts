/**
 * Codecs of single values: the right-hand side of an attribute table. A codec knows one shape in both directions;
 * `Infer` gives its TypeScript type.
 */
import { formatAddress, parseAddress } from '../ip/index.ts'
import type { Reader, Writer } from './buffer.ts'

export interface Codec<T> {
  readonly encode: (value: T, to: Writer) => void
  readonly decode: (from: Reader) => T
  /** set NLA_F_NESTED on the attribute, as newer kernel interfaces ask */
  readonly isNested?: boolean
}

export type Infer<C> = C extends Codec<infer T> ? T : never

export function codec<T>(encode: Codec<T>['encode'], decode: Codec<T>['decode']): Codec<T> {
  return { encode, decode }
}

export const u8 = codec<number>(
  (v, w) => w.u8(v),
  (r) => r.u8(),
)
export const u16 = codec<number>(
  (v, w) => w.u16(v),
  (r) => r.u16(),
)
export const u32 = codec<number>(
  (v, w) => w.u32(v),
  (r) => r.u32(),
)
export const s32 = codec<number>(
  (v, w) => w.s32(v),
  (r) => r.s32(),
)
export const u64 = codec<bigint>(
  (v, w) => w.u64(v),
  (r) => r.u64(),
)
/** 16, 32 and 64 bits in network byte order */
export const be16 = codec<number>(
  (v, w) => w.u16(v, false),
  (r) => r.u16(0, false),
)
export const be32 = codec<number>(
  (v, w) => w.u32(v, false),
  (r) => r.u32(0, false),
)
export const be64 = codec<bigint>(
  (v, w) => w.u64(v, false),
  (r) => r.u64(0, false),
)
/** text with a closing NUL */
export const str = codec<string>(
  (v, w) => {
    w.text(v)
    w.u8(0)
  },
  (r) => r.text(),
)
/** text without a closing NUL */
export const text = codec<string>(
  (v, w) => w.text(v),
  (r) => r.text(),
)
export const bytes = codec<Uint8Array>(
  (v, w) => w.raw(v),
  (r) => r.copy(),
)
/** an attribute that says something by being there */
export const flag = codec<true>(
  () => {},
  () => true,
)
/** every byte as two hexadecimal digits: a list of a thousand links has several thousand addresses */
const octets = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** a link-layer address, `06:96:1e:62:50:e7` */
export const mac = codec<string>(
  (v, w) => w.raw(Uint8Array.from(v.split(':'), (part) => Number.parseInt(part, 16))),
  (r) => {
    let address = ''
    for (const byte of r.bytes) address += address === '' ? octets[byte] : `:${octets[byte]}`
    return address
  },
)
/** an IPv4 or IPv6 address as canonical text */
export const ip = codec<string>(
  (v, w) => {
    const address = parseAddress(v)
    if (!address) throw new RangeError(`not an address: ${v}`)
    w.raw(address)
  },
  (r) => (r.length === 4 || r.length === 16 ? formatAddress(r.bytes) : ''),
)

/** A number by name, where the kernel numbers a fixed list; unknown numbers stay readable as `#7`. */
export function named<N extends string>(base: Codec<number>, names: Readonly<Record<N, number>>): Codec<N> {
  const byNumber = new Map<number, N>()
  for (const name in names) byNumber.set(names[name], name)
  return codec<N>(
    (v, w) => base.encode(v.startsWith('#') ? Number(v.slice(1)) : names[v], w),
    (r) => {
      const number = base.decode(r)
      return byNumber.get(number) ?? (`#${number}` as N)
    },
  )
}

/** Set bits by name, in the order of the table; bits without a name are dropped when read. */
export function bits<N extends string>(base: Codec<number>, names: Readonly<Record<N, number>>): Codec<N[]> {
  return codec<N[]>(
    (v, w) => base.encode(v.reduce((sum, name) => sum | names[name], 0) >>> 0, w),
    (r) => {
      const set = base.decode(r)
      return (Object.keys(names) as N[]).filter((name) => (set & names[name]) !== 0)
    },
  )
}
