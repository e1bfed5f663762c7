/** What every section of the benchmarks is made of. */
import { join } from 'node:path'
import type { Row } from './measure.ts'

export interface Setting {
  /** the executable to measure */
  readonly program: string
  /** folder for topologies and compiled peers */
  readonly scratch: string
}

export interface Target {
  readonly claim: string
  readonly measured: string
  readonly isReached: boolean
}

export interface Result {
  readonly title: string
  readonly rows: readonly Row[]
  /** lines of a table of its own, where the rows are not what was measured */
  readonly table?: readonly string[]
  readonly targets: readonly Target[]
}

export const peer = (file: string): string => join(import.meta.dirname, 'peers', file)

const built = new Set<string>()

/** Compiles a peer once. @returns the path of the program */
export function compiled(scratch: string, name: string): string {
  const program = join(scratch, name)
  if (built.has(program)) return program
  const done = Bun.spawnSync(['gcc', '-O2', '-w', '-o', program, peer(`${name}.c`)])
  if (!done.success) throw new Error(`gcc: ${done.stderr}`)
  built.add(program)
  return program
}

export function target(claim: string, measured: string, isReached: boolean): Target {
  return { claim, measured, isReached }
}
