/** Programs inside a namespace, as `ip netns exec`: this process becomes the program. */
import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs'
import { delimiter } from 'node:path'
import { openNetns } from '../netns/index.ts'
import { HOST } from '../plan/state.ts'
import * as sys from '../sys/index.ts'
import { codeOf, EngineError } from './errors.ts'
import { openHandles } from './handles.ts'
import { listOwnedNetns, type OwnedNetns, readNetnsMark } from './observe.ts'
import { processMarks } from './services.ts'
import { netnsExists } from './topologies.ts'

/** Where a name leads: a file under /run/netns, or nowhere else than here (`host`). */
export interface Destination {
  readonly netns?: string
  readonly owner?: OwnedNetns
}

/**
 * `netns1`, `host`, or `TOPOLOGY/NAME` where a name alone would be another one: `bridge/host` is the host of the
 * isolated topology `bridge`. Throws EngineError with what there is.
 */
export function findNamespace(name: string): Destination {
  using handles = openHandles()
  const [topology, inner] = name.includes('/') ? name.split('/', 2) : [undefined, undefined]
  if (topology !== undefined) {
    const owner = listOwnedNetns(handles).find((n) => n.topology === topology && n.namespace === inner)
    if (owner) return { netns: owner.netns, owner }
    if (inner === HOST && listOwnedNetns(handles).some((n) => n.topology === topology)) return {}
  } else if (name === HOST) {
    return {}
  } else if (netnsExists(name)) {
    const mark = readNetnsMark(handles, name)
    if (!mark) return { netns: name }
    return { netns: name, owner: { netns: name, topology: mark.topology, namespace: mark.namespace ?? name } }
  }
  const there = listOwnedNetns(handles).map((n) => (n.namespace === HOST ? `${n.topology}/${HOST}` : n.netns))
  throw new EngineError(`there is no namespace ${name}`, {
    hint:
      there.length === 0 ? 'nothing is up; hardway up FILE makes some' : `there are: ${[HOST, ...there].join(', ')}`,
  })
}

/** The program's file, by PATH. Throws EngineError. */
function findProgram(name: string): string {
  const places = name.includes('/')
    ? [name]
    : (process.env.PATH ?? '/usr/bin:/bin').split(delimiter).map((d) => `${d}/${name}`)
  for (const path of places) {
    try {
      accessSync(path, constants.X_OK)
      if (statSync(path).isFile()) return path
    } catch {
      // not here
    }
  }
  throw new EngineError(`there is no program ${name}`, { hint: 'give its full path, or install it' })
}

function mountSys(netns: string): void {
  try {
    sys.umount2('/sys', sys.MNT_DETACH)
  } catch (error) {
    // nothing is mounted there, or it came with a user namespace and is locked (mount_namespaces(7)): ours goes on top
    if (codeOf(error) !== 'EINVAL') throw error
  }
  try {
    sys.mount(netns, '/sys', 'sysfs', 0)
  } catch (error) {
    // parts of /sys are covered, as in a container, and a user namespace may not uncover them: it stays as it was
    if (codeOf(error) !== 'EPERM') throw error
  }
}

/**
 * A mount namespace in which /sys shows this network namespace's devices, and files under /etc/netns/NAME stand in
 * for those in /etc; ip-netns(8).
 */
function mountsFor(netns: string): void {
  sys.unshare(sys.CLONE_NEWNS)
  sys.mount('', '/', 'none', sys.MS_SLAVE | sys.MS_REC)
  mountSys(netns)
  const etc = `/etc/netns/${netns}`
  for (const file of existsSync(etc) ? readdirSync(etc) : []) {
    if (existsSync(`/etc/${file}`)) sys.mount(`${etc}/${file}`, `/etc/${file}`, 'none', sys.MS_BIND)
  }
}

/** Replaces this process. Returns only by throwing. */
export function execInside(name: string, argv: readonly string[]): never {
  const { netns, owner } = findNamespace(name)
  const path = findProgram(argv[0] ?? '')
  const marks = owner ? processMarks(owner.topology, owner.namespace) : {}
  if (netns !== undefined) {
    sys.setns(openNetns(netns).fd, sys.CLONE_NEWNET)
    mountsFor(netns)
  }
  const env = Object.fromEntries(Object.entries(process.env).filter((e): e is [string, string] => e[1] !== undefined))
  sys.execve(path, argv, { ...env, ...marks })
}
