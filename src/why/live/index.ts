/** `--live`: the analysis beside a real packet, and what differs between the two. */
import { setTimeout as sleep } from 'node:timers/promises'
import { codeOf } from '../../engine/errors.ts'
import type { Link } from '../../rtnetlink/index.ts'
import { ruleText } from '../filter/index.ts'
import { firewallOf } from '../firewall.ts'
import type { Explanation, Live, LiveStep } from '../hops.ts'
import type { Packet } from '../packet.ts'
import type { Space } from '../space.ts'
import type { World } from '../world.ts'
import { markPacket } from './packet.ts'
import { type Eye, type Sighting, type Traced, type Tracer, traceRules, watchDevice } from './watch.ts'

/** ms that a packet may take there and back */
const PATIENCE = 1200
const STEP = 2

interface Place {
  readonly space: Space
  readonly link: Link
}

/** Devices of the analysis, in its order, each once. */
function placesOf(world: World, { hops }: Explanation): Place[] {
  const found = new Map<string, Place>()
  for (const { where, kind, object } of hops) {
    if (kind !== 'device' && kind !== 'bridge') continue
    const space = world.find(where)
    const name = object.split(' ')[0]?.split(':').at(-1)
    const link = space?.links().find((l) => l.name === name)
    if (space && link) found.set(`${where} ${link.index}`, { space, link })
  }
  return [...found.values()]
}

/** Sends the packet of the question and follows it along the way that the analysis has found. */
export async function goLive(world: World, origin: Space, made: Packet, explanation: Explanation): Promise<Live> {
  const source = origin.route({ to: made.destination })
  const packet = made.source === '' && 'route' in source ? { ...made, source: source.route.src ?? '' } : made
  const marked = markPacket(packet, Math.floor(Math.random() * 0x7fffffff) + 1)
  const places = placesOf(world, explanation)
  const spaces = [...new Set([origin, ...places.map((p) => p.space)])]
  const eyes: Eye[] = []
  const tracers: Tracer[] = []
  const notes: string[] = []
  try {
    for (const { space, link } of places) if (link.isUp) eyes.push(watchDevice(space, link, marked))
    for (const space of spaces) {
      try {
        tracers.push(traceRules(space, marked))
      } catch (error) {
        notes.push(`rules of ${space.name} are not traced: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
    const refused = sendInside(origin, marked.send)
    const followed = refused === undefined ? await follow(eyes, tracers, origin) : { sightings: [], traced: [] }
    const sightings = inOrder(followed.sightings, origin, places)
    const steps = [...sightings.map(seenStep), ...followed.traced.flatMap(tracedStep)]
    const isAnswered = made.protocol === 'udp' ? null : sightings.some((s) => isHome(s, origin))
    return judge(explanation, { steps, isAnswered, refused, notes })
  } finally {
    for (const eye of eyes) eye[Symbol.dispose]()
    for (const tracer of tracers) tracer[Symbol.dispose]()
  }
}

function sendInside(origin: Space, send: () => void): string | undefined {
  try {
    origin.inside(send)
    return undefined
  } catch (error) {
    const code = codeOf(error)
    if (code === undefined || (code === 'EPERM' && process.getuid?.() !== 0)) throw error
    return code
  }
}

function isHome({ space, way, isLeaving }: Sighting, origin: Space): boolean {
  return space === origin && way === 'answer' && !isLeaving
}

async function follow(
  eyes: readonly Eye[],
  tracers: readonly Tracer[],
  origin: Space,
): Promise<{ sightings: Sighting[]; traced: Traced[] }> {
  const sightings: Sighting[] = []
  const traced: Traced[] = []
  let end = performance.now() + PATIENCE
  while (performance.now() < end) {
    await sleep(STEP)
    const seen = eyes.flatMap((eye) => eye.look())
    sightings.push(...seen)
    traced.push(...tracers.flatMap((tracer) => tracer.look()))
    // the traces of the last namespace are on their way, too
    if (seen.some((s) => isHome(s, origin))) end = Math.min(end, performance.now() + 10)
  }
  return { sightings, traced }
}

/**
 * Each device once in each direction: what it sees first is the packet, and the other direction the answer. An echo and
 * its answer carry the same bytes, and a refused connection brings more segments of the same flow.
 */
function inOrder(sightings: readonly Sighting[], origin: Space, places: readonly Place[]): Sighting[] {
  const there = new Map<string, Sighting>()
  const back = new Map<string, Sighting>()
  for (const s of sightings) {
    const key = `${s.space.inode} ${s.link.index}`
    const first = there.get(key)
    const isAnswer = first ? first.isLeaving !== s.isLeaving : s.space === origin && !s.isLeaving
    if (isAnswer && !back.has(key)) back.set(key, { ...s, way: 'answer' })
    else if (!first && !isAnswer) there.set(key, { ...s, way: 'request' })
  }
  const keys = places.map(({ space, link }) => `${space.inode} ${link.index}`)
  return [...keys.map((key) => there.get(key)), ...keys.reverse().map((key) => back.get(key))].filter(
    (s) => s !== undefined,
  )
}

function seenStep({ space, link, way, isLeaving }: Sighting): LiveStep {
  const what = way === 'answer' ? 'the answer ' : ''
  return {
    where: space.name,
    way,
    text: `${what}seen on ${link.name}, ${isLeaving ? 'leaving' : 'coming in'}`,
    verdict: 'pass',
  }
}

/** Rules that let the packet go on without a word are not told. */
function tracedStep({ space, event }: Traced): LiveStep[] {
  if (event.type !== 'rule' && event.verdict === 'accept') return []
  if (event.verdict === 'continue' || event.verdict === 'return') return []
  const ref = {
    engine: 'nftables' as const,
    family: event.family,
    table: event.table,
    chain: event.chain,
    ...(event.handle === undefined ? {} : { handle: event.handle }),
  }
  const text = `${event.family} ${event.table} ${event.chain}: ${ruleText(firewallOf(space), ref)} → ${event.verdict}`
  return [{ where: space.name, way: 'request', text, verdict: event.verdict === 'drop' ? 'stop' : 'pass' }]
}

interface Observed {
  readonly steps: readonly LiveStep[]
  readonly isAnswered: boolean | null
  readonly refused: string | undefined
  readonly notes: readonly string[]
}

function judge({ reachable }: Explanation, { steps, isAnswered, refused, notes }: Observed): Live {
  const said = refused === undefined ? [] : [`the kernel refused to send it: ${refused}`]
  const answered = refused === undefined ? isAnswered : false
  const agrees = answered === null || reachable === null ? null : answered === reachable
  const words =
    answered === null ? 'whether it was answered cannot be seen' : answered ? 'it was answered' : 'no answer came'
  const verdict =
    agrees === null ? words : agrees ? `${words}, as the analysis says` : `${words}, and the analysis says otherwise`
  return { steps, isAnswered: answered, agrees, text: [...said, ...notes, verdict].join('; ') }
}
