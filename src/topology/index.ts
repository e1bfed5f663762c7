/** The file: its format, its checks, and the model that all else works with. */

export type { BuildOptions, Built } from './build.ts'
export type * from './model.ts'
export { defineTopology, type ExpectationReader, expectationReader, parseTopology } from './parse.ts'
export { formatProblems, type Problem, TopologyError } from './problems.ts'
export type { TopologyInput } from './schema.ts'
