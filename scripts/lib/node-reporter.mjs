/** A reporter for Node's test runner: one JSON line for each test, for scripts/lib/results.mjs. */

/** @param {AsyncIterable<{ type: string, data: any }>} events */
export default async function* report(events) {
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.details?.type === 'suite') continue
    // a parent that failed only because of a child: the child is counted
    if (data.details?.error?.failureType === 'subtestsFailed') continue
    const skip = data.skip ?? data.todo
    const result = skip !== undefined && skip !== false ? 'skipped' : type === 'test:pass' ? 'passed' : 'failed'
    const reason = typeof skip === 'string' && skip !== '' ? skip : undefined
    yield `${JSON.stringify({ name: data.name, result, reason })}\n`
  }
}
