/**
 * Runs programs one after the other and times each. Started by bench/measure.ts in a network and mount namespace of its
 * own; takes a list of argument lists as JSON, prints a list of StepResult as JSON.
 */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'

export interface StepResult {
  /** milliseconds of the whole process */
  readonly ms: number
  readonly ok: boolean
  /** both streams, when it failed; else standard output */
  readonly output: string
  /** links but `lo`, and names in /run/netns, at the moment it returned */
  readonly left: number
}

if (import.meta.main) {
  const steps: string[][] = JSON.parse(process.argv[2] ?? '[]')
  // the machine's own /run stays as it is: namespaces are named in a folder that ends with this process
  const mounted = Bun.spawnSync(['mount', '-t', 'tmpfs', 'none', '/run'])
  if (!mounted.success) throw new Error(mounted.stderr.toString())
  mkdirSync('/run/netns')
  const results: StepResult[] = []
  for (const argv of steps) {
    results.push(time(argv))
    if (!results.at(-1)?.ok) break
  }
  console.log(JSON.stringify(results))
}

function time(argv: string[]): StepResult {
  const begin = performance.now()
  const done = Bun.spawnSync(argv, { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  const ms = performance.now() - begin
  const output = `${done.stdout}${done.success ? '' : done.stderr}`
  return { ms, ok: done.success, output, left: countLinks() + readdirSync('/run/netns').length }
}

function countLinks(): number {
  const lines = readFileSync('/proc/self/net/dev', 'utf8').trim().split('\n')
  return lines.slice(2).filter((line) => !line.trimStart().startsWith('lo:')).length
}
