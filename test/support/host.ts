/** A host for one test file, which is a process of its own: a fresh network namespace and an empty /run. */
import { after } from 'node:test'
import * as sys from '../../src/sys/index.ts'

/** Enters it until the file's tests are done. Does nothing without root, whose tests skip themselves. */
export function enterOwnHost(): void {
  if (process.getuid?.() !== 0) return
  const home = sys.open('/proc/thread-self/ns/net', sys.O_RDONLY)
  sys.unshare(sys.CLONE_NEWNET | sys.CLONE_NEWNS)
  sys.mount('', '/', 'none', sys.MS_REC | sys.MS_SLAVE)
  sys.mount('hardway-test', '/run', 'tmpfs', 0)
  after(() => sys.setns(home, sys.CLONE_NEWNET))
}
