/** Every network namespace of this machine that can be found: by file, by process, by container. */
import { readdirSync, statSync } from 'node:fs'
import { currentNetns, listNetns, NETNS_DIR, netnsInode, openNetnsFile } from '../netns/index.ts'
import { HOST } from '../plan/state.ts'
import { getNamespaceId } from '../rtnetlink/index.ts'
import { nameOfNetns, netnsOf } from './names.ts'
import { type From, openSpace, type Space } from './space.ts'

const DOCKER_DIR = '/run/docker/netns'

/** Where a namespace can be entered, before anybody has. */
interface Candidate {
  readonly name: string
  readonly path: string
}

interface Found extends Candidate {
  readonly inode: number
}

export interface World extends Disposable {
  readonly host: Space
  /** By name (`host`, `netns1`, `TOPOLOGY/host`), by pid, or by path. Undefined when there is none. */
  readonly find: (name: string) => Space | undefined
  /** Every name that `find` takes, but pids. */
  readonly names: () => readonly string[]
  /** The namespace that `space` numbers so (link-netnsid); undefined when nothing on this machine names it. */
  readonly byId: (space: Space, nsid: number) => Space | undefined
}

function isInode(value: number | undefined): value is number {
  return value !== undefined && !Number.isNaN(value)
}

/** Files and processes; each namespace once, under its best name. */
function* candidates(): Generator<Candidate> {
  for (const name of listNetns()) yield { name, path: `${NETNS_DIR}/${name}` }
  for (const name of listNetns(DOCKER_DIR)) yield { name: `${DOCKER_DIR}/${name}`, path: `${DOCKER_DIR}/${name}` }
  for (const entry of readdirSync('/proc')) {
    if (/^\d+$/.test(entry)) yield { name: entry, path: `/proc/${entry}/ns/net` }
  }
}

function inodeOf(path: string): number | undefined {
  try {
    return statSync(path).ino
  } catch {
    return undefined // gone, or not ours to look at
  }
}

function numberAll(space: Space): Map<number, Found> {
  const found = new Map<number, Found>()
  const seen = new Set<number>()
  const socket = space.socket()
  for (const candidate of candidates()) {
    const inode = inodeOf(candidate.path)
    if (inode === undefined || seen.has(inode)) continue
    seen.add(inode)
    try {
      using netns = openNetnsFile(candidate.path)
      const nsid = getNamespaceId(socket, netns.fd)
      if (nsid !== undefined) found.set(nsid, { ...candidate, inode })
    } catch {
      // a file on which no namespace is mounted, or a process that has ended
    }
  }
  return found
}

export function openWorld(): World {
  const spaces = new Map<number, Space>()
  const keep = ({ name, path, inode }: Found, from?: From): Space => {
    const known = spaces.get(inode)
    if (known) return known
    const space = openSpace(nameOfNetns(name), inode, () => openNetnsFile(path), from)
    spaces.set(inode, space)
    return space
  }
  const enter = (name: string, path: string): Space | undefined => {
    const inode = inodeOf(path)
    if (inode === undefined) return undefined
    const space = keep({ name, path, inode })
    try {
      space.fd()
      space.socket()
      return space
    } catch {
      spaces.delete(inode)
      return undefined // a file on which no namespace is mounted
    }
  }
  const own = netnsInode()
  if (!isInode(own)) throw new Error('this kernel shows no network namespaces under /proc')
  const host = openSpace(HOST, own, currentNetns)
  spaces.set(own, host)

  /** Each namespace that can be found, by its number in a space. Numbers are given out once and stay. */
  const numbered = new Map<Space, ReadonlyMap<number, Found>>()
  const numbers = (space: Space, nsid: number): Found | undefined => {
    const known = numbered.get(space)?.get(nsid)
    if (known) return known
    const made = numberAll(space)
    numbered.set(space, made)
    return made.get(nsid)
  }
  const hostNumbers = new Map<Space, number | undefined>()
  const hostNumber = (space: Space): number | undefined => {
    if (!hostNumbers.has(space)) hostNumbers.set(space, getNamespaceId(space.socket(), host.fd()))
    return hostNumbers.get(space)
  }
  const names = (): string[] => [
    HOST,
    ...listNetns().map(nameOfNetns),
    ...listNetns(DOCKER_DIR).map((n) => `${DOCKER_DIR}/${n}`),
  ]
  return {
    host,
    names,
    find: (name) => {
      if (name === HOST) return host
      if (listNetns().includes(name)) return enter(name, `${NETNS_DIR}/${name}`)
      if (/^\d+$/.test(name)) return enter(name, `/proc/${name}/ns/net`)
      if (name.startsWith('/')) return enter(name, name)
      const file = name.includes('/') ? netnsOf(name) : undefined
      if (file === HOST) return host
      return file === undefined ? undefined : enter(file, `${NETNS_DIR}/${file}`)
    },
    byId: (space, nsid) => {
      // the other end is most often here
      if (hostNumber(space) === nsid) return host
      const found = numbers(space, nsid)
      return found && keep(found, { socket: space.socket(), nsid })
    },
    [Symbol.dispose]: () => {
      for (const space of spaces.values()) space[Symbol.dispose]()
    },
  }
}
