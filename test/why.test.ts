/**
 * `why` against real packets: random topologies, one random fault in each, or none. HARDWAY_WHY_CASES sets how many,
 * HARDWAY_WHY_SEED replays one, HARDWAY_WHY_CODE takes one code alone.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { down, up } from '../src/engine/index.ts'
import { settle } from '../src/engine/settle.ts'
import { type Explanation, explain } from '../src/why/index.ts'
import { enterOwnHost } from './support/host.ts'
import { needs } from './support/need.ts'
import { outputOf } from './support/run.ts'
import { anyInjection, type Injection } from './why/faults.ts'
import { enter, openService, type Sent, type Service, sendAll, sendDatagram } from './why/packets.ts'
import { randomFrom, type Scenario, scenario } from './why/scenarios.ts'

enterOwnHost()

const replayed = process.env.HARDWAY_WHY_SEED
const code = process.env.HARDWAY_WHY_CODE
const CASES = replayed ? 1 : Number(process.env.HARDWAY_WHY_CASES ?? 500)
const BATCH = 32
/** Tests of this many cases each: none takes longer than a test may. */
const PART = 125
const firstSeed = Number(replayed ?? Date.now() % 1e9)

interface Case {
  readonly seed: number
  readonly scenario: Scenario
  readonly fault: Injection | undefined
}

interface Tried extends Case {
  readonly explanation: Explanation
  readonly isAnswered: boolean
}

const inside = (ns: string, ...argv: string[]): void => {
  enter(ns, () => outputOf(argv[0] ?? '', argv.slice(1)))
}

function makeCase(seed: number, number: number): Case {
  const random = randomFrom(seed)
  const made = scenario(`w${number}`, random)
  const isSound = code === undefined && random(12) === 0
  const fault = isSound ? undefined : anyInjection(made, random, code)
  return { seed, scenario: made, fault }
}

function packetOf({ scenario: s, fault }: Case): Sent {
  return {
    from: s.from,
    target: fault?.toItself ? s.near.address : s.target,
    family: s.family,
    protocol: s.protocol,
    port: s.port ?? 0,
    ...(fault?.size === undefined ? {} : { size: fault.size }),
    ...(fault?.sourcePort === undefined ? {} : { sourcePort: fault.sourcePort }),
  }
}

/** A UDP service with several addresses answers from the right one only when it is bound to it. */
function addressFor(s: Scenario, fault: Injection | undefined): string {
  if (fault?.listen === 'loopback') return s.family === 4 ? '127.0.0.1' : '::1'
  return s.protocol === 'udp' && s.kind === 'translated' ? s.far.address : s.family === 4 ? '0.0.0.0' : '::'
}

async function tryBatch(cases: readonly Case[]): Promise<Tried[]> {
  const services: Service[] = []
  try {
    for (const { scenario: s } of cases) up(s.model)
    await Promise.all(cases.map(({ scenario: s }) => settle(s.model)))
    // what the kernel still does about carriers in the background would undo a fault of a bridge port
    await sleep(60)
    for (const { scenario: s, fault } of cases) {
      if (s.protocol !== 'icmp' && s.servicePort !== undefined && fault?.listen !== 'nowhere') {
        services.push(openService(s.to, s.protocol, s.family, s.servicePort, addressFor(s, fault)))
      }
      fault?.put(inside, { datagram: sendDatagram })
    }
    const explanations = cases.map((one) => {
      const packet = packetOf(one)
      return explain({
        from: packet.from,
        to: packet.target,
        protocol: packet.protocol,
        ...(packet.protocol === 'icmp' ? {} : { port: packet.port }),
        ...(packet.size === undefined ? {} : { size: packet.size }),
        ...(packet.sourcePort === undefined ? {} : { sourcePort: packet.sourcePort }),
      })
    })
    const answers = await sendAll(cases.map(packetOf), services)
    return cases.map((one, i) => ({
      ...one,
      explanation: explanations[i] as Explanation,
      isAnswered: answers[i] ?? false,
    }))
  } finally {
    for (const service of services) service[Symbol.dispose]()
    for (const { scenario: s } of cases) down(s.model.name)
  }
}

function describe({ seed, scenario: s, fault, explanation: e, isAnswered }: Tried): string {
  const put = fault ? `${fault.code} (${fault.what})` : 'no fault'
  const said = e.reachable === null ? 'unknown' : e.reachable ? 'arrives' : 'does not arrive'
  const last = e.hops.findLast((hop) => hop.verdict !== 'pass') ?? e.hops.at(-1)
  return `seed ${seed}: ${s.kind} IPv${s.family} ${s.protocol}, ${put}: why says ${said} ${e.code ?? ''}, the packet ${isAnswered ? 'is' : 'is not'} answered\n    ${last?.where} ${last?.kind}: ${last?.text}`
}

const all: Tried[] = []

for (let start = 0; start < CASES; start += PART) {
  const count = Math.min(PART, CASES - start)
  test(`${count} random topologies with a fault each, from seed ${firstSeed + start}: why agrees with the packets`, {
    skip: needs('root', 'ip', 'nft', 'bridge', 'tc'),
  }, async () => {
    const tried: Tried[] = []
    for (let at = start; at < start + count; at += BATCH) {
      const numbers = Array.from({ length: Math.min(BATCH, start + count - at) }, (_, i) => i)
      const batch = numbers.map((i) => makeCase(firstSeed + at + i, i))
      tried.push(...(await tryBatch(batch.filter((one) => code === undefined || one.fault))))
    }
    all.push(...tried)
    const wrong = tried.filter(isWrong).map(describe)
    assert.deepEqual(wrong, [])
  })
}

function isUnknown({ explanation }: Tried): boolean {
  return explanation.reachable === null
}

function isWrong(t: Tried): boolean {
  return !isUnknown(t) && t.explanation.reachable !== t.isAnswered
}

function isMisnamed(t: Tried): boolean {
  return !isUnknown(t) && !isWrong(t) && (t.fault?.code ?? null) !== t.explanation.code
}

test('of all cases at most 3 % are unknown, and at least 97 % of the faults have the right name', {
  skip: needs('root', 'ip', 'nft', 'bridge', 'tc'),
}, () => {
  const [unknown, misnamed] = [all.filter(isUnknown), all.filter(isMisnamed)]
  const codes = new Set(all.flatMap((t) => t.fault?.code ?? []))
  const count = all.length
  console.log(
    `${count} cases, ${codes.size} codes: ${all.filter(isWrong).length} wrong, ${unknown.length} unknown, ${misnamed.length} named otherwise`,
  )
  const told = [...unknown, ...misnamed].map(describe).join('\n')
  if (told !== '') console.log(told)
  assert.ok(unknown.length <= count * 0.03, told)
  assert.ok(misnamed.length <= count * 0.03, told)
})
