/**
 * What documents show is what the program prints. HARDWAY_WRITE_DOCS=1 puts the documents right:
 *
 *     HARDWAY_WRITE_DOCS=1 npm test -- docs --only-bun
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { checkConsole, type Difference } from './support/console.ts'
import { needs } from './support/need.ts'

const root = new URL('../', import.meta.url).pathname

const documents = [
  'README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((p) => `docs/${p}`),
]
  .filter((path) => path.endsWith('.md'))
  .sort()

/** Most of the time a session waits: for namespaces, for services to start. */
const AT_ONCE = 6
const sessions = documents.filter((p) => readFileSync(root + p, 'utf8').includes('```console'))
const skip = needs('root', 'unshare', 'ip', 'nft', 'tc', 'bridge', 'conntrack', 'python3')

/** The documents, a few at a time; each has a namespace of its own. */
const checked = once(async () => {
  const found = new Map<string, readonly Difference[] | Error>()
  const queue = [...sessions]
  const work = async (): Promise<void> => {
    for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
      found.set(path, await checkConsole(path, process.env.HARDWAY_WRITE_DOCS === '1').catch((e: Error) => e))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return found
})

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}

for (const path of sessions) {
  test(`${path} shows what is printed`, { skip }, async () => {
    assert.deepEqual((await checked()).get(path), [])
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
