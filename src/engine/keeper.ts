/**
 * The process that keeps the services of a topology running. It finds them by their marks, so it takes over what `up`
 * or an earlier keeper has started, and ends no service when it ends.
 */
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Place } from '../plan/operations.ts'
import type { KeptService } from '../plan/state.ts'
import { openHandles } from './handles.ts'
import { lock } from './lock.ts'
import { isRunning, listProcesses, logPath, ownKeeper, startService, stopProcess } from './services.ts'

/** ms between two looks */
const STEP = 100
/** ms before a service that has ended is started again; doubled each time, until it has run for RECOVERED ms */
const FIRST_DELAY = 100
const LONGEST_DELAY = 5000
const RECOVERED = 10_000

interface Watched {
  readonly service: KeptService
  pid: number | undefined
  /** performance.now() when it was started, and when it is to be started again */
  since: number
  again: number
  delay: number
}

/** Runs until it is ended by a signal. */
export async function keep(topology: string): Promise<never> {
  const watched = watch(topology, ownKeeper().services)
  for (;;) {
    for (const one of watched) look(topology, one)
    await sleep(STEP)
  }
}

/**
 * `up` has started them, or an earlier keeper: those that run are found. The others have ended since, and what they
 * have left behind is ended too.
 */
function watch(topology: string, services: readonly KeptService[]): Watched[] {
  const running = listProcesses(topology)
  const now = performance.now()
  return services.map((service) => {
    const inside = running.filter((p) => p.namespace === service.namespace)
    const found = inside.find((p) => p.service?.number === service.number)
    for (const { pid, parent } of inside) {
      if (!found && parent === service.number) stopProcess(pid, { group: false })
    }
    const one: Watched = { service, pid: found?.pid, since: now, again: now, delay: FIRST_DELAY }
    if (!found) postpone(topology, one, 'ended')
    return one
  })
}

/** Notes why, and when it is started again; the next time later. */
function postpone(topology: string, one: Watched, why: string): void {
  one.again = performance.now() + one.delay
  note(topology, one.service, `${why}; it starts again in ${one.delay / 1000} s`)
  one.delay = Math.min(one.delay * 2, LONGEST_DELAY)
}

function look(topology: string, one: Watched): void {
  const now = performance.now()
  if (one.pid !== undefined) {
    if (isRunning(one.pid)) return
    if (now - one.since > RECOVERED) one.delay = FIRST_DELAY
    // what it has started goes on without it, and may hold the port that the next one needs
    stopProcess(one.pid, { group: true })
    one.pid = undefined
    postpone(topology, one, 'ended')
  }
  if (now < one.again) return
  try {
    one.pid = start(topology, one.service)
    one.since = now
  } catch (error) {
    postpone(topology, one, `cannot be started: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function start(topology: string, { namespace, netns, number, argv }: KeptService): number {
  // as up and down hold it: neither finds a program half started, and none is started while one of them works
  using _ = lock()
  using handles = openHandles()
  const place: Place = netns === undefined ? { name: namespace } : { name: namespace, netns }
  return startService(topology, place, handles.at(place), { number, argv }, { isAgain: true })
}

/** Beside what the service itself has written. */
function note(topology: string, { namespace, number }: KeptService, text: string): void {
  try {
    appendFileSync(logPath(topology, namespace, number), `hardway: ${text}\n`)
  } catch {
    // the directory went with the topology, and this process goes next
  }
}
