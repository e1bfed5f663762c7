/** `npm run check`: types, lint, format. `npm run format`: writes what biome can mend by itself. */
import { ensureModules } from './lib/setup.mjs'
import { biome, main, run, tsc } from './lib/tools.mjs'

/** Each check: its name, and the arguments for Node. @type {ReadonlyArray<readonly [string, readonly string[]]>} */
export const checks = [
  ['tsc', [tsc, '-p', 'tsconfig.json']],
  ['biome', [biome, 'ci', '--colors=off']],
]

if (process.argv[1]?.endsWith('check.mjs')) {
  await main(() => {
    ensureModules()
    const todo = process.argv.includes('--write') ? [['biome', [biome, 'check', '--write']]] : checks
    for (const [, args] of todo) {
      if (!run(process.execPath, /** @type {string[]} */ (args), { inherit: true }).ok) process.exitCode = 1
    }
  })
}
