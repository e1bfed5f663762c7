/** From text or an object to a model, or to everything that is wrong with it. */
import { type BuildOptions, type Built, buildModel } from './build.ts'
import type { Expectation, Model } from './model.ts'
import { type Locate, Problems, TopologyError } from './problems.ts'
import type { TopologyInput } from './schema.ts'
import { locateNowhere, type Tree, treeOfObject } from './tree.ts'
import { readYaml, type Source } from './yaml.ts'

/** Reads YAML or JSON. Never throws for what is in the text; problems are in the order of the file. */
export function parseTopology(text: string, options: BuildOptions): Built {
  const { tree, problems, locate } = readYaml(text)
  if (!tree) return { problems: problems.sorted() }
  return buildModel(tree, problems, locate, options)
}

/** A topology written in TypeScript. Throws TopologyError; places in it are paths. */
export function defineTopology(topology: TopologyInput, options: Partial<BuildOptions> = {}): Model {
  return expectationReader(topology, options).model
}

export interface ExpectationReader {
  readonly model: Model
  /** An expectation as a file would have it. Throws TopologyError. */
  readonly read: (text: string) => Expectation
}

/** The model of a text or an object, and expectations about it that it does not hold. Throws TopologyError. */
export function expectationReader(
  source: string | TopologyInput,
  options: Partial<BuildOptions> = {},
): ExpectationReader {
  const file = options.file ?? 'topology'
  const { tree, problems, locate } = typeof source === 'string' ? readYaml(source) : readObject(source)
  if (!tree) throw new TopologyError(file, problems.sorted())
  const build = (of: Tree, found: Problems, at: Locate): Model => {
    const built = buildModel(of, found, at, { ...options, file })
    if ('problems' in built) throw new TopologyError(file, built.problems)
    return built.model
  }
  return {
    model: build(tree, problems, locate),
    read: (text) => {
      const expect: Tree = { kind: 'list', items: [{ kind: 'scalar', value: text, source: text }] }
      const entries = tree.kind === 'map' ? [...tree.entries] : []
      const asked: Tree = { kind: 'map', entries: new Map([...entries, ['expect', { value: expect }]]) }
      const [expectation] = build(asked, new Problems(locateNowhere), locateNowhere).expect
      if (!expectation) throw new Error(`${text} was not read`)
      return expectation
    },
  }
}

function readObject(topology: TopologyInput): Source {
  const problems = new Problems(locateNowhere)
  const tree = treeOfObject(topology)
  if (!('misfit' in tree)) return { tree, problems, locate: locateNowhere }
  problems.add(tree.misfit, 'a topology is plain data', 'texts, numbers, true, false, lists and maps')
  return { tree: undefined, problems, locate: locateNowhere }
}
