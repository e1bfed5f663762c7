/**
 * System calls, with errors thrown. The only folder that knows which runtime it is on: `#libc` in package.json
 * is `bun.ts` for Bun and `node.ts` for Node.
 *
 * Socket addresses are raw `sockaddr` bytes in host layout. All file descriptors are opened close-on-exec.
 */
import { port } from '#libc'
import {
  F_GETFL,
  F_SETFL,
  MAP_SHARED,
  O_CLOEXEC,
  O_NONBLOCK,
  PROT_READ,
  PROT_WRITE,
  SIG_DFL,
  SIGPIPE,
  SOCK_CLOEXEC,
} from './constants.ts'
import { SysError } from './errors.ts'

export * from './constants.ts'
export { errnoName, SysError } from './errors.ts'

/** The C library's words for an errno. */
export function strerror(errno: number): string {
  return port.strerror(errno)
}

function check(result: number, call: string, object?: string): number {
  if (result !== -1) return result
  const errno = port.errno()
  throw new SysError(call, errno, strerror(errno), object)
}

/** The result, or undefined when the call would have blocked or was interrupted. */
function checkUnlessAgain(result: number, call: string): number | undefined {
  if (result !== -1) return result
  const errno = port.errno()
  if (errno === 11 || errno === 4) return undefined // EAGAIN, EINTR
  throw new SysError(call, errno, strerror(errno))
}

/** socket(2); returns the descriptor. */
export function socket(domain: number, type: number, protocol: number): number {
  return check(port.socket(domain, type | SOCK_CLOEXEC, protocol), 'socket')
}

export function bind(fd: number, address: Uint8Array): void {
  check(port.bind(fd, address, address.length), 'bind')
}

export function listen(fd: number, backlog: number): void {
  check(port.listen(fd, backlog), 'listen')
}

/** connect(2). False when it goes on in the background (EINPROGRESS): then poll for POLLOUT and read SO_ERROR. */
export function connect(fd: number, address: Uint8Array): boolean {
  if (port.connect(fd, address, address.length) !== -1) return true
  const errno = port.errno()
  if (errno === 115) return false
  throw new SysError('connect', errno, strerror(errno))
}

/** accept(2) of a non-blocking connection; undefined when none waits. */
export function accept(fd: number): number | undefined {
  return checkUnlessAgain(port.accept4(fd, null, null, SOCK_CLOEXEC | O_NONBLOCK), 'accept')
}

/** The socket's own `sockaddr`. */
export function getsockname(fd: number): Uint8Array {
  const address = new Uint8Array(128)
  const length = new Uint32Array([address.length])
  check(port.getsockname(fd, address, new Uint8Array(length.buffer)), 'getsockname')
  return address.subarray(0, length[0])
}

/** setsockopt(2) with a 32-bit number or raw bytes. */
export function setsockopt(fd: number, level: number, name: number, value: number | Uint8Array): void {
  const bytes = typeof value === 'number' ? new Uint8Array(new Int32Array([value]).buffer) : value
  check(port.setsockopt(fd, level, name, bytes, bytes.length), 'setsockopt')
}

/** getsockopt(2); the bytes that the kernel filled. `value` may carry input, as the iptables options want. */
export function getsockopt(fd: number, level: number, name: number, value: Uint8Array): Uint8Array {
  const length = new Uint32Array([value.length])
  check(port.getsockopt(fd, level, name, value, new Uint8Array(length.buffer)), 'getsockopt')
  return value.subarray(0, length[0])
}

/** A pending socket error and its clearing (SO_ERROR); 0 when there is none. */
export function socketError(fd: number): number {
  const value = getsockopt(fd, 1, 4, new Uint8Array(4))
  return new DataView(value.buffer).getInt32(0, true)
}

export function send(fd: number, data: Uint8Array, flags = 0): number {
  return check(port.send(fd, data, data.length, flags), 'send')
}

export function sendto(fd: number, data: Uint8Array, flags: number, address: Uint8Array): number {
  return check(port.sendto(fd, data, data.length, flags, address, address.length), 'sendto')
}

/** recv(2); the number of bytes, or undefined when it would block. */
export function recv(fd: number, buffer: Uint8Array, flags = 0): number | undefined {
  return checkUnlessAgain(port.recv(fd, buffer, buffer.length, flags), 'recv')
}

/** recvfrom(2) with the sender's `sockaddr`; undefined when it would block. */
export function recvfrom(
  fd: number,
  buffer: Uint8Array,
  flags = 0,
): { length: number; address: Uint8Array } | undefined {
  const address = new Uint8Array(128)
  const size = new Uint32Array([address.length])
  const result = port.recvfrom(fd, buffer, buffer.length, flags, address, new Uint8Array(size.buffer))
  const length = checkUnlessAgain(result, 'recvfrom')
  return length === undefined ? undefined : { length, address: address.subarray(0, size[0]) }
}

