/** Runs one test file in a process group of its own, under bun or Node, and says how it went. */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readBunResults, readNodeResults } from './results.mjs'
import { findBun, root } from './tools.mjs'

const timeout = 400_000
/** Of a single test, under bun, whose own 5 s are short for 1,000 hosts. Milliseconds. */
const testTimeout = 120_000

/** @typedef {{ path: string, runtime: 'bun' | 'node' }} Job */
/** @typedef {import('./results.mjs').TestResult} TestResult */
/** @typedef {Job & { ok: boolean, tests: TestResult[], ms: number, output: string }} Outcome */

/** Process groups that run right now. @type {Set<number>} */
const running = new Set()

/** Ends every test that runs. */
export function stopAll() {
  for (const group of running) signalGroup(group, 'SIGKILL')
}

/**
 * @param {Job} job
 * @param {string} scratch a folder for this run's files
 * @returns {Promise<Outcome>}
 */
export async function execute(job, scratch) {
  const base = join(scratch, `${job.path.replaceAll('/', '_')}.${job.runtime}`)
  const [log, report, skips] = [`${base}.log`, `${base}.report`, `${base}.skips`]
  const begin = performance.now()
  const { status, note } = await runGroup(command(job, report), { HARDWAY_TEST_SKIPS: skips, NO_COLOR: '1' }, log)
  const ms = performance.now() - begin
  const tests = job.runtime === 'bun' ? readBunResults(report, skips) : readNodeResults(report)
  const hasFailed = tests.some(({ result }) => result === 'failed')
  const problems = [
    ...note,
    ...(status !== 0 && !hasFailed && note.length === 0 ? [`ended with ${status}, though no test failed`] : []),
    ...(status === 0 && tests.length === 0 ? ['there is no test in it'] : []),
  ]
  for (const problem of problems) tests.push({ name: `(${problem})`, result: 'failed' })
  const output = `${readFileSync(log, 'utf8')}${problems.map((problem) => `${job.path}: ${problem}\n`).join('')}`
  return { ...job, ok: !hasFailed && problems.length === 0, tests, ms, output }
}

/** @param {Job} job @param {string} report @returns {string[]} */
function command({ path, runtime }, report) {
  if (runtime === 'bun') {
    const limits = ['--timeout', String(testTimeout)]
    return [findBun(), 'test', `./${path}`, ...limits, '--reporter=junit', `--reporter-outfile=${report}`]
  }
  const compiled = join('dist', 'js', path.replace(/\.ts$/, '.js'))
  return [
    process.execPath,
    '--enable-source-maps',
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${join(root, 'scripts', 'lib', 'node-reporter.mjs')}`,
    `--test-reporter-destination=${report}`,
    compiled,
  ]
}

/**
 * Output goes to a file and not through a pipe, which a process left behind would hold open for ever.
 * @param {string[]} argv
 * @param {Record<string, string>} env
 * @param {string} log
 * @returns {Promise<{ status: number | string, note: string[] }>}
 */
function runGroup([file = '', ...args], env, log) {
  const out = openSync(log, 'w')
  const stdio = /** @type {import('node:child_process').StdioOptions} */ (['ignore', out, out])
  const child = spawn(file, args, { cwd: root, env: { ...process.env, ...env }, stdio, detached: true })
  closeSync(out)
  return new Promise((done, fail) => {
    child.on('error', fail)
    const group = child.pid
    if (group === undefined) return
    running.add(group)
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      signalGroup(group, 'SIGKILL')
    }, timeout)
    child.on('exit', async (code, signal) => {
      clearTimeout(timer)
      const left = !timedOut && (await outlives(group))
      if (left) signalGroup(group, 'SIGKILL')
      running.delete(group)
      const note = []
      if (timedOut) note.push(`killed after ${timeout / 1000} s`)
      if (left) note.push('left processes running')
      done({ status: code ?? signal ?? 'nothing', note })
    })
  })
}

/** Whether processes of a group still are there after a moment of grace. @param {number} group */
async function outlives(group) {
  for (let attempt = 0; attempt < 20; attempt++) {
    if (!signalGroup(group, 0)) return false
    await new Promise((done) => setTimeout(done, 25))
  }
  return true
}

/** @param {number} group @param {NodeJS.Signals | 0} signal @returns {boolean} whether there was a process */
function signalGroup(group, signal) {
  try {
    return process.kill(-group, signal)
  } catch {
    return false
  }
}
