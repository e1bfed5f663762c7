/** Expressions that count: in rules, in elements of sets, or named objects. A single packet is taken for one within limits. */
import { dataOf, type Vm } from '../../nftables/attributes-expressions.ts'
import { noteStep, type Run, type Verdict, verdictOf } from './run.ts'

/** NFT_LIMIT_F_INV, NFT_QUOTA_F_INV, NFT_CONNLIMIT_F_INV: it matches what is over */
const OVER = 1

export function runLimit(run: Run, flags: number): Verdict {
  noteStep(run, 'assume', 'the rate is taken for one within the limit')
  return flags & OVER ? 'break' : 'continue'
}

export function runStateful(run: Run, vm: Vm): Verdict {
  const limit = dataOf(vm, 'limit')
  if (limit) return runLimit(run, limit.flags ?? 0)
  const quota = dataOf(vm, 'quota')
  if (quota) {
    const isOver = (quota.consumed ?? 0n) + BigInt(run.packet.length) > (quota.bytes ?? 0n)
    return isOver === (((quota.flags ?? 0) & OVER) !== 0) ? 'continue' : 'break'
  }
  const connlimit = dataOf(vm, 'connlimit')
  if (connlimit) {
    // the flow itself is one
    const claim = connlimit.count === 0 ? ((connlimit.flags ?? 0) & OVER) !== 0 : undefined
    return verdictOf(run, claim, 'the number of connections')
  }
  return 'continue'
}

/** NFT_OBJECT_* that say nothing of the packet: counters, helpers, timeouts, expectations, security marks */
const silentObjects: ReadonlySet<number> = new Set([1, 3, 7, 8, 9])

export function runObject(run: Run, type: number, name: string | undefined): Verdict {
  if (silentObjects.has(type)) return 'continue'
  const object = name === undefined ? undefined : run.firewall.image.object(run.at.family, run.at.table, name, type)
  return object ? runStateful(run, object) : verdictOf(run, undefined, `the object ${name ?? `of type ${type}`}`)
}
