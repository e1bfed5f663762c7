/** Classic BPF: the instructions of a socket filter; linux/filter.h, Documentation/networking/filter.rst. */
import { addressOf, SO_ATTACH_FILTER, SOL_SOCKET, setsockopt } from '../../sys/index.ts'

export interface Instruction {
  /** class, size and mode of the operation */
  readonly code: number
  /** instructions to skip when a condition holds, and when it does not: 8 bits each */
  readonly jt: number
  readonly jf: number
  /** 32 bits without a sign */
  readonly k: number
}

export const LD_WORD = 0x20
export const LD_HALF = 0x28
export const LD_BYTE = 0x30
/** from the packet at X + k */
export const LD_HALF_X = 0x48
export const LD_LENGTH = 0x80
/** X = 4 * (byte at k & 15): the length of an IPv4 header */
export const LDX_HEADER = 0xb1
export const AND = 0x54
export const JUMP = 0x05
export const JUMP_EQUAL = 0x15
export const JUMP_GREATER = 0x25
export const JUMP_GREATER_EQUAL = 0x35
export const JUMP_SET = 0x45
export const RETURN = 0x06

/** SKF_AD_OFF, -0x1000: loads from here on give what the kernel knows beside the bytes */
const ANCILLARY = 0xfffff000
export const AD_PROTOCOL = ANCILLARY + 0
export const AD_PACKET_TYPE = ANCILLARY + 4
export const AD_INTERFACE = ANCILLARY + 8
export const AD_HARDWARE = ANCILLARY + 28

/** BPF_MAXINSNS */
export const MOST_INSTRUCTIONS = 4096
const INSTRUCTION_SIZE = 8

export function instruction(code: number, k: number, jt = 0, jf = 0): Instruction {
  return { code, jt, jf, k }
}

/** `struct sock_filter` of each, in the machine's byte order (little endian on x86_64 and arm64). */
export function encodeProgram(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * INSTRUCTION_SIZE)
  const view = new DataView(bytes.buffer)
  for (const [i, { code, jt, jf, k }] of program.entries()) {
    view.setUint16(i * INSTRUCTION_SIZE, code, true)
    view.setUint8(i * INSTRUCTION_SIZE + 2, jt)
    view.setUint8(i * INSTRUCTION_SIZE + 3, jf)
    view.setUint32(i * INSTRUCTION_SIZE + 4, k, true)
  }
  return bytes
}

/** Puts a filter in front of a socket, in place of the one it has. Throws SysError (EINVAL: not a program). */
export function attachFilter(fd: number, program: readonly Instruction[]): void {
  const code = encodeProgram(program)
  // struct sock_fprog: a length, and a pointer at its natural place
  const fprog = new Uint8Array(16)
  const view = new DataView(fprog.buffer)
  view.setUint16(0, program.length, true)
  view.setBigUint64(8, addressOf(code), true)
  setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, fprog)
  // the kernel has copied it by now; this keeps it reachable until then
  code.fill(0)
}
