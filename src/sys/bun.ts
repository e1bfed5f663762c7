/** libc for Bun, through bun:ffi. */
import { type CString, dlopen, FFIType, type Pointer, ptr, read, toArrayBuffer } from 'bun:ffi'
import { isFailed, type Port, signatures, type Type } from './signatures.ts'

const ffiTypes: Record<Type, FFIType> = {
  int: FFIType.i32,
  size: FFIType.u64_fast,
  buf: FFIType.ptr,
  arg: FFIType.ptr,
  str: FFIType.ptr,
  strv: FFIType.ptr,
}

type Call = (...args: unknown[]) => unknown

/** Each function of libc is compiled by the runtime when it is opened, 0.1 ms each: so one at a time, when needed. */
function open(name: string, args: readonly Type[], returns: FFIType = FFIType.i32): Call {
  const { symbols } = dlopen('libc.so.6', { [name]: { args: args.map((type) => ffiTypes[type]), returns } })
  return symbols[name] as unknown as Call
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

function bind(name: string, types: readonly Type[]): Call {
  const call = open(name, types)
  if (!types.some((t) => t === 'str' || t === 'strv')) return call
  return (...args) => {
    const keep: unknown[] = []
    return call(...types.map((type, i) => convert(type, args[i], keep)))
  }
}

/** Not later than the first call: opening a function would overwrite what it tells. */
const errnoLocation = open('__errno_location', [], FFIType.ptr)

const functions: Record<string, Call> = {}
for (const [name, types] of Object.entries(signatures)) {
  functions[name] = (...args) => {
    const call = bind(name, types)
    functions[name] = call
    return call(...args)
  }
}

export const port = Object.assign(functions, {
  errno: () => read.i32(errnoLocation() as Pointer, 0),
  strerror: (errno: number) => String(open('strerror', ['int'], FFIType.cstring)(errno) as CString),
  mmap: (length: number, protection: number, flags: number, fd: number) => {
    const address = Number(
      open('mmap', ['buf', 'size', 'int', 'int', 'int', 'size'], FFIType.ptr)(null, length, protection, flags, fd, 0),
    )
    return isFailed(address) ? undefined : address
  },
  memoryAt: (address: number, length: number) => toArrayBuffer(address as Pointer, 0, length),
  addressOf: (bytes: Uint8Array) => BigInt(ptr(bytes)),
}) as unknown as Port
