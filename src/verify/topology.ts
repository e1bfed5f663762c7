/** The expectations of a topology that is up, tried in its own namespaces. */
import { enterer } from '../engine/enter.ts'
import { settle } from '../engine/settle.ts'
import type { Model } from '../topology/model.ts'
import { type CheckResult, verifyExpectations } from './index.ts'

/** `patience`: ms for which what fails is tried again, while services start. */
export async function verify(model: Model, options: { readonly patience?: number } = {}): Promise<CheckResult[]> {
  using spaces = enterer(model)
  await settle(model)
  return await verifyExpectations(model.expect, { enter: spaces.enter, patience: options.patience })
}
