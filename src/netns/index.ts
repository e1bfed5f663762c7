/**
 * Network namespaces: create, open, enter, list, delete. Names are files under /run/netns, as ip-netns(8) keeps them.
 *
 * A namespace that hardway makes carries its owner in the alias of its loopback device, set before the namespace has a
 * name: whoever can see it can see whose it is, even when hardway was killed in between.
 */
import { mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, unlinkSync } from 'node:fs'
import { NETLINK_ROUTE, openSocket, type Socket } from '../netlink/index.ts'
import { setLink } from '../rtnetlink/index.ts'
import * as sys from '../sys/index.ts'

export const NETNS_DIR = '/run/netns'
const DOCKER_NETNS_DIR = '/run/docker/netns'
/** Main and calling thread are the same here, but a library user may call from a worker. */
const SELF = '/proc/thread-self/ns/net'
/** The loopback device has this index in every namespace; the kernel makes it first. */
const LOOPBACK = 1

export interface Netns extends Disposable {
  /** open descriptor of the namespace */
  readonly fd: number
  readonly close: () => void
}

function handle(fd: number): Netns {
  let isOpen = true
  const close = (): void => {
    if (isOpen) sys.close(fd)
    isOpen = false
  }
  return { fd, close, [Symbol.dispose]: close }
}

/** The namespace that the thread is in now. */
export function currentNetns(): Netns {
  return handle(sys.open(SELF, sys.O_RDONLY))
}

/** Opens a namespace by its file: `/run/netns/NAME`, `/proc/PID/ns/net`, … Throws SysError. */
export function openNetnsFile(path: string): Netns {
  return handle(sys.open(path, sys.O_RDONLY))
}

/** Opens a namespace by its name under /run/netns. Throws SysError (ENOENT). */
export function openNetns(name: string): Netns {
  return openNetnsFile(netnsPath(name))
}

export function netnsPath(name: string): string {
  return `${NETNS_DIR}/${name}`
}

/**
 * Runs `work` in the namespace and comes back, whatever happens. `work` must not await: the thread is in the
 * namespace only until it returns. Throws SysError EINVAL when `fd` is not a network namespace.
 */
export function inNetns<T>(fd: number, work: () => T): T {
  using home = currentNetns()
  sys.setns(fd, sys.CLONE_NEWNET)
  try {
    return work()
  } finally {
    sys.setns(home.fd, sys.CLONE_NEWNET)
  }
}

/** A netlink socket that speaks to the namespace. */
export function openSocketIn(fd: number, protocol: number): Socket {
  return inNetns(fd, () => openSocket(protocol))
}

/** What identifies a namespace whatever names it has: the inode of its file on nsfs. */
export function netnsInode(path: string = SELF): number | undefined {
  try {
    const link = readlinkSync(path)
    return Number(/\[(\d+)\]/.exec(link)?.[1])
  } catch {
    try {
      return statSync(path).ino
    } catch {
      return undefined
    }
  }
}

/**
 * Makes /run/netns a shared mount of its own, as `ip netns add` does: then a name that is removed later disappears
 * from every mount namespace that has seen it.
 */
function prepareDirectory(): void {
  mkdirSync(NETNS_DIR, { recursive: true, mode: 0o755 })
  if (sys.changeMount(NETNS_DIR, sys.MS_SHARED | sys.MS_REC)) return
  sys.mount(NETNS_DIR, NETNS_DIR, 'none', sys.MS_BIND | sys.MS_REC)
  sys.changeMount(NETNS_DIR, sys.MS_SHARED | sys.MS_REC)
}

/**
 * The file to mount on, holding `mark` until the mount covers it, so that what a crash leaves behind can be told from
 * what others own. Appears whole or not at all. Throws SysError EEXIST when the name is taken.
 */
function createMountPoint(path: string, mark: string): void {
  const fd = sys.open(NETNS_DIR, sys.O_TMPFILE | sys.O_WRONLY, 0o444)
  try {
    sys.write(fd, Buffer.from(mark))
    sys.linkat(sys.AT_FDCWD, `/proc/self/fd/${fd}`, sys.AT_FDCWD, path, sys.AT_SYMLINK_FOLLOW)
  } finally {
    sys.close(fd)
  }
}

let isPrepared = false

/** What makes the namespace that the thread is in a lasting one. */
function furnish(path: string, mark: string): { netns: Netns; route: Socket } {
  const route = openSocket(NETLINK_ROUTE)
  try {
    route.execute(setLink({ index: LOOPBACK }, { up: true, alias: mark }))
    sys.mount(SELF, path, 'none', sys.MS_BIND)
    return { netns: currentNetns(), route }
  } catch (error) {
    route.close()
    throw error
  }
}

/**
 * Creates a namespace with its loopback up and `mark` as the loopback's alias. Returns it open, with the socket that
 * spoke to it. Throws SysError (EEXIST, EPERM) or NetlinkError; then nothing is left.
 */
export function createNetns(name: string, mark: string): { readonly netns: Netns; readonly route: Socket } {
  if (!isPrepared) prepareDirectory()
  isPrepared = true
  const path = netnsPath(name)
  createMountPoint(path, mark)
  using home = currentNetns()
  try {
    sys.unshare(sys.CLONE_NEWNET)
    try {
      return furnish(path, mark)
    } finally {
      sys.setns(home.fd, sys.CLONE_NEWNET)
    }
  } catch (error) {
    unlinkSync(path)
    throw error
  }
}

/** Takes the name away; the namespace itself ends with the last process or descriptor in it. */
export function deleteNetns(name: string): void {
  const path = netnsPath(name)
  try {
    sys.umount2(path, sys.MNT_DETACH)
  } catch (error) {
    // EINVAL: a file that no namespace is mounted on, left by a crash
    if (!(error instanceof sys.SysError) || error.code !== 'EINVAL') throw error
  }
  unlinkSync(path)
}

/** Names under /run/netns, sorted; also those of dead files on which nothing is mounted. */
export function listNetns(directory: string = NETNS_DIR): string[] {
  try {
    return readdirSync(directory).sort()
  } catch {
    return []
  }
}

/** Names that Docker keeps for its containers' namespaces. */
export function listDockerNetns(): string[] {
  return listNetns(DOCKER_NETNS_DIR)
}

/** The mark in a file that createNetns made and on which nothing is mounted; undefined for any other file. */
export function deadMark(name: string): string | undefined {
  try {
    return readFileSync(netnsPath(name), 'utf8')
  } catch {
    return undefined
  }
}
