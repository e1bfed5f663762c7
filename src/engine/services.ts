/**
 * Services: programs kept running in a namespace. They are found again by marks in their environment, so no file
 * needs to remember them.
 */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { netnsInode } from '../netns/index.ts'
import type { Place } from '../plan/operations.ts'
import { HOST, type KeeperState, type KeptService, type ServiceState } from '../plan/state.ts'
import * as sys from '../sys/index.ts'
import type { Handle } from './handles.ts'
import { RUN_DIR } from './lock.ts'
import { KEEP_VERB, ownProgram } from './program.ts'

const TOPOLOGY = 'HARDWAY_TOPOLOGY'
/** the number of the host's namespace: another host on this machine may have a topology of the same name */
const OWNER = 'HARDWAY_HOST'
const NAMESPACE = 'HARDWAY_NAMESPACE'
const SERVICE = 'HARDWAY_SERVICE'
const ARGV = 'HARDWAY_ARGV'

const SIGTERM = 15
const SIGKILL = 9
/** ms that a service has to end by itself */
const GRACE = 1000
const STEP = 5
/** in place of a service's number */
const KEEPER = 'keeper'

export interface Process {
  readonly pid: number
  readonly topology: string
  readonly namespace: string
  /** absent for what `exec`, `shell` and services themselves have started */
  readonly service?: ServiceState
  /** number of the service that has started it */
  readonly parent?: number
  /** of the process that keeps the services running */
  readonly keeper?: KeeperState
}

/** Variables that mark a process as part of a topology. For the thread in the host's namespace. */
export function processMarks(topology: string, namespace: string): Record<string, string> {
  return { [TOPOLOGY]: topology, [NAMESPACE]: namespace, [OWNER]: String(netnsInode()) }
}

/** Lines that end with NUL; undefined for a process that has ended meanwhile, or that is not ours to read. */
function environmentOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8')
  } catch {
    return undefined
  }
}

function readEnvironment(pid: number): Map<string, string> | undefined {
  const text = environmentOf(pid)
  if (!text?.includes(`${TOPOLOGY}=`)) return undefined
  return new Map(
    text.split('\0').map((line) => {
      const equals = line.indexOf('=')
      return [line.slice(0, equals), line.slice(equals + 1)]
    }),
  )
}

/** A process leads its session when it was started as a service; its own children carry the same marks. */
function isSessionLeader(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return Number(fields[3]) === pid && fields[0] !== 'Z'
  } catch {
    return false
  }
}

/** What we have written into the environment; a list that somebody else has changed counts as empty. */
function parseList<T>(text: string | undefined): T[] {
  try {
    const value: unknown = JSON.parse(text ?? '')
    return Array.isArray(value) ? value : []
  } catch {
    return []
  }
}

/** Processes of a topology, or of all of this host, from /proc; this one and the tools around it are left out. */
export function listProcesses(only?: string): Process[] {
  const found: Process[] = []
  const owner = String(netnsInode())
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry)
    if (!(pid > 0) || pid === process.pid) continue
    const environment = readEnvironment(pid)
    const topology = environment?.get(TOPOLOGY)
    if (!environment || topology === undefined || topology !== (only ?? topology)) continue
    if (environment.get(OWNER) !== owner) continue
    const namespace = environment.get(NAMESPACE) ?? HOST
    const service = environment.get(SERVICE)
    const number = Number(service)
    if (service === KEEPER) {
      const services = parseList<KeptService>(environment.get(ARGV))
      if (isSessionLeader(pid)) found.push({ pid, topology, namespace, keeper: { services, pid } })
    } else if (number > 0 && isSessionLeader(pid)) {
      found.push({ pid, topology, namespace, service: { number, argv: parseList<string>(environment.get(ARGV)), pid } })
    } else found.push({ pid, topology, namespace, ...(number > 0 ? { parent: number } : {}) })
  }
  return found
}

export function logPath(topology: string, namespace: string, number: number): string {
  return `${RUN_DIR}/${topology}/${namespace}-${number}.log`
}

/** Starts the program inside the namespace, in a session of its own, its output in the topology's log directory. */
export function startService(
  topology: string,
  at: Place,
  handle: Handle,
  service: ServiceState,
  options: { readonly isAgain?: boolean } = {},
): number {
  mkdirSync(`${RUN_DIR}/${topology}`, { recursive: true })
  const log = openSync(logPath(topology, at.name, service.number), options.isAgain ? 'a' : 'w', 0o644)
  try {
    const marks = { [SERVICE]: String(service.number), [ARGV]: JSON.stringify(service.argv) }
    const env = { ...process.env, ...processMarks(topology, at.name), ...marks }
    return handle.inside(() => launch(service.argv, env, log))
  } finally {
    closeSync(log)
  }
}

/** Starts the process that keeps the services running, beside which this one may end. */
export function startKeeper(topology: string, keeper: KeeperState): void {
  mkdirSync(`${RUN_DIR}/${topology}`, { recursive: true })
  const log = openSync(`${RUN_DIR}/${topology}/${KEEPER}.log`, 'a', 0o644)
  try {
    const marks = { [SERVICE]: KEEPER, [ARGV]: JSON.stringify(keeper.services) }
    const env = { ...process.env, ...processMarks(topology, HOST), ...marks }
    launch([...ownProgram(), KEEP_VERB, topology], env, log)
  } finally {
    closeSync(log)
  }
}

/** In this process, which startKeeper has started: what it is to keep. */
export function ownKeeper(): KeeperState {
  return { services: parseList<KeptService>(process.env[ARGV]), pid: process.pid }
}

/** Loaded when a program is started: it takes milliseconds, and most topologies run none. */
function childProcess(): typeof import('node:child_process') {
  return createRequire(import.meta.url)('node:child_process')
}

function launch(argv: readonly string[], env: NodeJS.ProcessEnv, log: number): number {
  const [program = '', ...args] = argv
  const child = childProcess().spawn(program, args, {
    detached: true,
    stdio: ['ignore', log, log],
    env,
    cwd: process.cwd(),
  })
  // a program that does not exist: the error comes later, but there is no pid now
  child.on('error', () => {})
  if (child.pid === undefined) throw new Error(`${program}: no such program`)
  child.unref()
  awaitMarks(child.pid)
  return child.pid
}

const pause = new Int32Array(new SharedArrayBuffer(4))

/**
 * The kernel lets a parent go on a moment before the new program's environment can be read (in execve, vfork's wait ends
 * with the old memory, and the new one is filled after that): until then nobody finds it.
 */
function awaitMarks(pid: number): void {
  for (let waited = 0; waited < GRACE && isRunning(pid) && environmentOf(pid) === ''; waited++) {
    Atomics.wait(pause, 0, 0, 1)
  }
}

/** Ends a process, or its group, of which it may be gone itself; kills it when it does not end in time. */
export function stopProcess(pid: number, options: { readonly group: boolean }): void {
  const target = options.group ? -pid : pid
  if (!sys.kill(target, SIGTERM)) return
  for (let waited = 0; waited < GRACE; waited += STEP) {
    if (!isRunning(pid)) return
    Atomics.wait(pause, 0, 0, STEP)
  }
  sys.kill(target, SIGKILL)
}

export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat[stat.lastIndexOf(')') + 2] !== 'Z'
  } catch {
    return false
  }
}

/** The logs of a topology that is no more. */
export function removeLogs(topology: string): void {
  rmSync(`${RUN_DIR}/${topology}`, { recursive: true, force: true })
}
