import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../test/support/need.ts'
import { outputOf } from '../../test/support/run.ts'
import { random } from '../packet/test-random.ts'
import type { CheckResult } from './index.ts'
import { formatJunit } from './junit.ts'

function check(text: string, detail: string, more: Partial<CheckResult> = {}): CheckResult {
  const probe = { kind: 'ping', to: 'b', address: '10.0.0.2' } as const
  return { expectation: { text, fails: false, from: 'a', probe }, holds: false, outcome: 'lost', detail, ...more }
}

test('one test case for each expectation, with its time and what was found', () => {
  const xml = formatJunit('lab', [
    check('ping a -> b', 'reply', { holds: true, outcome: 'reached', ms: 1.5 }),
    check('tcp a -> b:80', 'no answer'),
    check('ping c -> b', 'no namespace', { outcome: 'error' }),
  ])
  assert.equal(
    xml,
    `<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1" errors="1" time="0.001500">
  <testsuite name="lab" tests="3" failures="1" errors="1" time="0.001500">
    <testcase classname="lab" name="ping a -&gt; b" time="0.001500"/>
    <testcase classname="lab" name="tcp a -&gt; b:80" time="0.000000">
      <failure type="lost" message="no answer"/>
    </testcase>
    <testcase classname="lab" name="ping c -&gt; b" time="0.000000">
      <error type="error" message="no namespace"/>
    </testcase>
  </testsuite>
</testsuites>
`,
  )
})

/** Prints the name and the message of every test case as JSON, read by an XML parser that is not ours. */
const READER = `
import json, sys, xml.etree.ElementTree as tree
cases = tree.fromstring(sys.stdin.buffer.read()).iter('testcase')
print(json.dumps([[c.get('name'), c.find('failure').get('message')] for c in cases]))
`

test('fuzz: odd texts come back from an XML parser as they were', { skip: needs('python3') }, () => {
  const next = random(11)
  const odd = [
    '<',
    '>',
    '&',
    '"',
    "'",
    ']]>',
    '&amp;',
    '\n',
    '\r\n',
    '\t',
    ' ',
    'é',
    '💥',
    '\u0000',
    '\u001b',
    '\ud800',
    '\uffff',
  ]
  const text = (): string => Array.from({ length: next(12) }, () => odd[next(odd.length)]).join('')
  const checks = Array.from({ length: 500 }, () => check(text(), text()))
  const read: unknown = JSON.parse(outputOf('python3', ['-c', READER], { input: formatJunit('<&">', checks) }))
  const lost = new Set(['\u0000', '\u001b', '\uffff', '\ud800'])
  const legible = (s: string): string => Array.from(s, (c) => (lost.has(c) ? '\ufffd' : c)).join('')
  assert.deepEqual(
    read,
    checks.map(({ expectation, detail }) => [legible(expectation.text), legible(detail)]),
  )
})
