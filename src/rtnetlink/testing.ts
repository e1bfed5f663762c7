/** For this folder's tests: a network namespace of their own, iproute2, what it sends, and ours beside it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { needs } from '../../test/support/need.ts'
import { type Prefix, parsePrefix } from '../ip/index.ts'
import { type Request, splitMessages } from '../netlink/message.ts'
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

/** A prefix as in a command. */
export function p(text: string): Prefix {
  const prefix = parsePrefix(text)
  if (!prefix) throw new Error(text)
  return prefix
}

/** A command, and what we would send in its place. */
export type Golden = readonly [command: string, build: () => Request]

export const goldenNeeds = needs('root', 'ip', 'tc', 'bridge', 'strace')

/** Loopback is 1, b0 2, v0 4 with v1 at its other end, 3. */
export const commonLinks: readonly string[] = [
  'ip link set dev lo up',
  'ip link add name b0 type bridge',
  'ip link add name v0 type veth peer name v1',
  'ip link set dev v0 up',
  'ip link set dev v1 up',
  'ip address add 10.0.0.1/24 dev v0',
  'ip address add fd00::1/64 dev v0 nodad',
]

/**
 * Runs the commands in order, each finding what those before it have made, and compares what each sends with ours byte
 * for byte: one message of the same type, flags and body.
 */
export function assertSameBytes(setUp: readonly string[], commands: readonly Golden[]): void {
  inFreshNetns(() => {
    for (const command of setUp) run(command)
    const differences: unknown[] = []
    for (const [command, build] of commands) {
      const theirs = capture(command)
      const ours = build()
      const wanted = { type: ours.type, flags: ours.flags | 1, body: Buffer.from(ours.body).toString('hex') }
      const same = theirs.some((m) => m.type === wanted.type && m.flags === wanted.flags && m.body === wanted.body)
      if (!same) differences.push({ command, ours: wanted, theirs })
    }
    assert.deepEqual(differences, [])
  })
}
