/** One hardway at a time changes the kernel: flock(2) on a directory that holds nothing else of weight. */
import { mkdirSync } from 'node:fs'
import * as sys from '../sys/index.ts'

export const RUN_DIR = '/run/hardway'

/** Waits for the lock; `onWait` is called once when somebody else holds it. Released by dispose, or by the kernel. */
export function lock(onWait: () => void = () => {}): Disposable {
  mkdirSync(RUN_DIR, { recursive: true, mode: 0o755 })
  const fd = sys.open(RUN_DIR, sys.O_RDONLY)
  try {
    if (!sys.flock(fd, sys.LOCK_EX | sys.LOCK_NB)) {
      onWait()
      while (!sys.flock(fd, sys.LOCK_EX)) {
        // interrupted by a signal: wait on
      }
    }
  } catch (error) {
    sys.close(fd)
    throw error
  }
  return { [Symbol.dispose]: () => sys.close(fd) }
}
