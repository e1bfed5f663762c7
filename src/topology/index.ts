/** The file: its format, its checks, and the model that all else works with. */
export type * from './model.ts'
export { defineTopology, type Parsed, type ParseOptions, parseTopology } from './parse.ts'
export { formatProblems, type Problem, TopologyError } from './problems.ts'
export type { TopologyInput } from './schema.ts'
