/** For the tests of this floor and those on it: a namespace of their own, random numbers that come again, damage. */
import * as sys from '../sys/index.ts'
import { openSocket, type Socket } from './socket.ts'

/** Moves this thread into a new namespace for as long as `body` runs, with a socket there. Child processes follow. */
export function inNewNetns<T>(protocol: number, body: (socket: Socket) => T): T {
  const home = sys.open('/proc/thread-self/ns/net', sys.O_RDONLY)
  try {
    sys.unshare(sys.CLONE_NEWNET)
    using socket = openSocket(protocol)
    return body(socket)
  } finally {
    sys.setns(home, sys.CLONE_NEWNET)
    sys.close(home)
  }
}

/** The same numbers in every run, for a failure to be seen again: xorshift. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** A copy with a few bytes changed, sometimes cut short. */
export function damage(bytes: Uint8Array, random: (below: number) => number): Uint8Array {
  const copy = bytes.slice(0, random(8) ? bytes.length : random(bytes.length))
  const times = 1 + random(6)
  for (let i = 0; i < times && copy.length; i++) {
    const place = random(copy.length)
    copy[place] = [0, 255, 1, 0x80, random(256), (copy[place] ?? 0) ^ (1 << random(8))][random(6)] ?? 0
  }
  return copy
}
