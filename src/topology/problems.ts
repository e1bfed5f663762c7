/** What is wrong with a file, and how it is told. */
import type { Position } from './model.ts'

/** Keys and indexes from the top of the file. */
export type Path = readonly (string | number)[]

export interface Problem {
  /** both count from 1; 0 for a topology given as an object */
  readonly line: number
  readonly column: number
  readonly path: Path
  readonly message: string
  /** what would be right */
  readonly hint: string
}

/** Where in the value something is, when it is not the value as a whole. */
export interface Spot {
  /** the key instead of the value */
  readonly onKey?: boolean
  /** characters from the start of a text */
  readonly offset?: number
}

/** Answers where a path stands; undefined for topologies given as objects. */
export type Locate = (path: Path, spot?: Spot) => Position | undefined

const SEPARATOR = '\u0000'

/** Collects every problem, and remembers which parts of the file they touch, so that one mistake is not told twice. */
export class Problems {
  readonly #found: Problem[] = []
  readonly #touched = new Set<string>()
  readonly #locate: Locate

  constructor(locate: Locate) {
    this.#locate = locate
  }

  add(path: Path, message: string, hint: string, spot?: Spot): void {
    this.addAt(this.#locate(path, spot), path, message, hint)
  }

  /** For what stands where no path leads, such as a key that is there twice. */
  addAt(at: Position | undefined, path: Path, message: string, hint: string): void {
    this.#found.push({ line: at?.line ?? 0, column: at?.column ?? 0, path, message, hint })
    for (let depth = path.length; depth >= 0; depth--) {
      const part = path.slice(0, depth).join(SEPARATOR)
      if (this.#touched.has(part)) break
      this.#touched.add(part)
    }
  }

  /** Whether something in this part is wrong already: then what seems missing from it may only be misspelt. */
  touches(path: Path): boolean {
    return this.#touched.has(path.join(SEPARATOR))
  }

  get isEmpty(): boolean {
    return this.#found.length === 0
  }

  /** In the order of the file. */
  sorted(): Problem[] {
    return [...this.#found].sort((a, b) => a.line - b.line || a.column - b.column)
  }
}

/** `namespaces.netns1.interfaces.veth1.addresses[0]` */
export function formatPath(path: Path): string {
  let text = ''
  for (const step of path) text += typeof step === 'number' ? `[${step}]` : text === '' ? step : `.${step}`
  return text === '' ? 'the topology' : text
}

/** What a person calls this part: `interface netns1:veth1`, `link 2`. Empty for the top of the file. */
export function describePath(path: Path): string {
  const [top, name, ...rest] = path
  if (top === undefined) return ''
  if (top === 'host') return describeInside('host', path.slice(1))
  if (top === 'namespaces' && name !== undefined) return describeInside(String(name), rest)
  if (name === undefined) return String(top)
  const one = ONE_OF[top]
  if (one === undefined) return formatPath(path)
  return typeof name === 'number' ? `${one} ${name + 1}` : `${one} ${name}`
}

const ONE_OF: Readonly<Record<string, string>> = {
  bridges: 'bridge',
  networks: 'network',
  links: 'link',
  masquerade: 'masquerade',
  publish: 'publish',
  expect: 'expectation',
  forward: 'forward',
}

const INSIDE: Readonly<Record<string, string>> = {
  routes: 'route',
  rules: 'rule',
  neighbours: 'neighbour',
  run: 'program',
}

function describeInside(namespace: string, path: Path): string {
  const [part, name] = path
  if (part === undefined) return namespace === 'host' ? 'host' : `namespace ${namespace}`
  if (part === 'interfaces' && name !== undefined) return `interface ${namespace}:${name}`
  if (typeof name === 'number' && INSIDE[part] !== undefined) return `${INSIDE[part]} ${name + 1} of ${namespace}`
  return `${part} of ${namespace}`
}

export interface FormatOptions {
  /** the text of the file: then each problem shows its line with a caret below */
  readonly text?: string
}

/** One problem a line, `lab.yaml:12:9: what is wrong; what would be right`, with the source line when the text is given. */
export function formatProblems(file: string, problems: readonly Problem[], options: FormatOptions = {}): string {
  const lines = options.text?.split(/\r\n|\n|\r/)
  return problems.map((p) => formatProblem(file, p, lines)).join('\n')
}

function formatProblem(file: string, problem: Problem, lines: readonly string[] | undefined): string {
  const where = problem.line > 0 ? `${file}:${problem.line}:${problem.column}` : `${file}: ${formatPath(problem.path)}`
  const first = `${where}: ${problem.message}${problem.hint === '' ? '' : `; ${problem.hint}`}`
  const source = lines?.[problem.line - 1]
  if (source === undefined || source.trim() === '') return first
  return `${first}\n${excerpt(source, problem.line, problem.column)}`
}

/** Long lines are cut around the column; blanks before the caret are those of the line, so that tabs line up. */
function excerpt(source: string, line: number, column: number): string {
  const from = Math.max(0, column - 70)
  const shown = source.slice(from, from + 110).replace(/[^\P{Cc}\t]/gu, '?')
  const label = `${line} | `.padStart(8)
  const indent = shown.slice(0, column - 1 - from).replace(/[^\t]/g, ' ')
  return `${label}${shown}\n${' '.repeat(label.length - 2)}| ${indent}^`
}

/** A topology that cannot be built as it is written. */
export class TopologyError extends Error {
  readonly problems: readonly Problem[]

  constructor(file: string, problems: readonly Problem[]) {
    super(formatProblems(file, problems))
    this.name = 'TopologyError'
    this.problems = problems
  }
}
