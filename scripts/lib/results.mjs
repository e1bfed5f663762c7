/** What the two test runners report, brought into one shape. */
import { readFileSync } from 'node:fs'

/**
 * @typedef {{ name: string, result: 'passed' | 'failed' | 'skipped', reason?: string }} TestResult
 */

/** The lines of scripts/lib/node-reporter.mjs. @param {string} file @returns {TestResult[]} */
export function readNodeResults(file) {
  return readLines(file).map((line) => JSON.parse(line))
}

/**
 * The JUnit file that `bun test` writes. It has no reasons for skipped tests; those come from the lines that
 * test/support/need.ts left: one that was asked for within the test's own lines, or else any of the file's.
 * @param {string} file
 * @param {string} skips
 * @returns {TestResult[]}
 */
export function readBunResults(file, skips) {
  /** @type {{ line: number, reason: string }[]} */
  const reasons = readLines(skips).map((line) => JSON.parse(line))
  const any = [...new Set(reasons.map(({ reason }) => reason))].join('; ')
  // a test that passed is an empty element; the others hold what happened
  const cases = [...read(file).matchAll(/<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)].map(
    ([, attributes = '', body = '']) => ({ attributes, body, line: Number(attribute(attributes, 'line')) }),
  )
  return cases.map(({ attributes, body, line }) => {
    const [group, title] = [attribute(attributes, 'classname'), attribute(attributes, 'name')]
    const name = group ? `${group} > ${title}` : title
    if (body.includes('<failure')) return { name, result: 'failed' }
    if (!body.includes('<skipped')) return { name, result: 'passed' }
    const next = Math.min(...cases.map((other) => other.line).filter((other) => other > line))
    const reason = reasons.find((entry) => entry.line >= line && entry.line < next)?.reason ?? any
    return { name, result: 'skipped', ...(reason && { reason }) }
  })
}

/** @param {string} attributes @param {string} name */
function attribute(attributes, name) {
  const text = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1] ?? ''
  return text.replace(/&(#x?[0-9a-f]+|\w+);/gi, (whole, code) => {
    if (code.startsWith('#x')) return String.fromCodePoint(Number.parseInt(code.slice(2), 16))
    if (code.startsWith('#')) return String.fromCodePoint(Number(code.slice(1)))
    return { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }[String(code)] ?? whole
  })
}

/** @param {string} file */
function readLines(file) {
  return read(file).split('\n').filter(Boolean)
}

/** @param {string} file the text, or nothing when the runner died before it wrote */
function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
