/**
 * One poll(2) loop that drives many probes. Handlers run synchronously; between slices the loop gives way to the
 * runtime's own event loop, so that a program which uses the library goes on breathing.
 */
import { type Polled, poll } from '../sys/index.ts'

/** ms that the loop keeps the thread, at most by its own doing */
const SLICE = 5

export interface Timer {
  readonly cancel: () => void
}

export interface Watch {
  /** Stops watching. Call it before the descriptor is closed: numbers are used again at once. */
  readonly stop: () => void
}

export interface Loop {
  /** Calls `ready` with what poll(2) reports for `fd` (POLLERR and POLLHUP come unasked). */
  readonly watch: (fd: number, events: number, ready: (events: number) => void) => Watch
  /** Calls `run` after `delay` ms. */
  readonly after: (delay: number, run: () => void) => Timer
  /** Queues work that is done in slices. */
  readonly defer: (run: () => void) => void
  /** Runs until `isDone`. */
  readonly run: (isDone: () => boolean) => Promise<void>
}

interface Entry {
  readonly at: number
  run: (() => void) | undefined
}

interface Watched extends Polled {
  readonly ready: (events: number) => void
}

/** A binary heap: thousands of probes have two timers each. */
function createTimers() {
  const heap: Entry[] = []
  const at = (i: number): number => heap[i]?.at ?? Number.POSITIVE_INFINITY
  const swap = (i: number, j: number): void => {
    const [a, b] = [heap[i], heap[j]]
    if (a && b) [heap[i], heap[j]] = [b, a]
  }
  return {
    add: (entry: Entry): void => {
      let i = heap.push(entry) - 1
      for (let up = (i - 1) >> 1; i > 0 && at(up) > at(i); i = up, up = (i - 1) >> 1) swap(i, up)
    },
    /** Takes the earliest entry away when it is due. */
    due: (now: number): Entry | undefined => {
      const [first] = heap
      if (!first || first.at > now) return undefined
      const last = heap.pop()
      if (last && heap.length > 0) {
        heap[0] = last
        for (let i = 0; ; ) {
          const left = 2 * i + 1
          const least = at(left + 1) < at(left) ? left + 1 : left
          if (at(least) >= at(i)) break
          swap(i, least)
          i = least
        }
      }
      return first
    },
    next: (): number => at(0),
  }
}

function macrotask(delay = 0): Promise<void> {
  return new Promise((resolve) => {
    if (delay > 0) setTimeout(resolve, delay)
    else setImmediate(resolve)
  })
}

export function createLoop(): Loop {
  const timers = createTimers()
  const watched = new Set<Watched>()
  let entries: Watched[] = []
  let isStale = false
  let work: (() => void)[] = []
  let worked = 0

  const pollOnce = (wait: number): void => {
    if (isStale) entries = [...watched]
    isStale = false
    const polled = entries
    for (const [i, events] of poll(polled, wait).entries()) {
      const entry = polled[i]
      // a handler before this one may have ended it, and even have opened another under the same number
      if (events !== 0 && entry && watched.has(entry)) entry.ready(events)
    }
  }

  const doWork = (until: number): void => {
    while (worked < work.length && performance.now() < until) work[worked++]?.()
    if (worked === work.length) [work, worked] = [[], 0]
  }

  return {
    watch: (fd, events, ready) => {
      const entry = { fd, events, ready }
      watched.add(entry)
      isStale = true
      return {
        stop: () => {
          if (watched.delete(entry)) isStale = true
        },
      }
    },
    after: (delay, run) => {
      const entry: Entry = { at: performance.now() + delay, run }
      timers.add(entry)
      return { cancel: () => (entry.run = undefined) }
    },
    defer: (run) => {
      work.push(run)
    },
    run: async (isDone) => {
      let yielded = performance.now()
      while (!isDone()) {
        const begin = performance.now()
        const wait = work.length > 0 ? 0 : Math.min(SLICE, Math.max(0, Math.ceil(timers.next() - begin)))
        if (watched.size > 0) pollOnce(wait)
        else if (wait > 0) await macrotask(wait)
        // only what was due before poll(2): an answer that has come while this thread was held up is never called late
        for (let entry = timers.due(begin); entry; entry = timers.due(begin)) entry.run?.()
        doWork(performance.now() + SLICE)
        if (performance.now() - yielded < SLICE) continue
        await macrotask()
        yielded = performance.now()
      }
    },
  }
}
