import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outdated } from '../scripts/generate.ts'

test('schema/hardway.schema.json and docs/file.md are what the declaration gives (npm run generate)', () => {
  assert.deepEqual(outdated(), [])
})
