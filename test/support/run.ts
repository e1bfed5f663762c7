/** Runs other programs from tests: arguments as a list, never through a shell, never longer than a time-out. */
import { spawn, spawnSync } from 'node:child_process'

export interface RunOptions {
  /** standard input; empty when absent */
  readonly input?: string | Uint8Array
  /** added to this process's environment */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** milliseconds; 30,000 when absent */
  readonly timeout?: number
}

export interface RunResult {
  /** exit status, or null when a signal ended it */
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** milliseconds from start to end */
  readonly ms: number
  readonly timedOut: boolean
}

const defaultTimeout = 30_000

/**
 * Runs a program to its end. It leads a process group of its own, which is killed as a whole at the time-out.
 * @throws when the program cannot be started
 */
export function run(program: string, args: readonly string[] = [], options: RunOptions = {}): Promise<RunResult> {
  const { promise, resolve, reject } = withResolvers<RunResult>()
  const begin = performance.now()
  const child = spawn(program, args, { ...place(options), stdio: 'pipe', detached: true })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    killGroup(child.pid)
  }, options.timeout ?? defaultTimeout)
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  // a program that ends without reading its input is no error of ours
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  child.on('error', (error) => {
    clearTimeout(timer)
    reject(error)
  })
  child.on('close', (status, signal) => {
    clearTimeout(timer)
    const output = { stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }
    resolve({ status, signal, ...output, ms: performance.now() - begin, timedOut })
  })
  return promise
}

/**
 * The same, blocking: the only way to run a program while this thread is inside another namespace, where nothing may
 * be awaited. At the time-out only the program itself is killed.
 */
export function runSync(program: string, args: readonly string[] = [], options: RunOptions = {}): RunResult {
  const begin = performance.now()
  const result = spawnSync(program, args, {
    ...place(options),
    input: options.input ?? '',
    timeout: options.timeout ?? defaultTimeout,
    killSignal: 'SIGKILL',
    maxBuffer: 256 << 20,
    encoding: 'utf8',
  })
  const timedOut = result.error !== undefined && 'code' in result.error && result.error.code === 'ETIMEDOUT'
  if (result.error && !timedOut) throw result.error
  const { status, signal, stdout, stderr } = result
  return { status, signal, stdout, stderr, ms: performance.now() - begin, timedOut }
}

/** Standard output of a program that must succeed. @throws with its standard error when it does not */
export function outputOf(program: string, args: readonly string[] = [], options: RunOptions = {}): string {
  const { status, signal, stdout, stderr } = runSync(program, args, options)
  if (status === 0) return stdout
  throw new Error(`${program} ${args.join(' ')}: ${signal ?? `exit status ${status}`}\n${stderr}`)
}

/**
 * The same command, to be run in a network and mount namespace that live only as long as it does: what it changes in
 * /run/netns or /proc/sys is not seen outside.
 */
export function inNewNetns(argv: readonly [string, ...string[]]): [string, ...string[]] {
  return ['unshare', '--net', '--mount', '--propagation', 'private', '--', ...argv]
}

function place(options: RunOptions): { env: NodeJS.ProcessEnv; cwd?: string } {
  const env = { ...process.env, ...options.env }
  return options.cwd === undefined ? { env } : { env, cwd: options.cwd }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // it has ended in the meantime
  }
}

/** Promise.withResolvers, which Node 20 does not have. */
function withResolvers<T>(): {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (reason: unknown) => void
} {
  let resolve: (value: T) => void = () => undefined
  let reject: (reason: unknown) => void = () => undefined
  const promise = new Promise<T>((done, fail) => {
    resolve = done
    reject = fail
  })
  return { promise, resolve, reject }
}
