/** Carries out one operation: the netlink visitor of operations. */
import { deadMark, deleteNetns, listNetns } from '../../netns/index.ts'
import { transaction } from '../../nftables/transaction.ts'
import { namespaceMark, readMark } from '../../plan/marks.ts'
import { isNftOperation, nftOperations } from '../../plan/nft-operations.ts'
import type { Operation, Place } from '../../plan/operations.ts'
import { codeOf } from '../errors.ts'
import type { Handles } from '../handles.ts'
import { startKeeper, startService, stopProcess } from '../services.ts'
import { forgetFlows } from './flows.ts'
import { applyLinkAdd, applyLinkDelete, applyLinkSet, applyLinksDelete } from './links.ts'
import { applyAddress, applyNeighbour, applyRoute, applyRule, applySysctl } from './settings.ts'

function netnsName(at: Place): string {
  if (at.netns === undefined) throw new Error('the namespace that hardway runs in is neither made nor removed')
  return at.netns
}

/** Removes files of this topology on which no namespace is mounted: hardway was killed while making or removing one. */
export function removeDeadFiles(topology: string): void {
  for (const name of listNetns()) {
    if (readMark(deadMark(name))?.topology === topology) deleteNetns(name)
  }
}

/** Throws NetlinkError, NftablesError or SysError; then this operation has changed nothing, or what undo finds. */
export function applyOperation(handles: Handles, topology: string, op: Operation): void {
  if (isNftOperation(op)) {
    transaction(nftOperations(topology, op)).commit(handles.at(op.at).nft())
    return
  }
  switch (op.kind) {
    case 'netns.add':
      handles.create({ ...op.at, netns: netnsName(op.at) }, namespaceMark(topology, op.at.name))
      return
    case 'netns.delete':
      handles.release(op.at)
      deleteNetns(netnsName(op.at))
      return
    case 'link.add':
      applyLinkAdd(handles, topology, op)
      return
    case 'link.set':
      applyLinkSet(handles, op)
      return
    case 'link.delete':
      applyLinkDelete(handles, op)
      return
    case 'links.delete':
      applyLinksDelete(handles, topology, op)
      return
    case 'address.add':
    case 'address.delete':
      applyAddress(handles.at(op.at), verbOf(op.kind), op.address)
      return
    case 'route.add':
    case 'route.delete':
      applyRoute(handles.at(op.at), verbOf(op.kind), op.route)
      return
    case 'rule.add':
    case 'rule.delete':
      applyRule(handles.at(op.at), verbOf(op.kind), op.rule)
      return
    case 'neighbour.add':
    case 'neighbour.delete':
      applyNeighbour(handles.at(op.at), verbOf(op.kind), op.neighbour)
      return
    case 'sysctl.set':
      applySysctl(handles.at(op.at), op.key, op.value)
      return
    case 'flows.delete':
      forgetFlows(handles.at(op.at), op.flow)
      return
    case 'service.start':
      startService(topology, op.at, handles.at(op.at), op.service)
      return
    case 'service.stop':
      if (op.service.pid !== undefined) stopProcess(op.service.pid, { group: true })
      return
    case 'keeper.start':
      startKeeper(topology, op.keeper)
      return
    case 'keeper.stop':
      if (op.keeper.pid !== undefined) stopProcess(op.keeper.pid, { group: false })
      return
    default:
      op satisfies never
  }
}

/** A removal of what is not there any more has done its work. */
export function isAlreadyGone(op: Operation, error: unknown): boolean {
  const code = codeOf(error)
  const isRemoval = op.kind.endsWith('.delete')
  return isRemoval && (code === 'ENOENT' || code === 'ENODEV' || code === 'ESRCH' || code === 'EADDRNOTAVAIL')
}

function verbOf(kind: `${string}.add` | `${string}.delete`): 'add' | 'delete' {
  return kind.endsWith('.add') ? 'add' : 'delete'
}
