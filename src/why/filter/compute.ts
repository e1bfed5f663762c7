/** Expressions that change registers or compare them; net/netfilter/nft_cmp.c, nft_bitwise.c and the like. */
import type { VmData } from '../../nftables/attributes-expressions.ts'
import { type Bits, equals, flip, isLess, type Maybe, not, within } from './bits.ts'
import { load, store, whatOf } from './registers.ts'
import { type Run, undecidable, type Verdict, verdictOf } from './run.ts'

/** Bytes of a register that must be there. */
export function read(run: Run, register: number | undefined, length: number): Bits {
  return load(run.registers, register, length) ?? undecidable(run, `register ${register}`)
}

function write(run: Run, register: number | undefined, bits: Bits, what: string): Verdict {
  return store(run.registers, register, bits, what) ? 'continue' : undecidable(run, `register ${register}`)
}

/** What a comparison waits for, for messages. */
function unknownOf(run: Run, register: number | undefined, length: number): string {
  return whatOf(run.registers, register, length) ?? 'a register'
}

/** NFT_CMP_EQ and the following */
const comparisons: readonly ((bits: Bits, to: Uint8Array) => Maybe)[] = [
  equals,
  (bits, to) => not(equals(bits, to)),
  isLess,
  (bits, to) => within(bits, new Uint8Array(to.length), to),
  (bits, to) => not(within(bits, new Uint8Array(to.length), to)),
  (bits, to) => not(isLess(bits, to)),
]

export function runCmp(run: Run, { sreg, op = 0, data }: VmData<'cmp'>): Verdict {
  const to = data?.value ?? new Uint8Array(0)
  const compare = comparisons[op] ?? undecidable(run, `comparison ${op}`)
  const claim = compare(read(run, sreg, to.length), to)
  return claim === undefined ? verdictOf(run, claim, unknownOf(run, sreg, to.length)) : claim ? 'continue' : 'break'
}

/** NFT_RANGE_NEQ */
const OUTSIDE = 1

export function runRange(run: Run, { sreg, op, from, to }: VmData<'range'>): Verdict {
  const low = from?.value ?? new Uint8Array(0)
  const claim = within(read(run, sreg, low.length), low, to?.value ?? low)
  return verdictOf(run, flip(claim, op === OUTSIDE), unknownOf(run, sreg, low.length))
}

/** NFT_BITWISE_* */
const bitwise = { mask: 0, shiftLeft: 1, shiftRight: 2, and: 3, or: 4, xor: 5 } as const

export function runBitwise(run: Run, data: VmData<'bitwise'>): Verdict {
  const { sreg, dreg, len = 0, op = bitwise.mask } = data
  const what = unknownOf(run, sreg, len)
  const from = read(run, sreg, len)
  const { value, unknown } = from
  switch (op) {
    case bitwise.mask: {
      const mask = data.mask?.value ?? new Uint8Array(len)
      const xor = data.xor?.value ?? new Uint8Array(len)
      const keep = unknown?.map((byte, i) => byte & (mask[i] ?? 0))
      const result = value.map((byte, i) => ((byte & (mask[i] ?? 0)) ^ (xor[i] ?? 0)) & ~(keep?.[i] ?? 0))
      return write(run, dreg, { value: result, unknown: keep }, what)
    }
    case bitwise.shiftLeft:
    case bitwise.shiftRight: {
      const amount = new DataView((data.data?.value ?? new Uint8Array(4)).slice().buffer).getUint32(0, true)
      const shifted = (bytes: Uint8Array): Uint8Array => shift(bytes, op === bitwise.shiftLeft ? amount : -amount)
      return write(run, dreg, { value: shifted(value), unknown: unknown && shifted(unknown) }, what)
    }
    case bitwise.and:
    case bitwise.or:
    case bitwise.xor:
      return write(run, dreg, combine(from, read(run, data.sreg2, len), op), what)
    default:
      return undecidable(run, `bitwise operation ${op}`)
  }
}

/** A bit of the result is known when both are, or when one of them alone settles it. */
function combine(a: Bits, b: Bits, op: 3 | 4 | 5): Bits {
  const value = new Uint8Array(a.value.length)
  const unknown = new Uint8Array(a.value.length)
  for (let i = 0; i < value.length; i++) {
    const [x, y] = [a.value[i] ?? 0, b.value[i] ?? 0]
    const [p, q] = [a.unknown?.[i] ?? 0, b.unknown?.[i] ?? 0]
    const settled = op === bitwise.and ? (~x & ~p) | (~y & ~q) : op === bitwise.or ? x | y : 0
    unknown[i] = (p | q) & ~settled
    value[i] = (op === bitwise.and ? x & y : op === bitwise.or ? x | y : x ^ y) & ~(unknown[i] ?? 0)
  }
  return { value, unknown }
}

/** Words of 4 bytes in host order, the carry going to the word before, as the kernel does; right with a negative number. */
function shift(bytes: Uint8Array, amount: number): Uint8Array {
  const padded = new Uint8Array((bytes.length + 3) & ~3)
  padded.set(bytes)
  const view = new DataView(padded.buffer)
  const by = Math.abs(amount) % 32
  if (by === 0) return padded.slice(0, bytes.length)
  let carry = 0
  const words = padded.length / 4
  for (let n = 0; n < words; n++) {
    const at = (amount > 0 ? words - 1 - n : n) * 4
    const word = view.getUint32(at, true)
    view.setUint32(at, (amount > 0 ? (word << by) | carry : (word >>> by) | carry) >>> 0, true)
    carry = amount > 0 ? word >>> (32 - by) : word << (32 - by)
  }
  return padded.slice(0, bytes.length)
}

export function runByteorder(run: Run, { sreg, dreg, len = 0, size = 2 }: VmData<'byteorder'>): Verdict {
  const turn = (bytes: Uint8Array): Uint8Array => {
    const turned = bytes.slice()
    for (let at = 0; at + size <= turned.length && size > 0; at += size) turned.subarray(at, at + size).reverse()
    return turned
  }
  const what = unknownOf(run, sreg, len)
  const { value, unknown } = read(run, sreg, len)
  return write(run, dreg, { value: turn(value), unknown: unknown && turn(unknown) }, what)
}

export function runLoad(run: Run, dreg: number | undefined, loaded: Bits | 'absent', what: string): Verdict {
  return loaded === 'absent' ? 'break' : write(run, dreg, loaded, what)
}
