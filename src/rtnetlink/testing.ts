/** For this folder's tests: a network namespace of their own, iproute2, and what it sends. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { splitMessages } from '../netlink/message.ts'
import { NETLINK_ROUTE, type Socket } from '../netlink/socket.ts'
import { inNewNetns } from '../netlink/testing.ts'

/** A new namespace for as long as `body` runs. Child processes follow. */
export function inFreshNetns<T>(body: (socket: Socket) => T): T {
  return inNewNetns(NETLINK_ROUTE, body)
}

export function run(command: string): string {
  const [program = '', ...args] = command.split(' ')
  const done = spawnSync(program, args, { encoding: 'utf8' })
  if (done.status !== 0) throw new Error(`${command}: ${done.stderr}`)
  return done.stdout
}

export interface Sent {
  readonly type: number
  readonly flags: number
  readonly body: string
}

/** RTM_GET* are the numbers that leave 2 when divided by 4. */
const isGet = (type: number): boolean => type % 4 === 2

/** What iproute2 sends to change something: its questions are left out. */
export function capture(command: string): Sent[] {
  const folder = mkdtempSync(join(tmpdir(), 'hardway-ip-'))
  try {
    const log = join(folder, 'log')
    run(`strace -f -qq -e trace=sendmsg,sendto -e write=all -o ${log} ${command}`)
    const datagrams: number[][] = []
    for (const line of readFileSync(log, 'utf8').split('\n')) {
      const row = /^ \| ([0-9a-f]{5,}) {2}([0-9a-f ]{49})/.exec(line)
      if (!row) continue
      if (Number.parseInt(row[1] ?? '', 16) === 0) datagrams.push([])
      for (const pair of (row[2] ?? '').trim().split(/\s+/)) datagrams.at(-1)?.push(Number.parseInt(pair, 16))
    }
    return datagrams
      .flatMap((bytes) => splitMessages(Uint8Array.from(bytes)))
      .filter((m) => !isGet(m.type))
      .map((m) => ({ type: m.type, flags: m.flags & ~4, body: Buffer.from(m.payload.bytes).toString('hex') }))
  } finally {
    rmSync(folder, { recursive: true })
  }
}
