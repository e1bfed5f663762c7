/** Topology files for the verbs. */
import { readFileSync } from 'node:fs'
import { EngineError } from '../engine/errors.ts'
import type { Model } from '../topology/model.ts'
import { readQuickly } from '../topology/quick.ts'
import { UsageError } from './failure.ts'

export interface FileOptions {
  /** `--isolated` or `--no-isolated`; the file decides when absent */
  readonly isolated?: boolean
}

interface File {
  /** as messages call it */
  readonly name: string
  readonly text: string
  readonly options: FileOptions
}

/** Reads FILE, `-` for standard input. Throws UsageError with every mistake in it. */
export async function loadTopology(file: string, options: FileOptions = {}): Promise<Model> {
  return modelOf(readFile(file, options))
}

/**
 * Does `work` with the topology in FILE. What it finds to stand in the way before it touches anything is told with the
 * line in the file. Throws UsageError with every mistake in the file, and what `work` throws.
 */
export async function withTopology<T>(
  name: string,
  options: FileOptions,
  work: (model: Model) => T,
): Promise<{ readonly model: Model; readonly result: T }> {
  const file = readFile(name, options)
  const model = await modelOf(file)
  try {
    return { model, result: work(model) }
  } catch (error) {
    const isConflict = error instanceof EngineError && error.code === 'EEXIST' && error.operation === undefined
    if (!isConflict) throw error
    return { model, result: work(await modelWithLines(file)) }
  }
}

async function modelOf(file: File): Promise<Model> {
  return readQuickly(file.text, buildOptions(file)) ?? (await modelWithLines(file))
}

/** Every object in it knows its line. */
async function modelWithLines(file: File): Promise<Model> {
  const { formatProblems, parseTopology } = await import('../topology/index.ts')
  const built = parseTopology(file.text, buildOptions(file))
  if ('model' in built) return built.model
  throw new UsageError(formatProblems(file.name, built.problems, file))
}

function buildOptions({ name, options }: File): { readonly file: string; readonly isolated?: boolean } {
  return { file: name, ...(options.isolated === undefined ? {} : { isolated: options.isolated }) }
}

function readFile(file: string, options: FileOptions): File {
  return { name: file === '-' ? 'stdin' : file, text: readText(file), options }
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
export async function topologyName(argument: string, options: FileOptions = {}): Promise<string> {
  if (argument === '-') return (await loadTopology(argument, options)).name
  const looksLikeFile = argument.includes('/') || /\.(ya?ml|json)$/.test(argument)
  if (!looksLikeFile) return argument
  try {
    return (await loadTopology(argument, options)).name
  } catch (error) {
    // the file is gone or broken: its name still says which topology it was
    const base = /([^/]+?)(?:\.(?:ya?ml|json))?$/.exec(argument)?.[1] ?? argument
    const name = base.replace(/^\d+-/, '')
    if (error instanceof UsageError && /^[\w.-]+$/.test(name)) return name
    throw error
  }
}
