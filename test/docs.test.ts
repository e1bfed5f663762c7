/**
 * What documents show is what the program prints. HARDWAY_WRITE_DOCS=1 puts the documents right:
 *
 *     HARDWAY_WRITE_DOCS=1 npm test -- docs --only-bun
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { checkConsole } from './support/console.ts'
import { needs } from './support/need.ts'

const root = new URL('../', import.meta.url).pathname

const documents = [
  'README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((p) => `docs/${p}`),
]
  .filter((path) => path.endsWith('.md'))
  .sort()

for (const path of documents.filter((p) => readFileSync(root + p, 'utf8').includes('```console'))) {
  test(`${path} shows what is printed`, { skip: needs('root', 'unshare', 'ip', 'python3') }, () => {
    assert.deepEqual(checkConsole(path, process.env.HARDWAY_WRITE_DOCS === '1'), [])
  })
}

test('links between documents lead somewhere', () => {
  const dead = documents.flatMap((path) =>
    [...readFileSync(root + path, 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].flatMap(([, target = '']) =>
      existsSync(join(root, dirname(path), target)) ? [] : [`${path}: ${target}`],
    ),
  )
  assert.deepEqual(dead, [])
})
