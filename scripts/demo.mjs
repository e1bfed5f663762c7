/**
 * `npm run demo`: set-up, then the tutorial's bridge lab on the real kernel: built, drawn, proven, taken away.
 * Without root the same happens in one throwaway sandbox.
 */
import { spawn } from 'node:child_process'
import { relative } from 'node:path'
import { ensureProgram } from './build.mjs'
import { ensureModules } from './lib/setup.mjs'
import { Failure, isRoot, main, program, root, say } from './lib/tools.mjs'

const lab = 'labs/03-bridge.yaml'
const steps = [
  ['up', lab],
  ['show', 'bridge'],
  ['verify', lab],
]

let interrupted = false
// a terminal sends these to the children as well; this process stays alive to take the lab away
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => (interrupted = true))

/** Runs a program with our terminal. @param {readonly string[]} argv @returns {Promise<boolean>} whether it ended well */
function step([file = '', ...args]) {
  return new Promise((done) => {
    const child = spawn(file, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
    child.on('error', (error) => {
      console.error(error.message)
      done(false)
    })
    child.on('close', (status) => done(status === 0))
  })
}

/** @param {readonly string[]} args */
function hardway(args) {
  console.log(`\n$ ${relative(root, program)} ${args.join(' ')}`)
  return step([program, ...args])
}

async function show() {
  let failed = ''
  for (const args of steps) {
    if (interrupted || failed) break
    if (!(await hardway(args))) failed = args.join(' ')
  }
  const clean = await hardway(['down', lab])
  if (interrupted) throw new Failure('interrupted')
  if (failed) throw new Failure(`failed: hardway ${failed}`)
  if (!clean) throw new Failure(`failed: hardway down ${lab}`)
}

await main(async () => {
  const isReady = process.argv.includes('--ready')
  if (!isReady) {
    ensureModules()
    ensureProgram()
  }
  if (isRoot) return show()
  if (isReady) throw new Failure('the sandbox does not give root to the demo')
  say('not root: the demo runs in a sandbox of its own (user, network and mount namespace)')
  const inside = [process.execPath, 'scripts/demo.mjs', '--ready']
  if (!(await step([program, 'sandbox', '--', ...inside]))) process.exitCode = 1
})
