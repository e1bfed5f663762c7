/** The promise that nothing remains: this host before and after the tests, compared. */
import { takeSnapshot } from './snapshot.mjs'

/** @typedef {import('./snapshot.mjs').Snapshot} Snapshot */

/**
 * What is different now. The kernel takes namespaces and their links away some time after it was told to, so that a
 * difference counts only when it stays.
 * @param {Snapshot} before
 * @param {number} [patience] milliseconds
 * @returns {Promise<string[]>} lines that begin with `+` for what was left and `-` for what is gone
 */
export async function findLeaks(before, patience = 4000) {
  const end = performance.now() + patience
  for (;;) {
    const leaks = compare(before, takeSnapshot())
    if (leaks.length === 0 || performance.now() > end) return leaks
    await new Promise((done) => setTimeout(done, 200))
  }
}

/** @param {Snapshot} before @param {Snapshot} after */
export function compare(before, after) {
  return [...before].flatMap(([part, old]) => {
    const now = after.get(part) ?? []
    const [gone, left] = [without(old, now), without(now, old)]
    // a sysctl that was not there before belongs to a device or module that was not there; only changes count
    const keys = part === 'sysctl' ? new Set(old.map(key)) : undefined
    return [
      ...gone.map((line) => `- ${part}: ${line}`),
      ...left.filter((line) => keys?.has(key(line)) ?? true).map((line) => `+ ${part}: ${line}`),
    ]
  })
}

/** @param {string} line */
function key(line) {
  return line.split(' = ')[0]
}

/** Lines of one list that the other does not have, or not as often. @param {string[]} lines @param {string[]} others */
function without(lines, others) {
  /** @type {Map<string, number>} */
  const count = new Map()
  for (const line of others) count.set(line, (count.get(line) ?? 0) + 1)
  return lines.filter((line) => {
    const left = count.get(line) ?? 0
    count.set(line, left - 1)
    return left <= 0
  })
}
