/** Ways into the namespaces of a topology. */
import { netnsOf } from '../plan/desired.ts'
import type { Model } from '../topology/model.ts'
import { EngineError } from './errors.ts'
import { openHandles } from './handles.ts'

export interface Enterer extends Disposable {
  /** Runs synchronous work inside a namespace of the file. Throws EngineError when it is not there. */
  readonly enter: <T>(namespace: string, work: () => T) => T
}

export function enterer(model: Model): Enterer {
  const handles = openHandles()
  return {
    enter: (name, work) => {
      const netns = netnsOf(model, name)
      try {
        return handles.at(netns === undefined ? { name } : { name, netns }).inside(work)
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT' && 'call' in error) {
          throw new EngineError(`namespace ${netns} is not there`, { hint: 'hardway up makes it' })
        }
        throw error
      }
    },
    [Symbol.dispose]: () => handles[Symbol.dispose](),
  }
}
