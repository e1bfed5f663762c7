/** The remedies of `why`, copied and run: each fault is mended by them, one after the other where several are needed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { down, up } from '../../src/engine/index.ts'
import { settle } from '../../src/engine/settle.ts'
import { defineTopology } from '../../src/index.ts'
import { type Code, codes } from '../../src/why/codes.ts'
import { type Explanation, explain } from '../../src/why/index.ts'
import { enterOwnHost } from '../support/host.ts'
import { needs } from '../support/need.ts'
import { outputOf } from '../support/run.ts'
import { type Injection, injections } from './faults.ts'
import { enter, openService, sendDatagram } from './packets.ts'
import { randomFrom, type Scenario, scenario } from './scenarios.ts'

enterOwnHost()

/** What no command mends: a program must be started or told, or time must pass. */
const COMMENTS: readonly Code[] = ['NOT_LISTENING', 'LISTENS_ON_LOOPBACK', 'DAD_PENDING']

/** No scenario has them: there is nobody to ask, or the limit is that of the whole machine. */
const ELSEWHERE: readonly Code[] = ['NO_NAMESPACE', 'CONNTRACK_FULL']

/** The most faults that one injection leaves behind: a device that goes down takes its routes along. */
const ROUNDS = 4
const SEEDS = 120

interface Case {
  readonly scenario: Scenario
  readonly fault: Injection
}

/** One case for every way to put a fault in. IPv6 addresses that go with a device are lost: no command knows them. */
function cases(): Case[] {
  const found = new Map<string, Case>()
  for (let seed = 1; seed <= SEEDS; seed++) {
    const made = scenario(`m${seed}`, randomFrom(seed))
    for (const fault of injections(made)) {
      const isLost = made.family === 6 && /^(LINK_DOWN|NO_CARRIER|LOOPBACK_DOWN)$/.test(fault.code)
      if (isLost || COMMENTS.includes(fault.code)) continue
      const key = `${fault.code} ${fault.what}`
      if (!found.has(key)) found.set(key, { scenario: made, fault })
    }
  }
  return [...found.values()]
}

const inside = (ns: string, ...argv: string[]): void => {
  enter(ns, () => outputOf(argv[0] ?? '', argv.slice(1)))
}

function ask({ scenario: s, fault }: Case): Explanation {
  return explain({
    from: s.from,
    to: fault.toItself ? s.near.address : s.target,
    protocol: s.protocol,
    ...(s.port === undefined ? {} : { port: s.port }),
    ...(fault.size === undefined ? {} : { size: fault.size }),
    ...(fault.sourcePort === undefined ? {} : { sourcePort: fault.sourcePort }),
  })
}

/** What remained after all remedies; undefined when the packet arrives. */
async function mend(one: Case): Promise<string | undefined> {
  const { scenario: s, fault } = one
  up(s.model)
  await settle(s.model)
  // what the kernel still does about carriers in the background would undo a fault of a bridge port
  await sleep(60)
  using _service =
    s.protocol === 'icmp'
      ? undefined
      : openService(s.to, s.protocol, s.family, s.servicePort ?? 0, s.family === 4 ? '0.0.0.0' : '::')
  fault.put(inside, { datagram: sendDatagram })
  const said: string[] = []
  try {
    for (let round = 0; round <= ROUNDS; round++) {
      const { reachable, code, remedy } = ask(one)
      if (code === null) return reachable && round > 0 ? undefined : `${said.join('\n')}\nreachable: ${reachable}`
      said.push(`${code}: ${remedy?.shell}`)
      if (!remedy || remedy.shell.startsWith('#')) break
      outputOf('sh', ['-ec', remedy.shell], { env: { PATH: `${dist}:${process.env.PATH}` } })
      await settle(s.model)
    }
    return said.join('\n')
  } catch (error) {
    return `${said.join('\n')}\n${error}`
  } finally {
    down(s.model.name)
  }
}

const dist = new URL('../../dist', import.meta.url).pathname

const all = cases()

test('every code has a remedy that is run here, or is listed as one that no command mends', () => {
  const tried = new Set<string>(all.map(({ fault }) => fault.code))
  const missing = Object.keys(codes).filter((code) => !tried.has(code))
  assert.deepEqual(missing.sort(), [...COMMENTS, ...ELSEWHERE].sort())
})

for (const one of all) {
  const { scenario: s, fault } = one
  test(
    `${s.kind}, IPv${s.family}: the remedy for ${fault.code} (${fault.what}) mends it`,
    {
      skip: needs('root', 'ip', 'nft', 'bridge', 'tc', 'conntrack'),
    },
    async () => assert.equal(await mend(one), undefined),
  )
}

test('a neighbour that is known is proposed as the gateway, a multicast group never', {
  skip: needs('root', 'ip'),
}, () => {
  const model = defineTopology(
    {
      name: 'groups',
      namespaces: {
        groups1: { interfaces: { e: { addresses: '10.7.0.1/24' } } },
        groups2: { interfaces: { e: { addresses: '10.7.0.2/24' } } },
      },
      links: [['groups1:e', 'groups2:e']],
    },
    { file: 'groups' },
  )
  const shell = (): string | undefined => explain({ from: 'groups1', to: '192.0.2.1', protocol: 'icmp' }).remedy?.shell
  const neighbour = (ip: string, mac: string, state: string): void =>
    inside('groups1', 'ip', 'neighbour', 'replace', ip, 'lladdr', mac, 'nud', state, 'dev', 'e')
  up(model)
  try {
    neighbour('224.0.0.22', '01:00:5e:00:00:16', 'noarp')
    assert.match(shell() ?? '', /# ip route add 192\.0\.2\.1 via GATEWAY/)
    neighbour('10.7.0.2', '02:00:00:00:00:02', 'reachable')
    assert.match(shell() ?? '', /ip route add default via 10\.7\.0\.2 dev e/)
  } finally {
    down('groups')
  }
})
