/** The memory of the nf_tables virtual machine: 16 registers of 4 bytes, the older four of 16 bytes are the same bytes. */
import { slotOf } from '../../nftables/decompile-load.ts'
import type { Bits } from './bits.ts'

export interface Registers {
  readonly value: Uint8Array
  readonly unknown: Uint8Array
  /** for each slot what it holds, when some of it is unknown */
  readonly what: (string | undefined)[]
}

const SLOTS = 16
const SLOT = 4

/** The kernel refuses rules that read what they did not write, so that rules may follow each other in the same memory. */
export function newRegisters(): Registers {
  return { value: new Uint8Array(SLOTS * SLOT), unknown: new Uint8Array(SLOTS * SLOT), what: [] }
}

/** Undefined when there are no such bytes. */
function placeOf(register: number | undefined, length: number): number | undefined {
  const slot = slotOf(register)
  return slot === undefined || slot * SLOT + length > SLOTS * SLOT ? undefined : slot * SLOT
}

/** Writes whole slots: the rest of the last one becomes zero. False when there is no such register. */
export function store(registers: Registers, register: number | undefined, bits: Bits, what: string): boolean {
  const at = placeOf(register, bits.value.length)
  if (at === undefined) return false
  const length = bits.value.length
  const end = at + ((length + SLOT - 1) & ~(SLOT - 1))
  registers.value.set(bits.value, at)
  registers.value.fill(0, at + length, end)
  if (bits.unknown) registers.unknown.set(bits.unknown, at)
  registers.unknown.fill(0, bits.unknown ? at + length : at, end)
  const note = bits.unknown?.some((byte) => byte !== 0) ? what : undefined
  for (let slot = at / SLOT; slot < end / SLOT; slot++) registers.what[slot] = note
  return true
}

/** A view, valid until the next store. */
export function load(registers: Registers, register: number | undefined, length: number): Bits | undefined {
  const at = placeOf(register, length)
  if (at === undefined) return undefined
  const value = registers.value.subarray(at, at + length)
  return whatOf(registers, register, length) === undefined
    ? { value }
    : { value, unknown: registers.unknown.subarray(at, at + length) }
}

/** What is unknown in the register; undefined: nothing. */
export function whatOf({ what }: Registers, register: number | undefined, length: number): string | undefined {
  const first = slotOf(register)
  if (first === undefined) return undefined
  for (let slot = first; slot < first + length / SLOT; slot++) if (what[slot] !== undefined) return what[slot]
  return undefined
}
