/** For this folder's tests: a network namespace of their own, the real nft, and what it sends. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { splitMessages } from '../netlink/message.ts'
import { NETLINK_NETFILTER, type Socket } from '../netlink/socket.ts'
import { inNewNetns } from '../netlink/testing.ts'

export const isRoot = process.getuid?.() === 0

/** A new namespace for as long as `body` runs. Child processes follow. */
export function inFreshNetns<T>(body: (socket: Socket) => T): T {
  return inNewNetns(NETLINK_NETFILTER, body)
}

export function run(command: string, args: readonly string[], input = ''): string {
  const done = spawnSync(command, args, { input, encoding: 'utf8', maxBuffer: 1 << 28 })
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.stderr}\n${input.slice(0, 4000)}`)
  return done.stdout
}

export function nft(input: string): string {
  return run('nft', ['-f', '-'], input)
}

export interface Sent {
  readonly type: number
  readonly flags: number
  readonly body: Uint8Array
}

/** Runs `nft -f -` and returns the messages of the transaction that it sent. */
export function captureNft(input: string): Sent[] {
  const folder = mkdtempSync(join(tmpdir(), 'hardway-nft-'))
  try {
    const log = join(folder, 'log')
    run('strace', ['-f', '-qq', '-e', 'trace=sendmsg', '-e', 'write=all', '-o', log, 'nft', '-f', '-'], input)
    return parseTrace(readFileSync(log, 'utf8'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The hexadecimal dumps that follow a sendmsg(2) of several buffers. */
function parseTrace(log: string): Sent[] {
  const bytes: number[] = []
  let isBatch = false
  for (const line of log.split('\n')) {
    const row = /^ \| [0-9a-f]{5,} {2}([0-9a-f ]{49})/.exec(line)
    if (!row) {
      if (line.startsWith(' * ')) isBatch = true
      else if (line !== '') isBatch = false
      continue
    }
    if (isBatch) for (const pair of (row[1] ?? '').trim().split(/\s+/)) bytes.push(Number.parseInt(pair, 16))
  }
  return splitMessages(Uint8Array.from(bytes)).map(({ type, flags, payload }) => ({
    type,
    flags,
    body: payload.copy(),
  }))
}

/** The attributes as a tree of text, to see in a failure where two messages differ. */
export function dump(body: Uint8Array, isMessage = true): unknown {
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  const out: unknown[] = []
  for (let at = isMessage ? 4 : 0; at + 4 <= body.length; ) {
    const length = view.getUint16(at, true)
    if (length < 4 || at + length > body.length) break
    const type = view.getUint16(at + 2, true)
    const payload = body.subarray(at + 4, at + length)
    out.push([type & 0x3fff, type & 0x8000 ? dump(payload, false) : Buffer.from(payload).toString('latin1')])
    at += (length + 3) & ~3
  }
  return out
}
