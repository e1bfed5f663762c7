/** libc for Node, through koffi. */
import koffi from 'koffi'
import { isFailed, type Port, signatures, type Type } from './signatures.ts'

const koffiTypes: Record<Type, string> = {
  int: 'int',
  size: 'size_t',
  buf: 'void *',
  arg: 'void *',
  str: 'str',
  strv: 'str *',
}

const libc = koffi.load('libc.so.6')

function bind(name: string, types: readonly Type[]): (...args: unknown[]) => unknown {
  const call = libc.func(
    name,
    'int',
    types.map((type) => koffiTypes[type]),
  )
  const vector = types.includes('strv')
  return vector ? (...args) => call(...args.map((arg) => (Array.isArray(arg) ? [...arg, null] : arg))) : call
}

const mmap = libc.func('mmap', 'void *', ['void *', 'size_t', 'int', 'int', 'int', 'size_t'])

export const port = {
  ...Object.fromEntries(Object.entries(signatures).map(([name, types]) => [name, bind(name, types)])),
  errno: () => koffi.errno(),
  strerror: libc.func('strerror', 'str', ['int']),
  mmap: (length: number, protection: number, flags: number, fd: number) => {
    const address = Number(mmap(null, length, protection, flags, fd, 0))
    return isFailed(address) ? undefined : address
  },
  memoryAt: (address: number, length: number) => koffi.view(BigInt(address), length),
  addressOf: (bytes: Uint8Array) => koffi.address(bytes),
} as unknown as Port
