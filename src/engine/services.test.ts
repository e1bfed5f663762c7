/** Programs are kept running while the topology is up, whoever of those concerned is killed. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { enterOwnHost } from '../../test/support/host.ts'
import { needs } from '../../test/support/need.ts'
import { type Model, parseTopology } from '../topology/index.ts'
import { down, EngineError, planDown, up } from './index.ts'
import { lock } from './lock.ts'
import { listProcesses, logPath } from './services.ts'
import { listTopologies, showTopology } from './topologies.ts'

// before the host is left
after(() => {
  if (process.getuid?.() !== 0) return
  down('kept')
  down('alone')
})
enterOwnHost()

function topology(...programs: readonly string[]): Model {
  const text = `{"name": "kept", "namespaces": {"a": {"run": ${JSON.stringify(programs)}}}}`
  const parsed = parseTopology(text, { file: 'kept.json' })
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems))
  return parsed.model
}

const keeperPid = (): number | undefined => listProcesses('kept').find((p) => p.keeper)?.pid
const servicePid = (number: number): number | undefined =>
  listProcesses('kept').find((p) => p.service?.number === number)?.pid

/** Waits up to `limit` ms for a value that `is`. */
async function until<T>(read: () => T, is: (value: T) => boolean, limit = 5000): Promise<T> {
  for (const end = performance.now() + limit; ; await sleep(20)) {
    const value = read()
    if (is(value)) return value
    assert.ok(performance.now() < end, `still ${value}`)
  }
}

function kill(pid: number | undefined): void {
  assert.ok(pid !== undefined)
  process.kill(pid, 'SIGKILL')
}

test('a service that is killed runs again within a second, and the log says so; up has nothing to do; ls shows both', {
  skip: needs('root'),
}, async () => {
  const model = topology('sleep 1000', 'sleep 2000')
  up(model)
  const first = servicePid(1)
  const other = servicePid(2)
  kill(first)
  // maybe before its keeper is at work
  const second = await until(
    () => servicePid(1),
    (pid) => pid !== undefined && pid !== first,
  )
  kill(second)
  const again = await until(
    () => servicePid(1),
    (pid) => pid !== undefined && pid !== second,
    1000,
  )
  assert.equal(servicePid(2), other)
  assert.match(readFileSync(logPath('kept', 'a', 1), 'utf8'), /hardway: ended; it starts again in 0\.[12] s/)
  assert.deepEqual(up(model).operations, [])
  assert.equal(servicePid(1), again)
  const [summary] = listTopologies()
  assert.deepEqual(summary?.services, ['a: sleep 1000', 'a: sleep 2000'])
  assert.equal(summary?.keeper, keeperPid())
  down('kept')
  assert.deepEqual(listProcesses('kept'), [])
})

test('a keeper that is killed: services go on, the next up starts one that takes them over', {
  skip: needs('root'),
}, async () => {
  const model = topology('sleep 1000')
  up(model)
  const service = servicePid(1)
  kill(await until(keeperPid, (pid) => pid !== undefined))
  await until(keeperPid, (pid) => pid === undefined)
  assert.equal(servicePid(1), service)
  assert.deepEqual(
    up(model).operations.map((op) => op.kind),
    ['keeper.start'],
  )
  await until(keeperPid, (pid) => pid !== undefined)
  assert.equal(servicePid(1), service)
  await sleep(300)
  kill(service)
  await until(
    () => servicePid(1),
    (pid) => pid !== undefined && pid !== service,
  )
  // and down without a keeper, too
  kill(keeperPid())
  down('kept')
  assert.deepEqual(listProcesses('kept'), [])
})

test('while up or down is at work, nothing is started beside it', { skip: needs('root') }, async () => {
  up(topology('sleep 1000'))
  const first = servicePid(1)
  await until(keeperPid, (pid) => pid !== undefined)
  {
    using _ = lock()
    kill(first)
    await sleep(600)
    assert.equal(servicePid(1), undefined)
  }
  await until(
    () => servicePid(1),
    (pid) => pid !== undefined && pid !== first,
  )
  down('kept')
  assert.deepEqual(listProcesses('kept'), [])
})

