/** A capture in one or several namespaces at once: one ring for each, packets in the order of their times. */
import { setTimeout as delay, setImmediate as macrotask } from 'node:timers/promises'
import { POLLERR, POLLIN, poll, socketError } from '../../sys/index.ts'
import type { Filter } from './filter.ts'
import { compileCapture } from './filter-compile.ts'
import { openRing, type Packet, RETIRE_AFTER, type Ring } from './ring.ts'

/** Where to listen: in one namespace. */
export interface CaptureSource {
  /** name of the namespace */
  readonly name: string
  /** Runs work inside it and comes back. */
  readonly inside: <T>(work: () => T) => T
  /** indices of interfaces; all, also those to come, when left out */
  readonly devices?: readonly number[]
}

/** Takes packets in order of time; their bytes are there only during the call. False when no more are wanted. */
export type PacketHandler = (packets: readonly Packet[]) => boolean

export interface Capture {
  /**
   * Hands over what comes until no more is wanted or `isStopped`; in that case what has come before is still handed
   * over. Between two calls the runtime's event loop gets its turn.
   */
  readonly run: (onPackets: PacketHandler, isStopped: () => boolean) => Promise<void>
  /** Packets that the kernel had no room for. */
  readonly dropped: () => number
  readonly close: () => void
}

/** bytes for all rings together, as long as none gets too small */
const MEMORY = 64 << 20
const MOST_FOR_ONE = 32 << 20
const LARGE_BLOCK = 256 << 10
const SMALL_BLOCK = 64 << 10
const FEW_RINGS = 32
const FEWEST_BLOCKS = 4

/** ms that poll(2) keeps the thread: a signal ends it early */
const PATIENCE = 100
/** A packet is certain to be known when it is older than this (ms): a block waits for it, and the kernel's timer is late. */
const CERTAIN_AFTER = RETIRE_AFTER + 30
/** From here on no ring waits for others to tell what came before. */
const NEARLY_FULL = 0.5

/** Opens the rings; from its return on nothing is missed. Throws SysError (EPERM without CAP_NET_RAW), RangeError. */
export function openCapture(sources: readonly CaptureSource[], filter: Filter | undefined): Capture {
  const rings: Ring[] = []
  let isClosed = false
  const close = (): void => {
    isClosed = true
    for (const ring of rings) ring.close()
  }
  const share = Math.min(MOST_FOR_ONE, MEMORY / sources.length)
  const blockSize = sources.length <= FEW_RINGS ? LARGE_BLOCK : SMALL_BLOCK
  const blocks = Math.max(FEWEST_BLOCKS, Math.floor(share / blockSize))
  try {
    for (const { name, inside, devices } of sources) {
      const program = compileCapture(filter, devices)
      const [device, ...others] = devices ?? []
      const only = device !== undefined && others.length === 0 ? { device } : {}
      rings.push(inside(() => openRing({ namespace: name, program, blockSize, blocks, ...only })))
    }
  } catch (error) {
    close()
    throw error
  }

  const entries = rings.map(({ fd }) => ({ fd, events: POLLIN }))
  let dropped = 0

  const wait = (): void => {
    for (const [i, events] of poll(entries, PATIENCE).entries()) {
      // an interface went down or away: told once, and again with every poll(2) until it is read
      if (events & POLLERR) socketError(entries[i]?.fd ?? -1)
    }
  }
  const horizon = (): number => {
    const isPressed = rings.length === 1 || rings.some((ring) => ring.fill() > NEARLY_FULL)
    return isPressed ? Number.POSITIVE_INFINITY : Date.now() - CERTAIN_AFTER
  }
  /** Hands over what has come up to that time. */
  const round = (until: number, onPackets: PacketHandler): { readonly isEnough: boolean; readonly isAll: boolean } => {
    const list: Packet[] = []
    let isAll = true
    for (const ring of rings) isAll = ring.collect(until, list) && isAll
    if (rings.length > 1) list.sort((a, b) => a.seconds - b.seconds || a.nanoseconds - b.nanoseconds)
    const isEnough = list.length > 0 && !onPackets(list)
    for (const ring of rings) ring.release()
    return { isEnough, isAll }
  }

  return {
    run: async (onPackets, isStopped) => {
      while (!isStopped()) {
        wait()
        const { isEnough, isAll } = round(horizon(), onPackets)
        if (isEnough) return
        // poll(2) would not wait for packets that are there, but not yet certain to be the next ones
        await (isAll ? macrotask() : delay(RETIRE_AFTER / 4))
        if (isClosed) return
      }
      for (const ring of rings) ring.stop()
      // the last blocks are handed over when their time is up
      await delay(CERTAIN_AFTER)
      if (!isClosed) round(Number.POSITIVE_INFINITY, onPackets)
    },
    dropped: () => {
      for (const ring of rings) dropped += ring.drops()
      return dropped
    },
    close,
  }
}
