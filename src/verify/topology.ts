/** The expectations of a topology that is up, tried in its own namespaces. */
import { enterer } from '../engine/enter.ts'
import { settle } from '../engine/settle.ts'
import type { Model } from '../topology/model.ts'
import { type CheckResult, type VerifyOptions, verifyExpectations } from './index.ts'

export interface TopologyOptions extends Pick<VerifyOptions, 'explain'> {
  /** ms for which what fails is tried again, while services start */
  readonly patience?: number
}

/** Tries what the topology's file expects. */
export async function verify(model: Model, options: TopologyOptions = {}): Promise<CheckResult[]> {
  using spaces = enterer(model)
  await settle(model)
  return await verifyExpectations(model.expect, { enter: spaces.enter, ...options })
}
