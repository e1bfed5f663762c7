/** Every kind of expression and what it does; one entry each. */
import type { Vm, VmData, VmKind } from '../../nftables/attributes-expressions.ts'
import { VERDICT_REGISTER } from '../../nftables/attributes-expressions.ts'
import { known, unknownBits } from './bits.ts'
import { runBitwise, runByteorder, runCmp, runLoad, runRange } from './compute.ts'
import { loadExthdr, loadFib, loadNumber, loadPayload } from './load.ts'
import { ctName, loadCt } from './load-ct.ts'
import { loadMeta, metaName } from './load-meta.ts'
import { runLookup } from './lookup.ts'
import { commit, type Run, undecidable, type Verdict, verdictOf } from './run.ts'
import { runObject, runStateful } from './stateful.ts'
import * as statements from './statements.ts'
import { decodeVerdictData } from './verdicts.ts'
import { runMatch, runTarget } from './xt.ts'

type Kinds = { readonly [K in VmKind]: (run: Run, data: VmData<K>) => Verdict }

/** Bytes of NFT_RT_* and NFT_SOCKET_* */
const rtSizes = [4, 4, 16, 2, 1]
const socketSizes = [1, 4, 1, 8]

const kinds: Kinds = {
  immediate: (run, { dreg, data }) => {
    if (dreg !== VERDICT_REGISTER) return runLoad(run, dreg, known(data?.value ?? new Uint8Array(0)), 'a constant')
    if (!commit(run)) return 'break'
    return data?.verdict ? decodeVerdictData(run, data.verdict) : undecidable(run, 'the verdict')
  },
  cmp: runCmp,
  range: runRange,
  bitwise: runBitwise,
  byteorder: runByteorder,
  lookup: runLookup,
  payload: (run, data) =>
    data.sreg === undefined
      ? runLoad(run, data.dreg, loadPayload(run, data), headerName(data))
      : statements.setPayload(run, data),
  meta: (run, data) =>
    data.sreg === undefined
      ? runLoad(run, data.dreg, loadMeta(run, data.key), metaName(data.key))
      : statements.setMeta(run, data),
  ct: (run, data) =>
    data.sreg === undefined
      ? runLoad(run, data.dreg, loadCt(run, data.key, data.direction), ctName(data.key))
      : statements.setCt(run, data),
  exthdr: (run, data) =>
    data.sreg === undefined ? runLoad(run, data.dreg, loadExthdr(run, data), 'an option of the packet') : 'continue',
  fib: (run, data) => runLoad(run, data.dreg, loadFib(run, data), 'the routes'),
  rt: (run, { dreg, key = 0 }) => runLoad(run, dreg, unknownBits(rtSizes[key] ?? 1), 'the route of the packet'),
  // without a socket the rule does not match
  socket: (run, { dreg, key = 0 }) => {
    verdictOf(run, undefined, 'whether there is a socket')
    return runLoad(run, dreg, unknownBits(socketSizes[key] ?? 1), 'the socket of the packet')
  },
  numgen: (run, { dreg, modulus, offset }) => runLoad(run, dreg, loadNumber(run, modulus, offset), 'a number in turn'),
  hash: (run, { dreg, modulus, offset }) => runLoad(run, dreg, loadNumber(run, modulus, offset), 'a hash'),
  limit: (run, data) => runStateful(run, { kind: 'limit', data }),
  quota: (run, data) => runStateful(run, { kind: 'quota', data }),
  connlimit: (run, data) => runStateful(run, { kind: 'connlimit', data }),
  counter: () => 'continue',
  last: () => 'continue',
  objref: (run, { type, name, set, sreg }) => {
    if (set === undefined) return runObject(run, type ?? 0, name)
    const found = runLookup(run, { set, ...(sreg === undefined ? {} : { sreg }) })
    const named = run.firewall.image.set(run.at.family, run.at.table, set)
    return found === 'continue' ? runObject(run, named?.attributes.objectType ?? 0, undefined) : found
  },
  dynset: (run, { expr, expressions, flags = 0 }) => {
    for (const vm of expr ? [expr] : (expressions ?? [])) {
      const verdict = runStateful(run, vm)
      if (verdict !== 'continue') return verdict
    }
    // inverted: it matches where the element is there already, or the set is full
    return flags & 1 ? verdictOf(run, undefined, 'a set that rules fill') : 'continue'
  },
  notrack: statements.untrack,
  nat: statements.runNat,
  masq: statements.runMasq,
  redir: statements.runRedir,
  reject: statements.runReject,
  log: (run, { prefix }) => statements.noteLog(run, prefix),
  // the copy goes its own way
  dup: () => 'continue',
  fwd: (run) => statements.giveAway(run, 'what becomes of a packet that is forwarded to another device'),
  tproxy: (run) => statements.giveAway(run, 'whether a transparent proxy takes the packet'),
  match: runMatch,
  target: runTarget,
}

/** Expressions without attributes here that let every packet pass. */
const silent: ReadonlySet<string> = new Set(['flow_offload'])

function headerName({ base = -1, offset = 0, len = 0 }: VmData<'payload'>): string {
  const layer = ['link-layer', 'network', 'transport'][base]
  if (layer === 'transport' && offset === 0 && len === 2) return 'the source port'
  return layer ? `${len} bytes at ${offset} of the ${layer} header` : 'the payload'
}

/** Runs one expression. Throws Undecidable where it is not known what it can do. */
export function runExpression(run: Run, vm: Vm): Verdict {
  if ('raw' in vm) {
    if (silent.has(vm.kind)) return 'continue'
    return statements.giveAway(run, `the expression ${vm.kind}`)
  }
  const execute = kinds[vm.kind] as (run: Run, data: unknown) => Verdict
  return execute(run, vm.data ?? {})
}
