/** Console blocks of documents: run as a reader would type them, and compared with what the document shows. */
import { readFileSync, writeFileSync } from 'node:fs'
import { run } from './run.ts'

const root = new URL('../../', import.meta.url).pathname

interface Session {
  readonly command: string
  readonly output: string
}

const BLOCK = /^```console\n([\s\S]*?)^```$/gm

/** A command goes on after a line that ends with `\`, and to the end of its here-document. */
const COMMAND = /^\$ (.*<<'?(\w+)'?.*\n[\s\S]*?^\2$|(?:.*\\\n)*.*)\n?([\s\S]*)$/m

/** Every `$ command` of a block with the lines under it. */
function sessionsOf(block: string): Session[] {
  return block.split(/^(?=\$ )/m).flatMap((part) => {
    const match = COMMAND.exec(part)
    return match ? [{ command: match[1] ?? '', output: (match[3] ?? '').trimEnd() }] : []
  })
}

/**
 * Runs all commands of a document in order, in one fresh network, mount and process namespace, from the root of the
 * repository, where `hardway` is dist/hardway. Both streams, as on a terminal.
 */
async function runAll(commands: readonly string[]): Promise<string[]> {
  const mark = '=-=-= end of output'
  const lines = commands.map((command) => `{ ${command}\n} 2>&1; echo "${mark}"`)
  const setUp =
    'mount -t tmpfs docs /run; ip link set lo up; mkdir /run/bin; ln -s "$PWD/dist/hardway" /run/bin/; PATH=/run/bin:$PATH'
  const flags = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private']
  const done = await run('unshare', [...flags, 'sh'], {
    input: `${setUp}\n${lines.join('\n')}\n`,
    cwd: root,
    timeout: 60_000,
  })
  const outputs = done.stdout.split(`${mark}\n`).map((text) => text.trimEnd())
  if (outputs.length !== commands.length + 1) throw new Error(`the session ended early:\n${done.stdout}${done.stderr}`)
  return outputs.slice(0, -1)
}

/** Without what differs from run to run: times and the width of their columns, MAC addresses, process numbers. */
function plain(output: string): string {
  return output
    .replace(/\d+(?:\.\d+)? (?:ms|s)\b/g, 'TIME')
    .replace(/\d+ echoes/g, 'N echoes')
    .replace(/\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b/g, 'MAC')
    .replace(/\b(?:pid|kept by) \d+/g, 'PID')
    .replace(/[ ]+$/gm, '')
    .replace(/ {2,}/g, '  ')
}

export interface Difference {
  readonly command: string
  readonly shown: string
  readonly real: string
}

/** What a document shows otherwise than it is. With `write` the document is put right instead. */
export async function checkConsole(path: string, write = false): Promise<Difference[]> {
  const text = readFileSync(root + path, 'utf8')
  const blocks = [...text.matchAll(BLOCK)].map((match) => sessionsOf(match[1] ?? ''))
  const sessions = blocks.flat()
  if (sessions.length === 0) return []
  const outputs = await runAll(sessions.map((s) => s.command))
  if (!write) {
    return sessions.flatMap(({ command, output }, i) => {
      const real = outputs[i] ?? ''
      return plain(output) === plain(real) ? [] : [{ command, shown: output, real }]
    })
  }
  let next = 0
  const put = text.replace(BLOCK, (_, body: string) => {
    const parts = sessionsOf(body).map(({ command, output }) => {
      const real = outputs[next++] ?? ''
      const kept = plain(output) === plain(real) ? output : real
      return `$ ${command}\n${kept === '' ? '' : `${kept}\n`}`
    })
    return `\`\`\`console\n${parts.join('\n')}\`\`\``
  })
  if (put !== text) writeFileSync(root + path, put)
  return []
}
