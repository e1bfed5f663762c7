/** From text or an object to a model, or to everything that is wrong with it. */
import { type BuildOptions, type Built, buildModel } from './build.ts'
import type { Model } from './model.ts'
import { Problems, TopologyError } from './problems.ts'
import type { TopologyInput } from './schema.ts'
import { locateNowhere, treeOfObject } from './tree.ts'
import { readYaml } from './yaml.ts'

/** Reads YAML or JSON. Never throws for what is in the text; problems are in the order of the file. */
export function parseTopology(text: string, options: BuildOptions): Built {
  const { tree, problems, locate } = readYaml(text)
  if (!tree) return { problems: problems.sorted() }
  return buildModel(tree, problems, locate, options)
}

/** A topology written in TypeScript. Throws TopologyError; places in it are paths. */
export function defineTopology(topology: TopologyInput, options: Partial<BuildOptions> = {}): Model {
  const file = options.file ?? 'topology'
  const problems = new Problems(locateNowhere)
  const tree = treeOfObject(topology)
  if ('misfit' in tree) {
    problems.add(tree.misfit, 'a topology is plain data', 'texts, numbers, true, false, lists and maps')
    throw new TopologyError(file, problems.sorted())
  }
  const parsed = buildModel(tree, problems, locateNowhere, { ...options, file })
  if ('problems' in parsed) throw new TopologyError(file, parsed.problems)
  return parsed.model
}
