/** Each code of `why` has its page, and the table of all of them says what the codes say. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { codes } from '../../src/why/codes.ts'

const pages = new URL('../../docs/why/', import.meta.url).pathname
const read = (name: string): string => readFileSync(pages + name, 'utf8')

test('the table of codes has every code, with its meaning, in the same order', () => {
  const rows = [...read('README.md').matchAll(/^\| \[(\w+)\]\((\w+)\.md\) \| (.*) \|$/gm)]
  assert.deepEqual(
    rows.map(([, name, page, meaning]) => ({ name, page, meaning })),
    Object.entries(codes).map(([name, meaning]) => ({ name, page: name, meaning })),
  )
})

test('there is a page for every code and for nothing else', () => {
  const names = readdirSync(pages).filter((name) => name !== 'README.md')
  assert.deepEqual(
    names.sort(),
    Object.keys(codes)
      .map((name) => `${name}.md`)
      .sort(),
  )
})

for (const [code, meaning] of Object.entries(codes)) {
  test(`docs/why/${code}.md says what ${code} means, how it comes about, and shows it`, () => {
    const text = read(`${code}.md`)
    const sentence = `${meaning.charAt(0).toUpperCase()}${meaning.slice(1)}.`
    assert.ok(text.startsWith(`# ${code}\n\n${sentence}\n\n`), sentence)
    for (const heading of ['How it comes about', 'By hand', 'A lab'])
      assert.match(text, new RegExp(`^## ${heading}$`, 'm'))
    // NO_NAMESPACE is an error message, the others a verdict
    if (code !== 'NO_NAMESPACE') assert.match(text, new RegExp(`(does not arrive|arrives)  ${code}$`, 'm'))
  })
}
