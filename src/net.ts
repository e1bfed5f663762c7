/** A topology for programs, tests above all: up, tried with real packets, down. */
import { readFileSync } from 'node:fs'
import { enterer } from './engine/enter.ts'
import { up as makeSo, down as takeAway } from './engine/index.ts'
import type { Operation } from './plan/operations.ts'
import { type Expectation, expectationReader, type Model, type TopologyInput } from './topology/index.ts'
import { type CheckResult, verifyExpectations } from './verify/index.ts'
import { type Mesh, membersOf, verifyMesh } from './verify/mesh.ts'
import { verify } from './verify/topology.ts'
import type { Code } from './why/codes.ts'
import { reasonOf } from './why/expectation.ts'

export interface UpOptions {
  /** wins over what the file says: `true` makes the host a fresh namespace, too */
  readonly isolated?: boolean
  /** try the topology's own expectations before `up` is done; true when left out */
  readonly verify?: boolean
  /** ms for which what fails is tried again while services start; 5000 when left out */
  readonly patience?: number
}

export interface HttpWish {
  readonly status?: number
  readonly contains?: string
}

/** Each probe resolves with what was found and rejects with ExpectationError when it is not as expected. */
export interface Net extends AsyncDisposable {
  readonly name: string
  readonly model: Model
  /** what `up` did */
  readonly operations: readonly Operation[]
  /** ms that it took */
  readonly ms: number
  /** An echo from namespace to namespace or address. */
  readonly ping: (from: string, to: string) => Promise<CheckResult>
  /** A connection; `to` is `b:80`. */
  readonly tcp: (from: string, to: string) => Promise<CheckResult>
  /** Datagrams that anything answers; `to` is `b:53`. */
  readonly udp: (from: string, to: string) => Promise<CheckResult>
  /** A name asked of a server; `server` is `b` or `b:5353`, `is` an address that the answer must have. */
  readonly dns: (from: string, server: string, name: string, is?: string) => Promise<CheckResult>
  /** A request; `to` is `b:80/path`. */
  readonly http: (from: string, to: string, wish?: HttpWish) => Promise<CheckResult>
  /** Any expectation as a file has it: `fails ping a -> b`. */
  readonly expect: (text: string) => Promise<CheckResult>
  /** The expectations of the topology itself; does not reject for those that do not hold. */
  readonly verify: () => Promise<CheckResult[]>
  /** An echo between every pair of namespaces; does not reject for those that are lost. */
  readonly mesh: () => Promise<Mesh>
  /** Runs synchronous work inside a namespace: sockets opened there stay there. It must not await. */
  readonly inside: <T>(namespace: string, work: () => T) => T
  readonly down: () => Promise<void>
}

/** Something is not as expected; `checks` says what was found. */
export class ExpectationError extends Error {
  override readonly name = 'ExpectationError'
  readonly checks: readonly CheckResult[]
  constructor(checks: readonly CheckResult[]) {
    super(checks.map((check) => `${check.expectation.text}: ${check.detail}`).join('\n'))
    this.checks = checks
  }
}

const PATIENCE = 5000

/**
 * Builds a topology from a file or an object and tries its expectations. Throws TopologyError for mistakes in it,
 * EngineError when it cannot be built, ExpectationError when an expectation does not hold; then nothing of it is left.
 */
export async function up(source: string | TopologyInput, options: UpOptions = {}): Promise<Net> {
  const { patience = PATIENCE } = options
  const file = typeof source === 'string' ? source : 'topology'
  const isolated = options.isolated === undefined ? {} : { isolated: options.isolated }
  const reader = expectationReader(typeof source === 'string' ? readFileSync(source, 'utf8') : source, {
    file,
    ...isolated,
  })
  const { model } = reader
  const outcome = makeSo(model)
  const down = async (): Promise<void> => {
    takeAway(model.name)
  }
  if (options.verify !== false) {
    const failed = (await verify(model, { patience, explain: explainer(model) })).filter((check) => !check.holds)
    if (failed.length > 0) {
      await down()
      throw new ExpectationError(failed)
    }
  }
  const expect = async (text: string): Promise<CheckResult> => {
    const check = await tryOne(model, reader.read(text))
    if (!check.holds) throw new ExpectationError([check])
    return check
  }
  return {
    name: model.name,
    model,
    operations: outcome.operations,
    ms: outcome.ms,
    ping: (from, to) => expect(`ping ${from} -> ${to}`),
    tcp: (from, to) => expect(`tcp ${from} -> ${to}`),
    udp: (from, to) => expect(`udp ${from} -> ${to}`),
    dns: (from, server, name, is) => expect(`dns ${from} -> ${server} ${name}${is === undefined ? '' : ` is ${is}`}`),
    http: (from, to, wish = {}) => expect(`http ${from} -> ${to}${wordsOf(wish)}`),
    expect,
    verify: () => verify(model, { explain: explainer(model) }),
    mesh: () => verifyMesh(membersOf(model)),
    inside: (namespace, work) => {
      using spaces = enterer(model)
      return spaces.enter(namespace, work)
    },
    down,
    [Symbol.asyncDispose]: down,
  }
}

function wordsOf({ status, contains }: HttpWish): string {
  const quoted = contains === undefined ? '' : ` contains ${JSON.stringify(contains)}`
  return `${status === undefined ? '' : ` status ${status}`}${quoted}`
}

function explainer(model: Model): (expectation: Expectation) => Promise<Code | null> {
  return async (expectation) => reasonOf(model, expectation)
}

async function tryOne(model: Model, expectation: Expectation): Promise<CheckResult> {
  using spaces = enterer(model)
  const [check] = await verifyExpectations([expectation], { enter: spaces.enter, explain: explainer(model) })
  if (!check) throw new Error(`${expectation.text} was not tried`)
  return check
}

/** Takes a topology away by its name. Not an error when nothing is there. */
export async function down(topology: string): Promise<void> {
  takeAway(topology)
}
