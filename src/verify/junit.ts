/** Results as JUnit XML, the form that CI systems read. Pure. */
import type { CheckResult } from './index.ts'

/** What XML 1.0 (section 2.2) cannot hold, not even escaped: most controls, lone surrogates, U+FFFE and U+FFFF. */
const FORBIDDEN = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  // bare ones would be read as blanks (section 3.3.3)
  '\t': '&#9;',
  '\n': '&#10;',
  '\r': '&#13;',
}

function escapeXml(text: string): string {
  return text.replace(FORBIDDEN, '\ufffd').replace(/[&<>"'\t\n\r]/g, (c) => ENTITIES[c] ?? c)
}

const seconds = (ms: number): string => (ms / 1000).toFixed(6)

function testCase(suite: string, { expectation, holds, outcome, ms = 0, detail }: CheckResult): string {
  const head = `    <testcase classname="${escapeXml(suite)}" name="${escapeXml(expectation.text)}" time="${seconds(ms)}"`
  if (holds) return `${head}/>`
  const kind = outcome === 'error' ? 'error' : 'failure'
  return `${head}>\n      <${kind} type="${outcome}" message="${escapeXml(detail)}"/>\n    </testcase>`
}

/** One test case for each expectation; an expectation that could not be tried is an error, not a failure. */
export function formatJunit(topology: string, checks: readonly CheckResult[]): string {
  const failed = checks.filter((c) => !c.holds)
  const errors = failed.filter((c) => c.outcome === 'error').length
  const time = seconds(checks.reduce((sum, { ms = 0 }) => sum + ms, 0))
  const counts = `tests="${checks.length}" failures="${failed.length - errors}" errors="${errors}" time="${time}"`
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="${escapeXml(topology)}" ${counts}>`,
    ...checks.map((check) => testCase(topology, check)),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n')
}
