import type { Operation } from './operation.ts'
export function renderOperation(o: Operation): string {
  return `${o.verb} ${o.kind}`
}
