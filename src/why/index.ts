/** Why a packet arrives, or does not: the way there and the way back, hop by hop. Reads only. */
import { canonicalAddress, familyOf, prefixContains } from '../ip/index.ts'
import type { ImageRule } from '../nftables/index.ts'
import { nearest } from '../topology/names.ts'
import { duplicateFault } from './checks.ts'
import type { Code } from './codes.ts'
import { addHop, type Context, type Outcome } from './context.ts'
import { takenBy } from './deliver.ts'
import { firewallOf } from './firewall.ts'
import type { Explanation, Hop } from './hops.ts'
import { hairpinRemedy } from './mend.ts'
import { inside } from './names.ts'
import type { Packet, Protocol, Tracking } from './packet.ts'
import { refineAnswer, refineDelivery, refineRequest } from './refine.ts'
import type { Fault } from './segment.ts'
import type { Space } from './space.ts'
import { mirror, tupleOf } from './tracking.ts'
import { send } from './walk.ts'
import { openWorld, type World } from './world.ts'

export type { Explanation, Hop, Live } from './hops.ts'

export interface Question {
  /** a namespace, `host`, `TOPOLOGY/host`, a pid */
  readonly from: string
  /** the same, or an address */
  readonly to: string
  readonly protocol: Protocol
  /** for tcp and udp */
  readonly port?: number
  /** of the sender, where it matters; the kernel chooses one when absent */
  readonly sourcePort?: number
  /** bytes of the whole packet; that of a small one when absent */
  readonly size?: number
  /** when `to` is a name */
  readonly family?: 4 | 6
}

/** Names that lead nowhere. `near` is one that does and looks alike. */
export class NoSuchPlace extends Error {
  override readonly name = 'NoSuchPlace'
  readonly near: string | undefined
  readonly there: readonly string[]
  constructor(what: string, there: readonly string[]) {
    super(`there is no namespace, process or address ${what}`)
    this.near = nearest(what, there)
    this.there = there
  }
}

/** Throws NoSuchPlace. */
export function explain(question: Question): Explanation {
  using world = openWorld()
  return explainIn(world, question)
}

/** The analysis, then a real packet beside it. It must be root's, and leaves nothing behind. Throws NoSuchPlace. */
export async function explainLive(question: Question): Promise<Explanation> {
  using world = openWorld()
  const explanation = explainIn(world, question)
  const origin = world.find(question.from)
  if (!origin) throw new NoSuchPlace(question.from, world.names())
  const made = packetFor(destinationOf(world, origin, question), question)
  const { goLive } = await import('./live/index.ts')
  return { ...explanation, live: await goLive(world, origin, made, explanation) }
}

export function explainIn(world: World, question: Question): Explanation {
  const origin = world.find(question.from)
  if (!origin) throw new NoSuchPlace(question.from, world.names())
  const destination = destinationOf(world, origin, question)
  const request = walkRequest(world, origin, destination, question)
  return request
}

/** The address that `to` means, seen from `origin`. */
function destinationOf(world: World, origin: Space, { to, family }: Question): string {
  const bare = to.replace(/^\[(.*)\]$/, '$1')
  const address = canonicalAddress(bare)
  if (address !== undefined) return address
  const space = world.find(bare)
  if (!space) throw new NoSuchPlace(to, world.names())
  if (space === origin) return family === 6 ? '::1' : '127.0.0.1'
  const all = space
    .addresses()
    .filter((a) => space.link(a.index)?.name !== 'lo' && a.scope !== 'link' && (!family || a.address.family === family))
  const near = all.find((a) =>
    origin.addresses().some((own) => own.scope !== 'link' && prefixContains(own.address, a.address.address)),
  )
  const reached = all.find((a) => 'route' in origin.route({ to: a.address.address }))
  const chosen = near ?? reached ?? all[0]
  if (!chosen) throw new NoSuchPlace(`${to}: it has no address`, world.names())
  return chosen.address.address
}

const SMALL: Readonly<Record<Protocol, number>> = { icmp: 84, icmpv6: 104, tcp: 60, udp: 48, sctp: 60 }

