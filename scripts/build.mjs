/** `npm run build`: dist/hardway, one executable, and dist/js, the library for Node. */
import { mkdirSync, renameSync, rmSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureModules } from './lib/setup.mjs'
import { Failure, findBun, main, newest, program, root, run, say, tsc } from './lib/tools.mjs'

/** Everything that ends up in the executable, or decides how. */
const sources = ['src', 'labs', 'schema', 'package.json', 'package-lock.json', 'tsconfig.json', 'scripts/build.mjs']

const flags = [
  '--minify',
  '--sourcemap=none',
  // parsed code is stored in the executable: 14 ms instead of 27 ms from start to end of --help
  '--bytecode',
  '--format=esm',
  // one chunk for each import(), so that a verb loads only what it uses
  '--splitting',
  // a program for root must not take settings or code from the folder where it happens to be started
  '--no-compile-autoload-dotenv',
  '--no-compile-autoload-bunfig',
  '--no-compile-autoload-tsconfig',
  '--no-compile-autoload-package-json',
]

/** Builds dist/hardway when it is older than what it is made of. */
export function ensureProgram() {
  const changed = newest(sources.map((name) => join(root, name)))
  if (newest([program]) >= changed) return
  say('building dist/hardway')
  // a name of its own until it is complete: the old executable may be running, or another build under way
  const folder = join(root, 'dist', `.build-${process.pid}`)
  const outfile = join(folder, 'hardway')
  mkdirSync(folder, { recursive: true })
  try {
    const entry = join('src', 'cli', 'main.ts')
    const built = run(findBun(), ['build', '--compile', ...flags, entry, '--outfile', outfile])
    if (!built.ok) throw new Failure(`bun could not build dist/hardway:\n${built.output}`)
    // as old as the newest source that it has seen: what changed during the build counts as newer
    utimesSync(outfile, changed / 1000, Math.ceil(changed) / 1000)
    renameSync(outfile, program)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Compiles src and its tests for Node into dist/js, with declarations. tsc itself skips what has not changed. */
export function buildLibrary() {
  return run(process.execPath, [tsc, '-p', 'tsconfig.build.json'])
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(() => {
    ensureModules()
    ensureProgram()
    say('building dist/js')
    const library = buildLibrary()
    if (!library.ok) throw new Failure(library.output)
  })
}
