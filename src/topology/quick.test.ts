/** The quick reader agrees with the library, or leaves the text to it. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseTopology } from './index.ts'
import { readQuickly } from './quick.ts'

const options = { file: 'lab.yaml' }
const hasYaml = 'Bun' in globalThis

/** Without positions, which the quick reader does not know. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).flatMap(([k, v]) => (k === 'at' ? [] : [[k, plain(v)]])))
}

function labs(): string[] {
  const folder = new URL(`${import.meta.url.includes('/dist/js/') ? '../../../../' : '../../'}labs/`, import.meta.url)
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => readFileSync(new URL(name, folder), 'utf8'))
}

/** Whether it was read quickly; then it must mean the same. */
function agrees(text: string): boolean {
  const quick = readQuickly(text, options)
  if (quick === undefined) return false
  const slow = parseTopology(text, options)
  assert.ok('model' in slow, `read, though it has mistakes:\n${text}`)
  assert.deepEqual(plain(quick), plain(slow.model), text)
  return true
}

test('every lab is read quickly, as YAML where the runtime can and as JSON everywhere', () => {
  for (const text of labs()) {
    assert.equal(agrees(text), hasYaml)
    const parsed = parseTopology(text, options)
    assert.ok('model' in parsed)
  }
  assert.ok(agrees('{"name": "x", "namespaces": {"a": {"interfaces": {"lo": {"addresses": ["10.0.0.1/32"]}}}}}'))
})

test('what the runtime would read in silence is left to the library', () => {
  const texts = [
    '{"name": "a", "name": "b"}',
    '{"name": "a", "namespaces": {"x": null, "x": {}}}',
    'name: a\nname: b\n',
    'namespaces: { a: {}, a: {} }\n',
    '"name": a\n"name": b\n',
    '{name: a, name: b}\n',
    'namespaces: { a: " #", a: 1 }\n',
    'namespaces: { 010: {} }\n',
    'namespaces: { yes: {} }\n',
    'namespaces: {}\nbase: &x {}\n',
    'namespaces: { 10: {}, b: {}, 2: {} }\n',
  ]
  for (const text of texts) assert.equal(readQuickly(text, options), undefined, text)
})

test('mutated labs mean the same to both, or are left to the library', () => {
  let seed = 7
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    return (seed >>> 8) % below
  }
  const scraps = [
    '"',
    "'",
    ':',
    ': ',
    ' #',
    '- ',
    '0',
    '1',
    '[',
    ']',
    '{',
    '}',
    ',',
    '\n',
    '  ',
    'yes',
    '~',
    '*a',
    '|\n',
    '?',
    '\t',
    'é',
  ]
  const sources = labs()
  let quick = 0
  for (let i = 0; i < 3000; i++) {
    let text = sources[random(sources.length)] ?? ''
    for (let n = 1 + random(2); n > 0; n--) {
      const at = random(text.length)
      const end = at + random(3)
      text = text.slice(0, at) + (scraps[random(scraps.length)] ?? '') + text.slice(end)
    }
    if (agrees(text)) quick++
  }
  // the mutations are small enough that a fair part of the texts stays good
  if (hasYaml) assert.ok(quick > 100, `${quick} were read quickly`)
})
