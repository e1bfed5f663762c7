/** `npm run bench [-- SECTION…]`: set-up, then bench/run.ts under bun. Without a section it writes bench/README.md. */
import { ensureProgram } from './build.mjs'
import { benchPackages, ensureModules, ensurePackages } from './lib/setup.mjs'
import { Failure, findBun, isRoot, main, run } from './lib/tools.mjs'

await main(() => {
  if (!isRoot) throw new Failure('the benchmarks make hundreds of namespaces, as root: sudo npm run bench')
  ensureModules()
  ensurePackages(benchPackages)
  ensureProgram()
  if (!run(findBun(), ['bench/run.ts', ...process.argv.slice(2)], { inherit: true }).ok) process.exitCode = 1
})
