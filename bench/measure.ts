/** Times contenders against each other: interleaved, each run in a fresh network and mount namespace. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StepResult } from './inside.ts'

export interface Contender {
  readonly name: string
  /** what must be there before; not counted */
  readonly before?: readonly string[]
  readonly up: readonly string[]
  readonly down?: readonly string[]
  /** reads the times out of what `up` printed, for a program that does both */
  readonly read?: (output: string) => { readonly up: number; readonly down: number }
}

export interface Row {
  readonly name: string
  /** milliseconds, one a run */
  readonly up: readonly number[]
  readonly down: readonly number[]
  /** links and names of namespaces that were there when `down` returned, the most of all runs */
  readonly left: number
  /** peak resident memory of `up` in MiB, of a run of its own */
  readonly memory: number | undefined
}

/** `runs` rounds; in each round every contender has its turn. @throws when one of them fails */
export async function race(contenders: readonly Contender[], runs: number): Promise<Row[]> {
  const rows = contenders.map(({ name }) => ({ name, up: [] as number[], down: [] as number[], left: 0 }))
  for (let round = 0; round < runs; round++) {
    for (const [index, contender] of contenders.entries()) {
      const row = rows[index]
      if (!row) continue
      progress(`· round ${round + 1} of ${runs}: ${contender.name}`)
      const [up, down] = await runOnce(contender)
      const own = contender.read?.(up?.output ?? '')
      row.up.push(own?.up ?? up?.ms ?? Number.NaN)
      if (own) row.down.push(own.down)
      else if (down) row.down.push(down.ms)
      row.left = Math.max(row.left, (down ?? up)?.left ?? 0)
    }
  }
  const memory: (number | undefined)[] = []
  for (const contender of contenders) memory.push(await peakMemory(contender))
  progress('')
  return rows.map((row, index) => ({ ...row, memory: memory[index] }))
}

/** One line that is written over, on a terminal only. */
function progress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`)
}

async function runOnce({ name, before, up, down }: Contender): Promise<StepResult[]> {
  await settle()
  const steps = JSON.stringify([before, up, down].filter((step) => step !== undefined))
  const inside = [process.execPath, join(import.meta.dirname, 'inside.ts'), steps]
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env
  const done = Bun.spawnSync(['unshare', '--net', '--mount', '--propagation', 'private', '--', ...inside], { env })
  if (!done.success) throw new Error(`${name}: ${done.stderr}`)
  const results: StepResult[] = JSON.parse(done.stdout.toString())
  const failed = results.find(({ ok }) => !ok)
  if (failed) throw new Error(`${name}: ${failed.output}`)
  return before ? results.slice(1) : results
}

/**
 * GNU time starts the program from a small process of its own. A child of this one would inherit our peak, because
 * the kernel counts what a process held before it called execve(2).
 */
async function peakMemory(contender: Contender): Promise<number | undefined> {
  if (contender.read || !Bun.which('time')) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'hardway-bench-'))
  const file = join(folder, 'memory')
  try {
    await runOnce({ ...contender, up: ['time', '-f', '%M', '-o', file, ...contender.up] })
    return Number(readFileSync(file, 'utf8').trim()) / 1024
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/**
 * Waits until the machine is idle, at most three seconds: the kernel takes namespaces away in the background, and the
 * next run must not pay for it. A machine that others keep busy gets its figures, too; the contenders take turns.
 */
async function settle(): Promise<void> {
  let calm = 0
  for (let attempt = 0; attempt < 30 && calm < 2; attempt++) {
    const before = busyTicks()
    await Bun.sleep(100)
    // of 10 ticks a processor; one is this process itself
    calm = busyTicks() - before <= 1 ? calm + 1 : 0
  }
}

/** Hundredths of a second that all processors together have worked. */
function busyTicks(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)[0]!
    .split(/\s+/)
    .slice(1)
    .map(Number)
  return user + nice + system + irq + softirq
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  if (sorted.length % 2 === 1) return sorted[Math.floor(middle)]!
  return (sorted[middle - 1]! + sorted[middle]!) / 2
}