function packetFor(destination: string, { protocol, port, sourcePort, size }: Question): Packet {
  const family = familyOf(destination)
  const isEcho = protocol === 'icmp' || protocol === 'icmpv6'
  const actual: Protocol = isEcho ? (family === 4 ? 'icmp' : 'icmpv6') : protocol
  const tuple = {
    source: '',
    destination,
    ...(isEcho || sourcePort === undefined ? {} : { sourcePort }),
    ...(isEcho || port === undefined ? {} : { destinationPort: port }),
  }
  const tracking: Tracking = {
    state: 'new',
    direction: 'original',
    original: tuple,
    reply: mirror(tuple),
    mark: 0,
    isSourceTranslated: false,
    isDestinationTranslated: false,
  }
  return {
    ...tuple,
    family,
    protocol: actual,
    ...(isEcho ? { icmpType: family === 4 ? 8 : 128, icmpCode: 0 } : {}),
    ...(protocol === 'tcp' ? { tcpFlags: 2 } : {}),
    length: size ?? SMALL[actual],
    ttl: 64,
    mark: 0,
    tracking,
  }
}

function answerTo(delivered: Packet): Packet {
  const {
    in: _in,
    out: _out,
    physicalIn: _a,
    physicalOut: _b,
    sourcePort,
    destinationPort,
    icmpType,
    ...rest
  } = delivered
  return {
    ...rest,
    ...mirror(tupleOf(delivered)),
    ...(icmpType === undefined ? {} : { icmpType: delivered.family === 4 ? 0 : 129 }),
    ...(delivered.protocol === 'tcp' ? { tcpFlags: 0x12 } : {}),
    ttl: 64,
    mark: 0,
  }
}

function walkRequest(world: World, origin: Space, destination: string, question: Question): Explanation {
  const hops: Hop[] = []
  const request: Context = { world, way: 'request', hops, trackings: new Map(), visits: new Map() }
  const answer = (reachable: boolean | null, fault?: Fault): Explanation =>
    explanation(question, hops, reachable, fault)
  const made = packetFor(destination, question)
  addHop(request, origin, 'process', describePacket(made), `a program in ${origin.name} sends ${describePacket(made)}`)
  const there = send(request, origin, made)
  const stale = staleFlow(request, origin, made, there)
  if (stale) return answer(false, stale)
  if (there.kind === 'unknown') return answer(null, there.fault)
  if (there.kind === 'stopped') return answer(false, refineRequest(request, there.fault, there.packet, destination))
  const refusal = takenBy(request, there.space, there.packet)
  if (refusal && 'unknown' in refusal) return answer(null)
  if (refusal) return answer(false, refineDelivery(request, origin, there.space, there.packet, refusal))
  const back = send({ ...request, way: 'answer', visits: new Map() }, there.space, answerTo(there.packet))
  return judgeAnswer(request, origin, made, back, answer)
}

/**
 * A flow that connection tracking knows already keeps the translation of its first packet. Where the packet fails with
 * it and would arrive without it, the memory is the fault.
 */
function staleFlow(request: Context, origin: Space, made: Packet, there: Outcome): Fault | undefined {
  const space = request.remembered
  const arrives = (outcome: Outcome): boolean =>
    outcome.kind === 'delivered' && takenBy(quietly(request), outcome.space, outcome.packet) === undefined
  if (!space || arrives(there)) return undefined
  const afresh = send({ ...quietly(request), forgets: true }, origin, made)
  if (!arrives(afresh)) return undefined
  const { protocol, destination, destinationPort, sourcePort } = made
  const fault: Fault = {
    code: 'STALE_CONNTRACK',
    space,
    object: `${protocol} ${destination}:${destinationPort} from port ${sourcePort}`,
    text: `connection tracking of ${space.name} remembers this flow with a translation that no rule gives it now`,
    remedy: `conntrack -D -p ${protocol} -d ${destination} --dport ${destinationPort} --sport ${sourcePort}`,
  }
  addHop(request, space, 'tracking', fault.object, fault.text, 'stop', fault.code)
  return fault
}

