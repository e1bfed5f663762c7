/** What is called at a hook, and in which order; linux/netfilter_ipv4.h, nf_hook_entries_grow in net/netfilter/core.c. */
import type { Family, ImageTable } from '../../nftables/index.ts'
import { type FinalVerdict, runBaseChain } from './chain.ts'
import type { Firewall } from './firewall.ts'
import type { LegacyTable } from './legacy-read.ts'
import { hasHook, runLegacyTable } from './legacy-run.ts'
import type { HookPoint, RuleRef } from './result.ts'
import { CONNTRACK_PRIORITY, isLoopbackDevice, noteStep, type Run, trackingOf } from './run.ts'
import { isTracking } from './tracked.ts'
import { applyTracking, type Side } from './translate.ts'

/** A base chain, or a table of iptables-legacy. */
interface Call {
  readonly priority: number
  readonly isNat: boolean
  readonly isRoute: boolean
  readonly run: (run: Run) => FinalVerdict
}

/** NF_IP_PRI_*: where iptables-legacy hooks its tables in */
const legacyPriorities: Readonly<Record<string, number>> = { raw: -300, mangle: -150, filter: 0, security: 50 }

/** NF_IP_PRI_NAT_DST and _SRC: all nat chains of a hook are called from one place, whatever priorities they have. */
const natSides: Readonly<Record<string, { readonly side: Side; readonly priority: number }>> = {
  prerouting: { side: 'destination', priority: -100 },
  output: { side: 'destination', priority: -100 },
  input: { side: 'source', priority: 100 },
  postrouting: { side: 'source', priority: 100 },
}

const familiesAt: Readonly<Record<HookPoint['family'], readonly Family[]>> = {
  ip: ['ip', 'inet'],
  ip6: ['ip6', 'inet'],
  bridge: ['bridge'],
  netdev: ['netdev', 'inet'],
  arp: ['arp'],
}

function isOnDevice(devices: readonly string[], { family, device }: HookPoint): boolean {
  if (family !== 'netdev') return true
  return devices.some((name) => name === device || (name.endsWith('*') && device?.startsWith(name.slice(0, -1))))
}

/** Of equal priorities the one that was made last is called first. */
function tableCalls(tables: readonly ImageTable[], point: HookPoint): Call[] {
  const here = tables.filter(({ family, isDormant }) => !isDormant && familiesAt[point.family].includes(family))
  const found = here.flatMap((table) =>
    [...table.chains.values()].flatMap((chain) => {
      const { base } = chain
      if (base?.hook !== point.hook || !isOnDevice(base.devices, point)) return []
      const run = (pass: Run): FinalVerdict => runBaseChain(pass, table, chain)
      const call = { priority: base.priority, isNat: base.type === 'nat', isRoute: base.type === 'route', run }
      return [{ call, order: [table.handle, chain.handle] as const }]
    }),
  )
  return found
    .sort((a, b) => Number(b.order[0] - a.order[0]) || Number(b.order[1] - a.order[1]))
    .map(({ call }) => call)
}

function legacyCalls(tables: readonly LegacyTable[], { family, hook }: HookPoint): Call[] {
  return tables
    .filter((table) => table.family === family && hasHook(table, hook))
    .map((table) => ({
      priority: legacyPriorities[table.name] ?? natSides[hook]?.priority ?? 0,
      isNat: table.name === 'nat',
      // its chain OUTPUT looks for the route again, as chains of type route do
      isRoute: table.name === 'mangle' && hook === 'output',
      run: (pass: Run) => runLegacyTable(pass, table),
    }))
}

const byPriority = (a: Call, b: Call): number => a.priority - b.priority

export interface Passed {
  readonly verdict: FinalVerdict
  readonly by?: RuleRef
  readonly isNatSkipped: boolean
}

/** Runs all chains of the hook once. Throws Undecidable. */
export function passHook(run: Run, { image, legacy }: Firewall): Passed {
  const calls = [...legacyCalls(legacy, run.point), ...tableCalls(image.tables, run.point)].sort(byPriority)
  const nats = calls.filter(({ isNat }) => isNat)
  const nat = run.point.family === 'ip' || run.point.family === 'ip6' ? natSides[run.point.hook] : undefined
  let isNatSkipped = false
  const plain = calls.filter(({ isNat }) => !isNat)
  const natCall: Call[] = nat
    ? [
        {
          priority: nat.priority,
          isNat: true,
          isRoute: run.point.hook === 'output',
          run: (pass) => {
            if (nats.length > 0 && !isTracking(pass.firewall, familiesAt[pass.point.family])) return 'accept'
            if (needsNat(pass)) return passNat(pass, nats, nat.side)
            isNatSkipped = nats.length > 0 && typeof trackingOf(pass) !== 'string'
            applyTracking(pass, nat.side)
            return 'accept'
          },
        },
      ]
    : []
  let by: RuleRef | undefined
  for (const call of [...plain, ...natCall].sort(byPriority)) {
    const { at } = run
    run.priority = call.priority === CONNTRACK_PRIORITY ? besideTracking(run) : call.priority
    const verdict = runCall(run, call)
    // a nat hook without a rule that translates is nothing to tell of
    if (run.at !== at) by = run.at
    if (verdict !== 'accept') {
      if (verdict === 'drop') noteStep(run, 'drop', 'drops the packet')
      return { verdict, ...(by ? { by } : {}), isNatSkipped }
    }
    if (by && run.at !== at && by.handle !== undefined) noteStep(run, 'accept', 'lets the packet go on')
  }
  return { verdict: 'accept', ...(by ? { by } : {}), isNatSkipped }
}

/** At the very priority of connection tracking, what was hooked in last is called first: either may have been. */
function besideTracking(run: Run): number {
  const doubt = { rule: run.at, what: 'whether connection tracking is called before a chain of its own priority' }
  return CONNTRACK_PRIORITY - run.choose(2, doubt)
}

function runCall(run: Run, call: Call): FinalVerdict {
  const { mark, source, destination } = run.packet
  const verdict = call.run(run)
  const { packet } = run
  if (call.isRoute && (packet.mark !== mark || packet.source !== source || packet.destination !== destination)) {
    run.isRerouted = true
  }
  return verdict
}

/** The first packet of a flow decides for all others; one that comes back over the loopback device is not the first. */
function needsNat(run: Run): boolean {
  const tracking = trackingOf(run)
  if (typeof tracking === 'string' || tracking.state !== 'new') return false
  const { hook } = run.point
  return !((hook === 'prerouting' || hook === 'input') && isLoopbackDevice(run.packet.in))
}

/** The chains in turn until one has translated. */
function passNat(run: Run, calls: readonly Call[], side: Side): FinalVerdict {
  for (const call of calls) {
    const before = run.isNatDone
    const verdict = call.run(run)
    if (verdict !== 'accept') return verdict
    if (run.isNatDone !== before) break
  }
  applyTracking(run, side)
  return 'accept'
}
