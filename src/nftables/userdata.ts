/** The notes that nft keeps on objects: type, length, value, of a byte, a byte and up to 255 bytes. libnftnl udata.h. Pure. */
import { decodeText } from './datatypes.ts'

export interface Tlv {
  readonly type: number
  readonly value: Uint8Array
}

/** NFTNL_UDATA_*_COMMENT: the same for tables, chains, rules and elements; sets number it otherwise */
export const COMMENT = 0
export const SET_COMMENT = 7

/** nft's bound on the text of a comment, in bytes */
export const COMMENT_BYTES = 128

export function writeTlvs(tlvs: readonly Tlv[]): Uint8Array {
  const bytes = new Uint8Array(tlvs.reduce((sum, { value }) => sum + 2 + value.length, 0))
  let at = 0
  for (const { type, value } of tlvs) {
    bytes[at] = type
    bytes[at + 1] = value.length
    bytes.set(value, at + 2)
    at += 2 + value.length
  }
  return bytes
}

/** What can be read of it; other programs put other things here. */
export function readTlvs(bytes: Uint8Array): Tlv[] {
  const tlvs: Tlv[] = []
  for (let at = 0; at + 2 <= bytes.length; ) {
    const [type = 0, length = 0] = bytes.subarray(at, at + 2)
    if (at + 2 + length > bytes.length) break
    tlvs.push({ type, value: bytes.slice(at + 2, at + 2 + length) })
    at += 2 + length
  }
  return tlvs
}

/** A text with its closing NUL. Throws RangeError when it is too long for nft to show. */
export function commentTlv(comment: string, type = COMMENT): Tlv {
  const text = new TextEncoder().encode(comment)
  if (text.length > COMMENT_BYTES) throw new RangeError(`a comment has at most ${COMMENT_BYTES} bytes: ${comment}`)
  if (text.includes(0)) throw new RangeError('a comment cannot hold a NUL')
  const value = new Uint8Array(text.length + 1)
  value.set(text)
  return { type, value }
}

export function commentData(comment: string): Uint8Array {
  return writeTlvs([commentTlv(comment)])
}

export function readComment(bytes: Uint8Array | undefined, type = COMMENT): string | undefined {
  const value = bytes && readTlvs(bytes).find((tlv) => tlv.type === type)?.value
  return value && value.at(-1) === 0 ? decodeText(value.subarray(0, -1)) : undefined
}

/** A 32-bit number in host order. */
export function numberTlv(type: number, value: number): Tlv {
  return { type, value: Uint8Array.of(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24) }
}