function quietly(request: Context): Context {
  return { ...request, hops: [], trackings: new Map(), visits: new Map() }
}

function judgeAnswer(
  request: Context,
  origin: Space,
  made: Packet,
  back: Outcome,
  answer: (reachable: boolean | null, fault?: Fault) => Explanation,
): Explanation {
  if (back.kind === 'unknown') return answer(null, back.fault)
  if (back.kind === 'stopped') {
    return answer(false, refineAnswer(request, back.fault, back.packet, masquerades(request)))
  }
  const { packet, space } = back
  const isRight = space === origin && packet.source === made.destination && packet.sourcePort === made.destinationPort
  if (isRight) {
    const way: Context = { ...request, way: 'answer' }
    addHop(way, origin, 'process', describePacket(packet), `the answer arrives`)
    const noted = request.hops.find((hop) => hop.verdict === 'note' && hop.code)
    return answer(true, noted && duplicateOf(request, noted))
  }
  const from = packet.sourcePort === undefined ? packet.source : `${packet.source}:${packet.sourcePort}`
  const fault: Fault = {
    code: 'NO_HAIRPIN',
    space,
    object: from,
    text:
      space === origin
        ? `the answer comes from ${from}, which ${origin.name} did not ask: it took a short cut past the translation of ${made.destination}`
        : `the answer ends in ${space.name}: it does not pass where the addresses were translated`,
    file: 'publish: # covers hairpin',
    ...hairpinRemedy(request, packet),
  }
  addHop({ ...request, way: 'answer' }, space, 'process', from, fault.text, 'stop', fault.code)
  return answer(false, fault)
}

/** The fault behind a note that an address is there twice. */
function duplicateOf({ world }: Context, { where, object }: Hop): Fault | undefined {
  const space = world.find(where)
  const link = space?.link(space.addresses().find((a) => a.address.address === object)?.index)
  return space && link && duplicateFault(space, link, object)
}

/** Whether a namespace on the way there translates source addresses of others. */
function masquerades(request: Context): boolean {
  const spaces = new Set(request.hops.map((hop) => hop.where))
  for (const name of spaces) {
    const space = request.world.find(name)
    if (!space) continue
    const { image } = firewallOf(space)
    for (const table of image.tables) {
      for (const chain of table.chains.values()) {
        if (chain.base?.type !== 'nat' || chain.base.hook !== 'postrouting') continue
        if (chain.rules.some(translates)) return true
      }
    }
  }
  return false
}

function translates({ vm }: ImageRule): boolean {
  for (let i = 0, e = vm(0); e; e = vm(++i)) {
    if (e.kind === 'masq' || e.kind === 'nat' || e.kind === 'target') return true
  }
  return false
}

function describePacket(packet: Packet): string {
  const host = packet.destination.includes(':') ? `[${packet.destination}]` : packet.destination
  if (packet.protocol === 'icmp' || packet.protocol === 'icmpv6') return `an echo to ${packet.destination}`
  return `${packet.protocol} to ${host}:${packet.destinationPort}`
}

function explanation(question: Question, hops: readonly Hop[], reachable: boolean | null, fault?: Fault): Explanation {
  const { from, to, protocol, port } = question
  const target = port === undefined ? to : `${to.includes(':') ? `[${to}]` : to}:${port}/${protocol}`
  const code: Code | null = fault?.code ?? null
  const remedy = fault
    ? { file: fault.file ?? '', shell: inside((fault.mendedIn ?? fault.space).name, fault.remedy) }
    : null
  return { from, to: target, reachable, code, hops: fault ? retold(hops, fault) : hops, remedy }
}

/** The last hop says what the fault was found to be when the whole way was known. */
function retold(hops: readonly Hop[], { space, object, text, code }: Fault): readonly Hop[] {
  const last = hops.at(-1)
  if (last?.verdict !== 'stop') return hops
  return [...hops.slice(0, -1), { ...last, where: space.name, object, text, code }]
}
