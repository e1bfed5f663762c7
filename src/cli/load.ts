/** Topology files for the verbs. */
import { readFileSync } from 'node:fs'
import { formatProblems, type Model, parseTopology } from '../topology/index.ts'
import { UsageError } from './failure.ts'

export interface FileOptions {
  /** `--isolated` or `--no-isolated`; the file decides when absent */
  readonly isolated?: boolean
}

/** Reads FILE, `-` for standard input. Throws UsageError with every mistake in it. */
export function loadTopology(file: string, options: FileOptions = {}): Model {
  const text = readText(file)
  const isolated = options.isolated
  const name = file === '-' ? 'stdin' : file
  const result = parseTopology(text, {
    file: name,
    ...(isolated === undefined ? {} : { isolated }),
  })
  if ('model' in result) return result.model
  throw new UsageError(formatProblems(name, result.problems, { text }))
}

function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a directory' : String(code)
    throw new UsageError(
      `cannot read ${file}: ${why}`,
      'give a topology file (labs/03-bridge.yaml is one), or - for standard input',
    )
  }
}

/** The topology that FILE|NAME means: a name when no such file can be read, since `down` works with the file gone. */
export function topologyName(argument: string, options: FileOptions = {}): string {
  if (argument === '-') return loadTopology(argument, options).name
  const looksLikeFile = argument.includes('/') || /\.(ya?ml|json)$/.test(argument)
  if (!looksLikeFile) return argument
  try {
    return loadTopology(argument, options).name
  } catch (error) {
    // the file is gone or broken: its name still says which topology it was
    const base = /([^/]+?)(?:\.(?:ya?ml|json))?$/.exec(argument)?.[1] ?? argument
    const name = base.replace(/^\d+-/, '')
    if (error instanceof UsageError && /^[\w.-]+$/.test(name)) return name
    throw error
  }
}
