/** Bytes of which some bits may be unknown. Pure. */

export interface Bits {
  readonly value: Uint8Array
  /** set bits are unknown, and clear in `value`; absent: all is known */
  readonly unknown?: Uint8Array | undefined
}

/** `undefined`: not known */
export type Maybe = boolean | undefined

export function known(value: Uint8Array): Bits {
  return { value }
}

export function unknownBits(length: number): Bits {
  return { value: new Uint8Array(length), unknown: new Uint8Array(length).fill(255) }
}

/** A number in the byte order of the machine, as metadata is kept. */
export function hostNumber(number: number, length: 1 | 2 | 4 | 8): Uint8Array {
  const value = new Uint8Array(length)
  for (let i = 0, rest = number; i < length; i++, rest = Math.floor(rest / 256)) value[i] = rest % 256
  return value
}

export function networkNumber(number: number, length: 1 | 2 | 4): Uint8Array {
  return hostNumber(number, length).reverse()
}

export function readNetwork(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0)
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference) return difference
  }
  return 0
}

/** Whether every bit is known. */
export function isKnown(bits: Bits): boolean {
  return !bits.unknown || bits.unknown.every((byte) => byte === 0)
}

/** The largest value that the bits may have; `value` is the smallest. */
export function largest({ value, unknown }: Bits): Uint8Array {
  return unknown ? value.map((byte, i) => byte | (unknown[i] ?? 0)) : value
}

/** Whether the bits equal the bytes. */
export function equals({ value, unknown }: Bits, bytes: Uint8Array): Maybe {
  let isSure = true
  for (let i = 0; i < value.length; i++) {
    const free = unknown?.[i] ?? 0
    if (((value[i] ?? 0) ^ (bytes[i] ?? 0)) & ~free & 255) return false
    if (free) isSure = false
  }
  return isSure || undefined
}

/** Whether the bits lie between the two, both included, as memcmp(3) orders them. */
export function within(bits: Bits, from: Uint8Array, to: Uint8Array): Maybe {
  const most = largest(bits)
  if (compareBytes(most, from) < 0 || compareBytes(bits.value, to) > 0) return false
  if (compareBytes(bits.value, from) >= 0 && compareBytes(most, to) <= 0) return true
  return undefined
}

/** Whether the bits are less than the bytes. */
export function isLess(bits: Bits, than: Uint8Array): Maybe {
  if (compareBytes(largest(bits), than) < 0) return true
  return compareBytes(bits.value, than) >= 0 ? false : undefined
}

export function not(claim: Maybe): Maybe {
  return claim === undefined ? undefined : !claim
}

export function all(...claims: readonly Maybe[]): Maybe {
  if (claims.includes(false)) return false
  return claims.includes(undefined) ? undefined : true
}

export function any(...claims: readonly Maybe[]): Maybe {
  return not(all(...claims.map(not)))
}

/** The claim, or its opposite. */
export function flip(claim: Maybe, isInverted: boolean): Maybe {
  return isInverted ? not(claim) : claim
}
