/** HTTP probes: one GET over a TCP probe's connection. RFC 9112. */
import * as sys from '../sys/index.ts'
import { createHttpReader, HttpError, type HttpResponse } from './http-response.ts'
import type { Loop } from './loop.ts'
import { errnoOf, failure, formatMs, type ProbeResult } from './result.ts'
import { splitScope } from './sockaddr.ts'
import { type Connection, connectTo, type Descriptors, formatHostPort, type TcpRequest } from './tcp.ts'

/** `timeout` covers the whole exchange, from the SYN to the last byte. */
export interface HttpRequest extends TcpRequest {
  /** `/` when absent; characters that may not stand there are percent-encoded */
  readonly path?: string | undefined
  /** the Host header; address and port when absent */
  readonly host?: string | undefined
  /** Says in words what is wrong with an answer, undefined when nothing is: then the outcome is `mismatch`. */
  readonly complain?: ((response: HttpResponse) => string | undefined) | undefined
}

const receiveBuffer = new Uint8Array(64 * 1024)

/** Controls, spaces and bytes beyond ASCII would end or change the request line. */
function encodePath(path: string): string {
  const bytes = new TextEncoder().encode(path.startsWith('/') ? path : `/${path}`)
  return Array.from(bytes, (b) =>
    b > 0x20 && b < 0x7f ? String.fromCharCode(b) : `%${b.toString(16).toUpperCase().padStart(2, '0')}`,
  ).join('')
}

/** The bytes of the request. */
export function encodeGet(request: HttpRequest): Uint8Array {
  const { address, port } = request
  const bare = splitScope(address).address
  const own = port === 80 ? formatHostPort(bare, port).replace(/:80$/, '') : formatHostPort(bare, port)
  const host = (request.host ?? own).replace(/[^\x21-\x7e]/g, '')
  const lines = [
    `GET ${encodePath(request.path ?? '/')} HTTP/1.1`,
    `Host: ${host}`,
    'User-Agent: hardway',
    'Accept: */*',
    'Accept-Encoding: identity',
    'Connection: close',
  ]
  return new TextEncoder().encode(`${lines.join('\r\n')}\r\n\r\n`)
}

/** A probe that is done when an answer is complete. `done` is called exactly once, perhaps before this returns. */
export function startHttp(
  loop: Loop,
  descriptors: Descriptors,
  request: HttpRequest,
  done: (result: ProbeResult) => void,
): void {
  const target = formatHostPort(request.address, request.port)
  const message = encodeGet(request)
  connectTo(loop, descriptors, request, done, (connection) => exchange(connection, message, target, request.complain))
}

/** Sends the request, reads the answer, ends the connection. */
function exchange(
  connection: Connection,
  message: Uint8Array,
  target: string,
  complain: HttpRequest['complain'],
): void {
  const { fd, wait, end, started } = connection
  const reader = createHttpReader()
  let sent = 0

  const guarded = (step: () => void) => (): void => {
    try {
      step()
    } catch (error) {
      const errno = errnoOf(error)
      if (errno !== undefined) end(failure(errno, target))
      else if (error instanceof HttpError) {
        end({ outcome: 'malformed', detail: `no HTTP answer from ${target}: ${error.message}` })
      } else throw error
    }
  }

  const finish = (response: HttpResponse): void => {
    const ms = performance.now() - started
    const status = `${response.status} ${response.reason}`.trim()
    const problem = complain?.(response)
    if (problem === undefined) {
      end({ outcome: 'reached', ms, response, detail: `${status} from ${target} in ${formatMs(ms)} ms` })
    } else {
      end({ outcome: 'mismatch', ms, response, detail: `${status} from ${target}, but ${problem}` })
    }
  }

  const read = guarded(() => {
    const length = sys.recv(fd, receiveBuffer, sys.MSG_DONTWAIT)
    if (length === undefined) return
    const response = length === 0 ? reader.close() : reader.push(receiveBuffer.subarray(0, length))
    if (response) finish(response)
  })

  const write = guarded(() => {
    sent += sys.send(fd, message.subarray(sent), sys.MSG_NOSIGNAL | sys.MSG_DONTWAIT)
    if (sent === message.length) wait(sys.POLLIN, read)
    else wait(sys.POLLOUT, write)
  })

  write()
}
