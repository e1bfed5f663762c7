#!/usr/bin/env node
/** The program: exit status 0 done, 1 failed or false, 2 bad usage or bad file. */
import { CommanderError } from 'commander'
import { report } from './failure.ts'
import { buildProgram } from './program.ts'

let status = 0
const program = buildProgram((s) => {
  status = s
})
try {
  await program.parseAsync(process.argv)
} catch (error) {
  if (error instanceof CommanderError) status = error.exitCode === 0 ? 0 : 2
  else status = report(error)
}
process.exitCode = status
