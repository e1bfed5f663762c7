/** libc for Node, through koffi. */
import koffi from 'koffi'
import { type Port, signatures, type Type } from './signatures.ts'

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

export const port = {
  ...Object.fromEntries(Object.entries(signatures).map(([name, types]) => [name, bind(name, types)])),
  errno: () => koffi.errno(),
  strerror: libc.func('strerror', 'str', ['int']),
} as unknown as Port
