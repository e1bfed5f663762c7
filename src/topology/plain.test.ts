/** The fast reader answers what the library answers, or nothing. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { readPlain } from './plain.ts'
import type { Tree } from './tree.ts'
import { readYaml } from './yaml.ts'

const up = import.meta.url.includes('/dist/js/') ? '../../../../' : '../../'
const folder = new URL(`${up}labs/`, import.meta.url)
const labs = readdirSync(folder)
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => readFileSync(new URL(name, folder), 'utf8'))

/** Without the place of what is not there. */
function shown(tree: Tree | undefined): unknown {
  if (tree?.kind === 'map')
    return { ...tree, entries: [...tree.entries].map(([k, e]) => [k, e.keyStart, shown(e.value)]) }
  if (tree?.kind === 'list') return { ...tree, items: tree.items.map(shown) }
  return tree?.source === '' ? { ...tree, start: 0 } : tree
}

function compare(text: string, note: string): boolean {
  const fast = readPlain(text)
  if (!fast) return false
  const slow = readYaml(text, () => undefined)
  assert.ok(slow.problems.isEmpty, `${note}: ${JSON.stringify(text)} ${JSON.stringify(slow.problems.sorted())}`)
  assert.deepEqual(shown(fast), shown(slow.tree), `${note}: ${JSON.stringify(text)}`)
  return true
}

test('the labs are read the fast way, with the same trees', () => {
  for (const text of labs.slice(0, 4)) assert.ok(compare(text, 'lab'), text)
})

test('mutated labs: the same trees, or left to the library', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9)
  let state = seed
  const random = (n: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return (state >>> 8) % n
  }
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    ': ',
    ':',
    '- ',
    '-',
    '\n',
    '\n  ',
    ' ',
    '#',
    ' #',
    '"',
    "'",
    ',',
    '0x1',
    '1e3',
    '1.5',
    'null',
    'true',
    '~',
    '?',
    '|',
    '>',
    '&a',
    '*a',
    '!',
    '%',
    '...',
    '---',
    '.',
    '\\',
    '<<: ',
    '::1',
    '=',
    'a b',
    '007',
    '1_0',
    '/',
    '@',
    '""',
    "''",
    'a: 1',
    '{a: 1}',
    '[x]',
  ]
  let count = 0
  for (let i = 0; i < Number(process.env.CASES ?? 1500); i++) {
    const source = labs[random(labs.length)] ?? ''
    const from = random(3) === 0 ? 0 : source.indexOf('\nnamespaces') + 1
    let text = source.slice(from, from + 60 + random(500))
    for (let n = random(3) + 1; n > 0; n--) {
      const at = random(text.length + 1)
      text = text.slice(0, at) + (random(4) ? (pieces[random(pieces.length)] ?? '') : '') + text.slice(at + random(3))
    }
    if (compare(text, `seed ${seed}, case ${i}`)) count++
  }
  assert.ok(count > 100, `only ${count} went the fast way`)
})
