#!/usr/bin/env node
/** The program: exit status 0 done, 1 failed or false, 2 bad usage or bad file. */
import { CommanderError } from 'commander'
import { report } from './failure.ts'
import { buildProgram } from './program.ts'

async function main(): Promise<number> {
  let status = 0
  const done = (s: number): void => {
    status = s
  }
  const program = buildProgram(done, process.argv[2])
  try {
    await program.parseAsync(process.argv)
    return status
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    return report(error)
  }
}

main().then((status) => {
  process.exitCode = status
})
