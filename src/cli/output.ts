/** What goes to the terminal: tables, colours, errors. Colour only where a person reads it. */
import { writeSync } from 'node:fs'
import { isatty } from '../sys/index.ts'

const hasColour = isatty(1) && !process.env.NO_COLOR && process.env.TERM !== 'dumb'

function paint(code: number): (text: string) => string {
  return (text) => (hasColour ? `\x1b[${code}m${text}\x1b[0m` : text)
}

export const bold = paint(1)
export const dim = paint(2)
export const red = paint(31)
export const green = paint(32)

/** Everything, also into a pipe whose reader is slow. A reader that has gone ends the program quietly. */
export function writeAll(fd: number, content: string | Uint8Array): void {
  let bytes = typeof content === 'string' ? Buffer.from(content) : content
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE') process.exit(0)
      if (code !== 'EAGAIN') throw error
    }
  }
}

export function print(text: string): void {
  writeAll(1, `${text}\n`)
}

export function printError(text: string): void {
  writeAll(2, `${text}\n`)
}

/** JSON with BigInts as numbers: handles and counters are far below 2^53. */
export function printJson(value: unknown): void {
  print(
    JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? Number(v) : v instanceof Map ? [...v.values()] : v), 2),
  )
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape that starts a colour
const COLOURS = /\x1b\[\d+m/g

function width(text: string): number {
  return text.replace(COLOURS, '').length
}

/** Columns as wide as their widest cell, two spaces between. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head.map((h) => dim(h)), ...rows]
  const widths = head.map((_, i) => Math.max(...all.map((row) => width(row[i] ?? ''))))
  return all
    .map((row) =>
      row
        .map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat((widths[i] ?? 0) - width(cell))))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** A line that is rewritten while long work goes on; only on a terminal, and only after half a second. */
export function progressLine(what: string): {
  readonly update: (done: number, total: number) => void
  readonly end: () => void
} {
  const start = performance.now()
  let last = start
  let isShown = false
  return {
    update: (done, total) => {
      const now = performance.now()
      if (now - start < 500 || now - last < 50 || !isatty(2)) return
      last = now
      isShown = true
      writeAll(2, `\r${what} ${done}/${total}\x1b[K`)
    },
    end: () => {
      if (isShown) writeAll(2, '\r\x1b[K')
    },
  }
}
