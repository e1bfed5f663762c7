/** A libc call that failed, with what it was about. */
import { constants } from 'node:os'

let names: ReadonlyMap<number, string> | undefined

/** Made when the first call fails: most runs need none. */
function readNames(): ReadonlyMap<number, string> {
  const known = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]))
  // two names for one number: the one that the manual's pages use
  known.set(11, 'EAGAIN').set(95, 'EOPNOTSUPP')
  // not in Node's table; 524 is the kernel's own, which drivers return all the same
  known.set(94, 'ESOCKTNOSUPPORT').set(96, 'EPFNOSUPPORT').set(108, 'ESHUTDOWN').set(112, 'EHOSTDOWN')
  known.set(117, 'EUCLEAN').set(524, 'ENOTSUPP')
  return known
}

/** `EPERM` for 1, and so on; `E<number>` for one without a name. */
export function errnoName(errno: number): string {
  names ??= readNames()
  return names.get(errno) ?? `E${errno}`
}

export class SysError extends Error {
  override readonly name = 'SysError'
  /** the function, as in section 2 of the manual */
  readonly call: string
  readonly errno: number
  /** `EPERM`, … */
  readonly code: string
  /** path, address or option that it was about */
  readonly object: string

  constructor(call: string, errno: number, text: string, object = '') {
    super(`${call}${object && ` ${object}`}: ${text}`)
    this.call = call
    this.errno = errno
    this.code = errnoName(errno)
    this.object = object
  }
}
