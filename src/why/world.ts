/** Every network namespace of this machine that can be found: by file, by process, by container. */
import { readdirSync, statSync } from 'node:fs'
import { currentNetns, listNetns, NETNS_DIR, netnsInode, openNetnsFile } from '../netns/index.ts'
import { readMark } from '../plan/marks.ts'
import { HOST } from '../plan/state.ts'
import { getLinkLabel, getNamespaceId } from '../rtnetlink/index.ts'
import { openSpace, type Space } from './space.ts'

const DOCKER_DIR = '/run/docker/netns'

/** Where a namespace can be entered, before anybody has. */
interface Candidate {
  readonly name: string
  readonly path: string
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

export function openWorld(): World {
  const spaces = new Map<number, Space>()
  const keep = (name: string, path: string): Space | undefined => {
    const inode = inodeOf(path)
    if (inode === undefined) return undefined
    const known = spaces.get(inode)
    if (known) return known
    try {
      const space = openSpace(name, inode, openNetnsFile(path))
      spaces.set(inode, space)
      return space
    } catch {
      return undefined // a file on which no namespace is mounted
    }
  }
  const own = netnsInode()
  if (!isInode(own)) throw new Error('this kernel shows no network namespaces under /proc')
  const host = openSpace(HOST, own, currentNetns())
  spaces.set(own, host)

  /** The isolated host of a topology goes by `TOPOLOGY/host`. */
  const open = (candidate: Candidate): Space | undefined => {
    const space = keep(candidate.name, candidate.path)
    return space && spaces.get(space.inode)
  }
  const names = (): string[] => [HOST, ...listNetns(), ...listNetns(DOCKER_DIR).map((n) => `${DOCKER_DIR}/${n}`)]
  return {
    host,
    names,
    find: (name) => {
      if (name === HOST) return host
      if (listNetns().includes(name)) return keep(name, `${NETNS_DIR}/${name}`)
      const [topology, inner] = name.split('/')
      if (inner === HOST && topology) return keep(name, `${NETNS_DIR}/${topology}-host`)
      if (/^\d+$/.test(name)) return keep(name, `/proc/${name}/ns/net`)
      if (name.startsWith('/')) return keep(name, name)
      return undefined
    },
    byId: (space, nsid) => {
      for (const known of spaces.values()) {
        if (getNamespaceId(space.socket, known.netns.fd) === nsid) return known
      }
      const seen = new Set(spaces.keys())
      for (const candidate of candidates()) {
        const inode = inodeOf(candidate.path)
        if (inode === undefined || seen.has(inode)) continue
        seen.add(inode)
        const found = open(candidate)
        if (found && getNamespaceId(space.socket, found.netns.fd) === nsid) return found
      }
      return undefined
    },
    [Symbol.dispose]: () => {
      for (const space of spaces.values()) space[Symbol.dispose]()
    },
  }
}
