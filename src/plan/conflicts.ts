/** What stands in the way of a plan: names and devices on this machine. Found before anything is touched. Pure. */
import type { Interface, Model, Position } from '../topology/model.ts'
import { netnsOf } from './desired.ts'
import { HOST, type Surroundings } from './state.ts'

export interface Conflict {
  readonly message: string
  /** what to do about it */
  readonly hint: string
  readonly at?: Position
}

function placed(at: Position | undefined): { at?: Position } {
  return at === undefined ? {} : { at }
}

function linkConflict(i: Interface, around: Surroundings): Conflict | undefined {
  const other = around.foreign.links.get(i.name)
  if (i.link.kind === 'existing') {
    if (other) return undefined
    return {
      message: `there is no device ${i.name} on this machine`,
      hint: `give it an end in links, or name one of: ${[...around.foreign.links.keys()].join(', ')}`,
      ...placed(i.at),
    }
  }
  if (!other) return undefined
  return {
    message: `a link named ${i.name} exists already and is not ours`,
    hint: `choose another name, remove it (ip link del ${i.name}), or use an isolated host (--isolated)`,
    ...placed(i.at),
  }
}

export function findConflicts(model: Model, around: Surroundings): Conflict[] {
  const conflicts: Conflict[] = []
  for (const namespace of model.namespaces) {
    const netns = netnsOf(model, namespace.name)
    const owner = netns === undefined ? undefined : around.owners.get(netns)
    if (netns !== undefined && owner !== undefined) {
      conflicts.push({
        message: `a namespace named ${netns} exists already and ${owner === '' ? 'is not ours' : `belongs to topology ${owner}`}`,
        hint:
          owner === ''
            ? `choose another name, or remove it (ip netns del ${netns})`
            : `take that down first (hardway down ${owner})`,
        ...placed(namespace.at),
      })
    }
    if (netns === undefined && namespace.name === HOST) {
      for (const i of namespace.interfaces) {
        const conflict = linkConflict(i, around)
        if (conflict) conflicts.push(conflict)
      }
    }
  }
  for (const m of model.masquerade) {
    if (m.namespace !== HOST || model.isolated || m.out !== 'default') continue
    const host = model.namespaces.find((n) => n.name === HOST)
    const hasOwn = host?.routes.some((r) => r.to.length === 0 && r.to.family === m.from.family)
    if (around.defaultDevice[m.from.family] === undefined && !hasOwn) {
      conflicts.push({
        message: `masquerade to the default route's device, but this machine has no default route for IPv${m.from.family}`,
        hint: 'name the device in `out`',
        ...placed(m.at),
      })
    }
  }
  return conflicts
}
