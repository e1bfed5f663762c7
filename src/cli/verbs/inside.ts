/** `exec`, `shell`, `sandbox`: programs somewhere else. */
import { accessSync, constants } from 'node:fs'
import { execInside } from '../../engine/exec.ts'
import { ownProgram } from '../../engine/program.ts'
import * as sys from '../../sys/index.ts'
import { UsageError } from '../failure.ts'
import { printError } from '../output.ts'

export function runExec(namespace: string, command: readonly string[]): never {
  if (command.length === 0) throw new UsageError('exec wants a command', `hardway exec ${namespace} -- ip address`)
  execInside(namespace, command)
}

export function runShell(namespace: string): never {
  const shell = process.env.SHELL ?? '/bin/sh'
  if (sys.isatty(0)) printError(`a shell inside ${namespace}; exit comes back`)
  execInside(namespace, [shell])
}

const UNSHARE = ['/usr/bin/unshare', '/bin/unshare']

function findUnshare(): string {
  for (const path of UNSHARE) {
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // not here
    }
  }
  throw new UsageError('sandbox needs unshare(1)', 'install util-linux')
}

/** What is done inside before the command: an empty /run/netns of its own, loopback up. */
const INSIDE = '__sandbox'

/**
 * The command in a new user, network, mount and process namespace, in which an ordinary user is root. Through
 * unshare(1): a process with threads cannot enter a user namespace itself. A verb of hardway as the command's first
 * word means this program.
 */
export function runSandbox(command: readonly string[], verbs: ReadonlySet<string>): never {
  const words = command.length === 0 ? [process.env.SHELL ?? '/bin/sh'] : command
  const [first = ''] = words
  const own = ownProgram()
  const whole = verbs.has(first) ? [...own, ...words] : first === 'hardway' ? [...own, ...words.slice(1)] : words
  const unshare = findUnshare()
  const isRoot = process.getuid?.() === 0
  const argv = [
    'unshare',
    ...(isRoot ? [] : ['--user', '--map-root-user']),
    '--net',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
    ...own,
    INSIDE,
    '--',
    ...whole,
  ]
  const env = Object.fromEntries(Object.entries(process.env).filter((e): e is [string, string] => e[1] !== undefined))
  sys.execve(unshare, argv, { ...env, HARDWAY_SANDBOX: '1' })
}

export { INSIDE as SANDBOX_INSIDE }

/** The second half of sandbox, already inside. */
export async function runInsideSandbox(command: readonly string[]): Promise<never> {
  const { NETLINK_ROUTE, openSocket } = await import('../../netlink/index.ts')
  const { setLink } = await import('../../rtnetlink/index.ts')
  sys.mount('hardway', '/run', 'tmpfs', 0)
  using socket = openSocket(NETLINK_ROUTE)
  socket.execute(setLink({ name: 'lo' }, { up: true }))
  execInside('host', command)
}
