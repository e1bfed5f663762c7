/**
 * The libc functions that hardway calls, declared once. Each runtime's file binds this table; types follow from it.
 * Every function here returns -1 and sets errno on failure (section 2 of the manual), but isatty (0) and strerror.
 */

/**
 * `buf` is memory that the callee reads or writes; `arg` is memory or a number, as the request of ioctl(2) has it;
 * `strv` is a NULL-terminated array of strings.
 */
export type Type = 'int' | 'size' | 'buf' | 'arg' | 'str' | 'strv'

export const signatures = {
  socket: ['int', 'int', 'int'],
  bind: ['int', 'buf', 'int'],
  connect: ['int', 'buf', 'int'],
  listen: ['int', 'int'],
  accept4: ['int', 'buf', 'buf', 'int'],
  getsockname: ['int', 'buf', 'buf'],
  setsockopt: ['int', 'int', 'int', 'buf', 'int'],
  getsockopt: ['int', 'int', 'int', 'buf', 'buf'],
  send: ['int', 'buf', 'size', 'int'],
  sendto: ['int', 'buf', 'size', 'int', 'buf', 'int'],
  recv: ['int', 'buf', 'size', 'int'],
  recvfrom: ['int', 'buf', 'size', 'int', 'buf', 'buf'],
  poll: ['buf', 'size', 'int'],
  setns: ['int', 'int'],
  unshare: ['int'],
  mount: ['str', 'str', 'str', 'size', 'str'],
  umount2: ['str', 'int'],
  open: ['str', 'int', 'int'],
  close: ['int'],
  linkat: ['int', 'str', 'int', 'str', 'int'],
  write: ['int', 'buf', 'size'],
  flock: ['int', 'int'],
  fcntl: ['int', 'int', 'int'],
  ioctl: ['int', 'size', 'arg'],
  isatty: ['int'],
  munmap: ['arg', 'size'],
  signal: ['int', 'size'],
  kill: ['int', 'int'],
  execve: ['str', 'strv', 'strv'],
} as const satisfies Record<string, readonly Type[]>

interface Arguments {
  int: number
  size: number
  buf: Uint8Array | null
  arg: Uint8Array | number
  str: string
  strv: readonly string[]
}

type Parameters<T extends readonly Type[]> = { -readonly [I in keyof T]: Arguments[T[I]] }

/** What a runtime's file provides. */
export type Port = {
  readonly [F in keyof typeof signatures]: (...args: Parameters<(typeof signatures)[F]>) => number
} & {
  /** errno of the call just made; read it before anything else */
  readonly errno: () => number
  readonly strerror: (errno: number) => string
  /** mmap(2) at an address that the kernel chooses, which is returned; undefined on failure */
  readonly mmap: (length: number, protection: number, flags: number, fd: number) => number | undefined
  /** the memory at an address, not copied */
  readonly memoryAt: (address: number, length: number) => ArrayBuffer
  /** where the bytes are, as a structure for the kernel has it; hold on to them for as long as it is used */
  readonly addressOf: (bytes: Uint8Array) => bigint
}

/** Whether mmap(2) gave MAP_FAILED, which is -1 as an address. */
export function isFailed(address: number): boolean {
  return address < 0 || address >= 2 ** 63
}
