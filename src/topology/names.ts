/** Names: the nearest one to a misspelt one, and short ones made from long ones. Pure. */

const encoder = new TextEncoder()

/** Length in bytes, which is what the kernel counts. */
export function byteLength(text: string): number {
  return encoder.encode(text).length
}

/** IFNAMSIZ is 16 with the closing zero byte (linux/if.h). */
export const MAX_INTERFACE_NAME = 15

/**
 * The candidate that a person most likely meant, or undefined when none is near. Distance counts insertions,
 * deletions, substitutions and swaps of neighbours; up to a third of the word may be wrong.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const lower = word.toLowerCase()
  const limit = Math.max(1, Math.floor(word.length / 3))
  let best: string | undefined
  let bestDistance = limit + 1
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue
    const d = distance(lower, candidate.toLowerCase(), bestDistance)
    if (d < bestDistance) [best, bestDistance] = [candidate, d]
  }
  return best
}

/** Optimal string alignment distance; gives up with `limit` once it cannot be below it. */
function distance(a: string, b: string, limit: number): number {
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    let least = i
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let d = Math.min((above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (above[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) d = Math.min(d, (before[j - 2] ?? 0) + 1)
      row.push(d)
      least = Math.min(least, d)
    }
    if (least >= limit) return limit
    before = above
    above = row
  }
  return above[b.length] ?? limit
}

/** Four base-32 digits that depend on every character (FNV-1a). Stable: names made with it survive a new version. */
export function shortHash(text: string): string {
  let h = 0x811c9dc5
  for (const byte of encoder.encode(text)) h = Math.imul(h ^ byte, 0x01000193)
  return (h >>> 0).toString(32).padStart(7, '0').slice(-4)
}

/** At most `bytes` bytes from the front, never half a character. */
function headOf(text: string, bytes: number): string {
  let head = ''
  let used = 0
  for (const character of text) {
    used += byteLength(character)
    if (used > bytes) break
    head += character
  }
  return head
}

/**
 * An interface name of at most 15 bytes that is not taken: the wish itself if it fits, else its head and a hash of
 * the whole, so that the same file always gives the same names.
 */
export function interfaceNameFor(wish: string, isTaken: (name: string) => boolean): string {
  if (byteLength(wish) <= MAX_INTERFACE_NAME && !isTaken(wish)) return wish
  for (let salt = 0; ; salt++) {
    const hash = shortHash(salt === 0 ? wish : `${wish}#${salt}`)
    const name = `${headOf(wish, MAX_INTERFACE_NAME - hash.length - 1)}-${hash}`
    if (!isTaken(name)) return name
  }
}
