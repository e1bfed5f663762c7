/** libc for Bun, through bun:ffi. */
import { type CString, dlopen, FFIType, type Pointer, ptr, read } from 'bun:ffi'
import { type Port, signatures, type Type } from './signatures.ts'

const ffiTypes: Record<Type, FFIType> = {
  int: FFIType.i32,
  size: FFIType.u64_fast,
  buf: FFIType.ptr,
  str: FFIType.ptr,
  strv: FFIType.ptr,
}

const declarations = Object.fromEntries(
  Object.entries(signatures).map(([name, args]) => [
    name,
    { args: args.map((type) => ffiTypes[type]), returns: FFIType.i32 },
  ]),
)

const { symbols } = dlopen('libc.so.6', {
  ...declarations,
  strerror: { args: [FFIType.i32], returns: FFIType.cstring },
  __errno_location: { args: [], returns: FFIType.ptr },
}) as unknown as { symbols: Record<string, (...args: unknown[]) => unknown> }

function symbol(name: string): (...args: unknown[]) => unknown {
  const found = symbols[name]
  if (!found) throw new Error(`libc has no ${name}`)
  return found
}

/** Memory handed to a call must stay reachable until it returns: `keep` holds what only an address refers to. */
function convert(type: Type, value: unknown, keep: unknown[]): unknown {
  if (type === 'str') return Buffer.from(`${value as string}\0`)
  if (type !== 'strv') return value
  const strings = (value as readonly string[]).map((s) => Buffer.from(`${s}\0`))
  const pointers = new BigUint64Array(strings.length + 1)
  for (const [i, s] of strings.entries()) pointers[i] = BigInt(ptr(s))
  keep.push(strings)
  return pointers
}

function bind(name: string, types: readonly Type[]): (...args: unknown[]) => unknown {
  const call = symbol(name)
  if (!types.some((t) => t === 'str' || t === 'strv')) return call
  return (...args) => {
    const keep: unknown[] = []
    return call(...types.map((type, i) => convert(type, args[i], keep)))
  }
}

const errnoLocation = symbol('__errno_location')
const strerror = symbol('strerror')

export const port = {
  ...Object.fromEntries(Object.entries(signatures).map(([name, types]) => [name, bind(name, types)])),
  errno: () => read.i32(errnoLocation() as Pointer, 0),
  strerror: (errno: number) => String(strerror(errno) as CString),
} as unknown as Port
