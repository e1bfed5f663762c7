/** Errors as the user sees them: what, where, why, what to do. And the exit status that each one has. */
import { codeOf, EngineError } from '../engine/errors.ts'
import { printError, red } from './output.ts'

/** Bad usage or a bad file: exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly hint: string
  constructor(message: string, hint = '') {
    super(message)
    this.hint = hint
  }
}

const needsRoot = 'hardway needs root (CAP_SYS_ADMIN and CAP_NET_ADMIN) for this'
const asRoot = 'sudo hardway …, or as yourself: hardway sandbox -- hardway …'

/** Prints the error and gives the exit status. */
export function report(error: unknown): 1 | 2 {
  if (error instanceof UsageError) {
    printError(`${red('error:')} ${error.message}${error.hint && `\n${error.hint}`}`)
    return 2
  }
  if (error instanceof EngineError) {
    printError(`${red('error:')} ${error.message}`)
    const rest = error.details.length > 1 || !error.details[0]?.includes(error.message) ? error.details : []
    for (const line of rest) printError(`  ${line}`)
    if (error.hint) printError(error.hint)
    return 1
  }
  const code = codeOf(error)
  const message = error instanceof Error ? error.message : String(error)
  const isRefused = code === 'EPERM' || code === 'EACCES'
  printError(`${red('error:')} ${isRefused ? `${needsRoot}: ` : ''}${message}`)
  if (isRefused) printError(asRoot)
  else if (process.env.HARDWAY_DEBUG && error instanceof Error) printError(error.stack ?? '')
  return 1
}
