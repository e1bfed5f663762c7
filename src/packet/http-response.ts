/** Reads an HTTP/1.1 answer piece by piece; RFC 9112. Pure. */

/** bytes; an answer's head that is larger is refused */
const HEAD_LIMIT = 64 * 1024
/** bytes of body that are kept; what follows is not waited for */
export const BODY_LIMIT = 1024 * 1024
/** bytes of a line that gives a chunk's size, its extensions included */
const CHUNK_LINE_LIMIT = 4096

export interface HttpResponse {
  readonly status: number
  readonly reason: string
  /** names in lower case; repeated ones joined by `, ` */
  readonly headers: ReadonlyMap<string, string>
  /** at most 1 MiB, chunks put together, content codings left as they are */
  readonly body: Uint8Array
  /** the body was longer than what is kept */
  readonly isTruncated: boolean
}

export class HttpError extends Error {
  override readonly name = 'HttpError'
}

export interface HttpReader {
  /** Adds received bytes. Returns the answer once it is complete. Throws HttpError for what is not HTTP. */
  readonly push: (bytes: Uint8Array) => HttpResponse | undefined
  /** The connection was closed. Returns the answer when that is how its body ends; throws HttpError otherwise. */
  readonly close: () => HttpResponse
}

interface Head {
  readonly status: number
  readonly reason: string
  readonly headers: ReadonlyMap<string, string>
  readonly framing: 'chunked' | 'close' | number
}

/** A buffer that grows by doubling: bodies come in many small pieces. */
function createBuffer() {
  let bytes = new Uint8Array(4096)
  let length = 0
  return {
    add: (more: Uint8Array): void => {
      if (length + more.length > bytes.length) {
        const grown = new Uint8Array(Math.max(bytes.length * 2, length + more.length))
        grown.set(bytes.subarray(0, length))
        bytes = grown
      }
      bytes.set(more, length)
      length += more.length
    },
    get: (): Uint8Array => bytes.subarray(0, length),
    drop: (count: number): void => {
      bytes.copyWithin(0, count, length)
      length -= count
    },
  }
}

