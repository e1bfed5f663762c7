/** Echoes block after block: for numbers that would overwhelm the kernel's tables if all went out at once. */
import { createPinger, echoFamily, type Pinger } from './echo.ts'
import { openEchoSocket } from './echo-socket.ts'
import { createLoop } from './loop.ts'
import { impossible, type ProbeResult } from './result.ts'

/** ms without an answer after which the next block begins: what is lost is waited for beside it */
const STALL = 60

export interface BlockEcho {
  readonly namespace: string
  readonly address: string
  /** called exactly once */
  readonly done: (result: ProbeResult) => void
}

export interface BlockOptions {
  /** Runs `fn` inside a network namespace and comes back, synchronously. Throws when there is none of that name. */
  readonly enter: <T>(namespace: string, fn: () => T) => T
  /** ms until an unanswered echo is lost */
  readonly timeout: number
  /** called when a block has ended and, for one that has lost ones, before the next begins, too */
  readonly onBlock: (index: number) => void
}

/**
 * Sends all echoes of a block at once, over one socket for each namespace and family. A block begins when the one before
 * is answered, or when that makes no progress, so lost echoes cost one time-out in all. Rejects only with what a
 * callback throws.
 */
export async function echoInBlocks(blocks: readonly (readonly BlockEcho[])[], options: BlockOptions): Promise<void> {
  const loop = createLoop()
  const pingers = new Map<string, Pinger | ProbeResult>()
  const left = blocks.map((block) => block.length)
  let open = blocks.filter((block) => block.length > 0).length
  let progress = performance.now()
  let begun = 0

  const pingerOf = ({ namespace, address }: BlockEcho): Pinger | ProbeResult => {
    const family = echoFamily(address)
    const key = `${family} ${namespace}`
    let made = pingers.get(key)
    if (made) return made
    try {
      made = createPinger(
        loop,
        options.enter(namespace, () => openEchoSocket(family)),
      )
    } catch (error) {
      made = impossible(`cannot open an ICMP socket in ${namespace}`, error)
    }
    pingers.set(key, made)
    return made
  }

  const send = (echo: BlockEcho, index: number): void => {
    const heard = (result: ProbeResult): void => {
      progress = performance.now()
      left[index] = (left[index] ?? 1) - 1
      echo.done(result)
      if (left[index] === 0) end(index)
    }
    const pinger = pingerOf(echo)
    if ('outcome' in pinger) heard(pinger)
    else pinger.start({ address: echo.address, timeout: options.timeout }, heard)
  }

  const end = (index: number): void => {
    open--
    options.onBlock(index)
    // a block that was left behind has its successor already
    if (index + 1 === begun) begin()
  }

  const begin = (): void => {
    while (begun < blocks.length && blocks[begun]?.length === 0) begun++
    const index = begun
    const block = blocks[index]
    if (!block) return
    begun++
    progress = performance.now()
    for (const echo of block) loop.defer(() => send(echo, index))
    loop.after(STALL, () => look(index))
  }

  const look = (index: number): void => {
    if (index + 1 !== begun || left[index] === 0) return
    if (performance.now() - progress < STALL) {
      loop.after(STALL, () => look(index))
      return
    }
    options.onBlock(index)
    begin()
  }

  begin()
  try {
    await loop.run(() => open === 0)
  } finally {
    for (const pinger of pingers.values()) if ('close' in pinger) pinger.close()
  }
}
