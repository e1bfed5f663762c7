/** The Internet checksum, RFC 1071. */

/**
 * The one's complement of the one's complement sum of all 16-bit words, in network byte order; an odd last byte counts
 * as the high half of a word. Over data that holds its own checksum the result is 0 when that is right.
 */
export function internetChecksum(bytes: Uint8Array): number {
  let sum = 0
  const even = bytes.length & ~1
  for (let i = 0; i < even; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)
  if (even < bytes.length) sum += (bytes[even] ?? 0) << 8
  // a packet has at most 2^15 words, so the sum stays far below 2^53 and two folds are enough below 2^32
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000)
  return ~sum & 0xffff
}