export interface Polled {
  readonly fd: number
  /** POLLIN, POLLOUT */
  readonly events: number
}

/** poll(2). What happened on each descriptor, in the same order; 0 for nothing. `timeout` in ms, -1 for ever. */
export function poll(entries: readonly Polled[], timeout: number): number[] {
  const bytes = new Uint8Array(entries.length * 8)
  const view = new DataView(bytes.buffer)
  for (const [i, { fd, events }] of entries.entries()) {
    view.setInt32(i * 8, fd, true)
    view.setInt16(i * 8 + 4, events, true)
  }
  if (checkUnlessAgain(port.poll(bytes, entries.length, timeout), 'poll') === undefined) return entries.map(() => 0)
  return entries.map((_, i) => view.getInt16(i * 8 + 6, true))
}

/** setns(2): moves this thread into the namespace behind `fd`. */
export function setns(fd: number, type: number): void {
  check(port.setns(fd, type), 'setns')
}

/** unshare(2), for this thread. */
export function unshare(flags: number): void {
  check(port.unshare(flags), 'unshare')
}

export function mount(source: string, target: string, type: string, flags: number): void {
  check(port.mount(source, target, type, flags, ''), 'mount', target)
}

/** mount(2) that changes how an existing mount propagates. False when `target` is not a mount point. */
export function changeMount(target: string, flags: number): boolean {
  if (port.mount('', target, 'none', flags, '') !== -1) return true
  const errno = port.errno()
  if (errno === 22) return false // EINVAL
  throw new SysError('mount', errno, strerror(errno), target)
}

export function umount2(target: string, flags: number): void {
  check(port.umount2(target, flags), 'umount2', target)
}

/** open(2), close-on-exec; returns the descriptor. */
export function open(path: string, flags: number, mode = 0): number {
  return check(port.open(path, flags | O_CLOEXEC, mode), 'open', path)
}

export function close(fd: number): void {
  check(port.close(fd), 'close')
}

/** linkat(2) from one path to another, following a symbolic link at the source when the flag says so. */
export function linkat(fromDir: number, from: string, toDir: number, to: string, flags: number): void {
  check(port.linkat(fromDir, from, toDir, to, flags), 'linkat', to)
}

export function write(fd: number, data: Uint8Array): number {
  return check(port.write(fd, data, data.length), 'write')
}

/** flock(2). False when LOCK_NB was given and somebody else holds it. */
export function flock(fd: number, operation: number): boolean {
  return checkUnlessAgain(port.flock(fd, operation), 'flock') !== undefined
}

export interface Mapping {
  /** shared with the kernel: not to be touched after `unmap` */
  readonly bytes: Uint8Array
  readonly unmap: () => void
}

/** mmap(2) of what `fd` shares, `length` bytes from its beginning, for reading and writing. */
export function mmap(fd: number, length: number): Mapping {
  const address = port.mmap(length, PROT_READ | PROT_WRITE, MAP_SHARED, fd)
  if (address === undefined) {
    const errno = port.errno()
    throw new SysError('mmap', errno, strerror(errno))
  }
  return {
    bytes: new Uint8Array(port.memoryAt(address, length)),
    unmap: () => {
      check(port.munmap(address, length), 'munmap')
    },
  }
}

/** Where the bytes are, for a structure that points to them. They must stay reachable while the kernel reads it. */
export function addressOf(bytes: Uint8Array): bigint {
  return port.addressOf(bytes)
}

/** ioctl(2) with memory, or with a number where the request takes one. */
export function ioctl(fd: number, request: number, argument: Uint8Array | number): void {
  check(port.ioctl(fd, request, argument), 'ioctl')
}

/** isatty(3): whether a person may read there. The runtime's own streams would be loaded for the question: 12 ms. */
export function isatty(fd: number): boolean {
  return port.isatty(fd) === 1
}

/** kill(2). False when there is no such process. */
export function kill(pid: number, signal: number): boolean {
  if (port.kill(pid, signal) !== -1) return true
  const errno = port.errno()
  if (errno === 3) return false // ESRCH
  throw new SysError('kill', errno, strerror(errno), String(pid))
}

/**
 * execve(2): this process becomes the program; returns only by throwing. What the runtime had changed for itself and
 * a program would inherit is put back: SIGPIPE ignored, standard streams non-blocking.
 */
export function execve(path: string, argv: readonly string[], env: Readonly<Record<string, string>>): never {
  port.signal(SIGPIPE, SIG_DFL)
  for (const fd of [0, 1, 2]) {
    const flags = port.fcntl(fd, F_GETFL, 0)
    if (flags !== -1) port.fcntl(fd, F_SETFL, flags & ~O_NONBLOCK)
  }
  check(
    port.execve(
      path,
      argv,
      Object.entries(env).map(([key, value]) => `${key}=${value}`),
    ),
    'execve',
    path,
  )
  throw new Error('execve returned')
}
