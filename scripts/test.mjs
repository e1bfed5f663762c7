/**
 * `npm test`: set-up, types, lint, every test file under its runtimes, and the proof that this host is as it was.
 *
 *     npm test -- [NAME…] [--seed N] [--jobs N] [--only-bun] [--no-checks]
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { buildLibrary, ensureProgram } from './build.mjs'
import { checks } from './check.mjs'
import { execute, stopAll } from './lib/execute.mjs'
import { findLeaks } from './lib/leaks.mjs'
import { ensureModules, ensurePackages, packagesForTests } from './lib/setup.mjs'
import { takeSnapshot } from './lib/snapshot.mjs'
import { Failure, isRoot, main, root, run, say } from './lib/tools.mjs'

/** @typedef {import('./lib/execute.mjs').Job} Job */
/** @typedef {import('./lib/execute.mjs').Outcome} Outcome */

const total = { passed: 0, failed: 0, skipped: 0 }

await main(async () => {
  const { names, seed, jobs, onlyBun, skipChecks } = options()
  setUp()
  if (!skipChecks) checkSources()
  if (!onlyBun) compile()
  const queue = shuffle(plan(names, onlyBun), seed)
  say(`${queue.length} test files, ${jobs} at a time, order by --seed ${seed}${isRoot ? '' : ', without root'}`)
  const outcomes = await runAll(queue, jobs)
  reportSkipped(outcomes)
  const { passed, failed, skipped } = total
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  if (failed > 0) process.exitCode = 1
})

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: 'string' },
      jobs: { type: 'string' },
      'only-bun': { type: 'boolean' },
      'no-checks': { type: 'boolean' },
    },
  })
  const [seed, jobs] = [
    Number(values.seed ?? Math.floor(Math.random() * 1e6)),
    Number(values.jobs ?? availableParallelism()),
  ]
  if (!Number.isInteger(seed) || !Number.isInteger(jobs) || jobs < 1)
    throw new Failure('--seed and --jobs take a number')
  const [onlyBun, skipChecks] = [values['only-bun'] === true, values['no-checks'] === true]
  return { names: positionals, seed, jobs, onlyBun, skipChecks }
}

function setUp() {
  ensureModules()
  ensurePackages(packagesForTests())
  try {
    ensureProgram()
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    fail('build', error.message)
  }
}

function checkSources() {
  for (const [name, args] of checks) {
    const done = run(process.execPath, args)
    if (done.ok) pass(name)
    else fail(name, done.output)
  }
}

function compile() {
  const library = buildLibrary()
  // types that do not fit were counted once already; the JavaScript is written all the same
  if (!library.ok && total.failed === 0) fail('dist/js', library.output)
}

/** @param {string} name */
function pass(name) {
  total.passed++
  console.log(`ok    ${name}`)
}

/** @param {string} name @param {string} output */
function fail(name, output) {
  total.failed++
  console.log(`FAIL  ${name}\n${output.trimEnd()}`)
}

/** Every test file whose path contains one of the names. src runs under both runtimes. @param {string[]} wanted @param {boolean} onlyBun @returns {Job[]} */
function plan(wanted, onlyBun) {
  const files = ['src', 'test']
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path)),
    )
    .filter((path) => path.endsWith('.test.ts') && (wanted.length === 0 || wanted.some((name) => path.includes(name))))
    .sort()
  if (files.length === 0)
    throw new Failure(`no test file${wanted.length > 0 ? ` has ${wanted.join(' or ')} in its path` : ''}`)
  return files.flatMap((path) => {
    /** @type {Job[]} */
    const jobs = [{ path, runtime: 'bun' }]
    if (path.startsWith('src/') && !onlyBun) jobs.push({ path, runtime: 'node' })
    return jobs
  })
}

/** Fisher-Yates with the generator mulberry32, so that a number gives the order back. @template T @param {T[]} list @param {number} seed */
function shuffle(list, seed) {
  let state = seed
  const random = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const result = [...list]
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    const moved = /** @type {T} */ (result[other])
    result[other] = /** @type {T} */ (result[last])
    result[last] = moved
  }
  return result
}

/** Runs the jobs and the leak check: after each file when they run one at a time, else once. @param {Job[]} queue @param {number} jobs */
async function runAll(queue, jobs) {
  const scratch = mkdtempSync(join(tmpdir(), 'hardway-test-'))
  for (const signal of /** @type {NodeJS.Signals[]} */ (['SIGINT', 'SIGTERM'])) {
    process.once(signal, () => {
      stopAll()
      rmSync(scratch, { recursive: true, force: true })
      process.exit(130)
    })
  }
  /** @type {Outcome[]} */
  const outcomes = []
  let before = takeSnapshot()
  const todo = [...queue]
  const work = async () => {
    for (let job = todo.shift(); job; job = todo.shift()) {
      const outcome = await execute(job, scratch)
      outcomes.push(outcome)
      report(outcome)
      if (jobs > 1) continue
      const leaks = await findLeaks(before)
      if (leaks.length === 0) continue
      fail(`leak check after ${job.path} (${job.runtime})`, leaks.join('\n'))
      before = takeSnapshot()
    }
  }
  await Promise.all(Array.from({ length: jobs }, work))
  rmSync(scratch, { recursive: true, force: true })
  const leaks = await findLeaks(before)
  if (leaks.length === 0) pass('leak check: this host is as it was')
  else fail('leak check (with --jobs 1 it names the file)', leaks.join('\n'))
  return outcomes
}

/** @param {Outcome} outcome */
function report({ path, runtime, ok, tests, ms, output }) {
  const count = { passed: 0, failed: 0, skipped: 0 }
  for (const { result } of tests) {
    count[result]++
    total[result]++
  }
  const words = Object.entries(count).flatMap(([name, number]) => (number > 0 ? [`${number} ${name}`] : []))
  console.log(`${ok ? 'ok  ' : 'FAIL'}  ${runtime.padEnd(4)}  ${path}  ${words.join(', ')}  ${ms.toFixed(0)} ms`)
  if (!ok) console.log(output.trimEnd())
}

/** Skipped tests by reason. @param {Outcome[]} outcomes */
function reportSkipped(outcomes) {
  /** @type {Map<string, string[]>} */
  const byReason = new Map()
  for (const { path, runtime, tests } of outcomes) {
    for (const { name, result, reason = 'no reason given' } of tests) {
      if (result !== 'skipped') continue
      const line = `  ${relative(root, join(root, path))} (${runtime}): ${name}`
      byReason.set(reason, [...(byReason.get(reason) ?? []), line])
    }
  }
  for (const [reason, lines] of byReason) console.log(`skipped, ${reason}:\n${lines.sort().join('\n')}`)
}
