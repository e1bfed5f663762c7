/** hardway as a library: `import { up } from 'hardway'`. */
export { EngineError, type Outcome, planDown, planUp } from './engine/index.ts'
export { listTopologies, showTopology, type TopologySummary } from './engine/topologies.ts'
export { down, ExpectationError, type HttpWish, type Net, type UpOptions, up } from './net.ts'
export type { Operation, Plan } from './plan/operations.ts'
export { describe } from './plan/prose.ts'
export { shellScript } from './plan/shell.ts'
export {
  defineTopology,
  formatProblems,
  type Model,
  type Problem,
  parseTopology,
  TopologyError,
  type TopologyInput,
} from './topology/index.ts'
export type { CheckResult } from './verify/index.ts'
export type { Mesh, MeshResult } from './verify/mesh.ts'
export { verify } from './verify/topology.ts'