test('programs on the host are found where nothing else is of their topology', { skip: needs('root') }, async () => {
  const parsed = parseTopology('{"name": "alone", "host": {"run": ["sleep 1000"]}}', { file: 'alone.json' })
  assert.ok('model' in parsed)
  up(parsed.model)
  await until(
    () => listTopologies().map(({ name, services, keeper }) => ({ name, services, isKept: keeper !== undefined })),
    ([summary]) => summary?.isKept === true,
  )
  assert.deepEqual(
    showTopology('alone').map((n) => [...n.services.values()].map((s) => s.argv)),
    [[['sleep', '1000']]],
  )
  assert.deepEqual(up(parsed.model).operations, [])
  assert.deepEqual(
    planDown('alone').operations.map((op) => op.kind),
    ['keeper.stop', 'service.stop'],
  )
  const withoutPrograms = parseTopology('{"name": "alone"}', { file: 'alone.json' })
  assert.ok('model' in withoutPrograms)
  up(withoutPrograms.model)
  assert.deepEqual(listProcesses('alone'), [])
  assert.deepEqual(listTopologies(), [])
})

test('a program that ends at once is started less and less often', { skip: needs('root') }, async () => {
  up(topology('false'))
  await sleep(2000)
  const starts = readFileSync(logPath('kept', 'a', 1), 'utf8').match(/starts again in [\d.]+ s/g) ?? []
  // after 0.1, 0.2, 0.4 and 0.8 s, and some time to see each end
  assert.ok(starts.length >= 2 && starts.length <= 5, starts.join(', '))
  assert.deepEqual(starts.slice(0, 2), ['starts again in 0.1 s', 'starts again in 0.2 s'])
  down('kept')
  assert.deepEqual(listProcesses('kept'), [])
})

test('a changed list changes only what differs; a program that does not exist is an error that leaves nothing', {
  skip: needs('root'),
}, async () => {
  up(topology('sleep 1000', 'sleep 2000'))
  const [first, keeper] = [servicePid(1), await until(keeperPid, (pid) => pid !== undefined)]
  up(topology('sleep 1000', 'sleep 3000'))
  assert.equal(servicePid(1), first)
  await until(keeperPid, (pid) => pid !== undefined && pid !== keeper)
  down('kept')
  assert.throws(
    () => up(topology('sleep 1000', 'no-such-program-here')),
    (error: unknown) => {
      assert.ok(error instanceof EngineError)
      assert.match(error.message, /service\.start failed: service in a: no-such-program-here: .*no such program/)
      return true
    },
  )
  assert.deepEqual(listProcesses('kept'), [])
  assert.deepEqual(listTopologies(), [])
})

test('up while a program waits to be started again leaves that to the keeper', { skip: needs('root') }, async () => {
  const model = topology('false')
  up(model)
  await until(
    () => readFileSync(logPath('kept', 'a', 1), 'utf8'),
    (log) => log.includes('starts again in 0.8 s'),
  )
  assert.equal(servicePid(1), undefined)
  assert.deepEqual(up(model).operations, [])
  down('kept')
})

test('what a program has started ends with it: before it starts again, and with down', {
  skip: needs('root'),
}, async () => {
  const inside = (): number[] => listProcesses('kept').flatMap((p) => (p.service || p.keeper ? [] : [p.pid]))
  up(topology("sh -c 'sleep 1000; true'"))
  const [child] = await until(inside, (pids) => pids.length === 1)
  // at once: a keeper that has not yet looked must find what is left, too
  kill(servicePid(1))
  await until(inside, (pids) => pids.length === 1 && pids[0] !== child)
  // nobody is left to see that it has ended
  const leader = servicePid(1)
  kill(keeperPid())
  kill(leader)
  await until(
    () => servicePid(1),
    (pid) => pid === undefined,
  )
  assert.equal(inside().length, 1)
  down('kept')
  assert.deepEqual(listProcesses('kept'), [])
})

test('as soon as up is done, a service and its keeper can be found', { skip: needs('root') }, async () => {
  const model = topology('sleep 1000')
  // each new process has a moment in which the kernel shows no environment of it
  for (let i = 0; i < 15; i++) {
    up(model)
    assert.ok(servicePid(1) !== undefined)
    kill(keeperPid())
    await until(keeperPid, (pid) => pid === undefined)
  }
  down('kept')
})