/** A reader for the answer to one GET. */
export function createHttpReader(): HttpReader {
  const input = createBuffer()
  const body = createBuffer()
  let head: Head | undefined
  /** bytes that this chunk still has; undefined between chunks */
  let chunk: number | undefined

  const answer = (from: Head, isTruncated: boolean): HttpResponse => ({
    status: from.status,
    reason: from.reason,
    headers: from.headers,
    body: body.get().slice(0, BODY_LIMIT),
    isTruncated,
  })

  const takeBody = (count: number): void => {
    body.add(input.get().subarray(0, count))
    input.drop(count)
  }

  const readHead = (): Head | undefined => {
    for (;;) {
      const end = headEnd(input.get())
      if (end === undefined) {
        if (input.get().length > HEAD_LIMIT) throw new HttpError(`its head is longer than ${HEAD_LIMIT / 1024} KiB`)
        refuseOtherProtocols(input.get())
        return undefined
      }
      const parsed = parseHead(latin1(input.get().subarray(0, end)))
      input.drop(end)
      // 100 Continue, 103 Early Hints: the final answer follows (RFC 9110, 15.2)
      if (parsed.status >= 200) return parsed
      if (parsed.status === 101) throw new HttpError('it switches to another protocol')
    }
  }

  /** Whether the last chunk was read. */
  const readChunks = (): boolean => {
    for (;;) {
      if (chunk !== undefined && chunk > 0) {
        const count = Math.min(chunk, input.get().length)
        takeBody(count)
        chunk -= count
        if (chunk > 0 || body.get().length > BODY_LIMIT) return false
      }
      const line = lineEnd(input.get())
      if (line === undefined) {
        if (input.get().length > CHUNK_LINE_LIMIT) throw new HttpError('the line before a chunk does not end')
        return false
      }
      const text = latin1(input.get().subarray(0, line)).trimEnd()
      input.drop(line)
      if (chunk === 0) {
        if (text !== '') throw new HttpError('a chunk is longer than it says')
        chunk = undefined
        continue
      }
      const size = /^([0-9a-fA-F]{1,8})[ \t]*(;.*)?$/.exec(text)?.[1]
      if (size === undefined) throw new HttpError(`"${printable(text)}" is not the size of a chunk`)
      chunk = Number.parseInt(size, 16)
      // trailers are of no use here, so nobody waits for them
      if (chunk === 0) return true
    }
  }

  const readBody = (from: Head): HttpResponse | undefined => {
    const isWhole = from.framing === 'chunked' ? readChunks() : readPlain(from.framing)
    const size = body.get().length
    if (size > BODY_LIMIT) return answer(from, true)
    return isWhole ? answer(from, false) : undefined
  }

  const readPlain = (framing: 'close' | number): boolean => {
    const wanted = framing === 'close' ? Number.POSITIVE_INFINITY : framing - body.get().length
    takeBody(Math.min(wanted, input.get().length))
    return body.get().length === framing
  }

  return {
    push: (bytes) => {
      input.add(bytes)
      head ??= readHead()
      return head && readBody(head)
    },
    close: () => {
      if (head?.framing === 'close') return answer(head, false)
      if (!head) {
        const isSilent = input.get().length === 0
        throw new HttpError(isSilent ? 'it closed the connection without an answer' : 'its head ends in the middle')
      }
      throw new HttpError(`its body ends in the middle, after ${body.get().length} bytes`)
    },
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** At most 40 characters of what somebody else sent, fit for a terminal. */
function printable(text: string): string {
  const clean = text.replace(/[^\x20-\x7e]/g, '.')
  return clean.length > 40 ? `${clean.slice(0, 40)}…` : clean
}

/** The offset after the line that begins `from`; a lone LF ends a line too (RFC 9112, 2.2). */
function lineEnd(bytes: Uint8Array, from = 0): number | undefined {
  const at = bytes.indexOf(10, from)
  return at < 0 ? undefined : at + 1
}

/** The offset after the empty line that ends a head. */
function headEnd(bytes: Uint8Array): number | undefined {
  for (let start = 0, end = lineEnd(bytes); end !== undefined; start = end, end = lineEnd(bytes, end)) {
    const length = end - start
    if (start > 0 && (length === 1 || (length === 2 && bytes[start] === 13))) return end
  }
  return undefined
}

/** Something else than HTTP is known by its first bytes; no need to wait for a line that may never end. */
function refuseOtherProtocols(bytes: Uint8Array): void {
  const start = latin1(bytes.subarray(0, 5))
  if (start !== 'HTTP/'.slice(0, start.length)) {
    throw new HttpError(`"${printable(latin1(bytes.subarray(0, 41)))}" is not HTTP`)
  }
}

function parseHead(text: string): Head {
  const [first = '', ...rest] = text.split('\n').map((line) => line.replace(/\r$/, ''))
  const status = /^HTTP\/1\.\d (\d{3})(?: (.*))?$/.exec(first)
  if (!status || Number(status[1]) < 100) throw new HttpError(`"${printable(first)}" is not HTTP`)
  const headers = new Map<string, string>()
  let last: string | undefined
  for (const line of rest) {
    if (line === '') break
    // a line that begins with space continues the one before (RFC 9112, 5.2)
    if (/^[ \t]/.test(line) && last !== undefined) {
      headers.set(last, `${headers.get(last)} ${line.trim()}`)
      continue
    }
    const field = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):(.*)$/.exec(line)
    if (!field) throw new HttpError(`"${printable(line)}" is not a header`)
    last = (field[1] ?? '').toLowerCase()
    const value = (field[2] ?? '').trim()
    const before = headers.get(last)
    headers.set(last, before === undefined ? value : `${before}, ${value}`)
  }
  const number = Number(status[1])
  return { status: number, reason: (status[2] ?? '').trim(), headers, framing: framingOf(number, headers) }
}

/** How the end of the body is known; RFC 9112, 6.3. */
function framingOf(status: number, headers: ReadonlyMap<string, string>): Head['framing'] {
  if (status < 200 || status === 204 || status === 304) return 0
  const coding = headers.get('transfer-encoding')
  if (coding !== undefined) return /(^|,)[ \t]*chunked$/i.test(coding) ? 'chunked' : 'close'
  const length = headers.get('content-length')
  if (length === undefined) return 'close'
  // the same length said twice is allowed
  const said = new Set(length.split(',').map((part) => part.trim()))
  const [value = ''] = said
  if (said.size !== 1 || !/^\d{1,15}$/.test(value)) throw new HttpError(`"${printable(length)}" is not a length`)
  return Number(value)
}
