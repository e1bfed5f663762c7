/** For tests: runs programs of classic BPF, and makes packets to run them on. */
import { internetChecksum } from '../checksum.ts'
import { AD_HARDWARE, AD_INTERFACE, AD_PACKET_TYPE, AD_PROTOCOL, type Instruction } from './bpf.ts'

export interface Frame {
  readonly bytes: Uint8Array
  readonly device?: number
  readonly hardware?: number
  readonly packetType?: number
}

/** How many bytes the program lets through of a frame; 0 when it reads beyond the end, as the kernel has it. */
export function runProgram(program: readonly Instruction[], frame: Frame): number {
  const { bytes, device = 1, hardware = 1, packetType = 0 } = frame
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const load = (at: number, size: number): number | undefined => {
    if (at === AD_PROTOCOL) return hardware === 1 ? view.getUint16(12) : view.getUint8(0) >> 4 === 4 ? 0x800 : 0x86dd
    if (at === AD_HARDWARE) return hardware
    if (at === AD_PACKET_TYPE) return packetType
    if (at === AD_INTERFACE) return device
    if (at + size > bytes.length) return undefined
    return size === 4 ? view.getUint32(at) : size === 2 ? view.getUint16(at) : view.getUint8(at)
  }
  let [a, x] = [0, 0]
  for (let pc = 0; pc < program.length; pc++) {
    const { code, jt, jf, k } = program[pc] ?? { code: 0, jt: 0, jf: 0, k: 0 }
    switch (code & 7) {
      case 0: {
        const mode = code & 0xe0
        const value =
          mode === 0x80 ? bytes.length : load(mode === 0x40 ? x + k : k, code & 0x08 ? 2 : code & 0x10 ? 1 : 4)
        if (value === undefined) return 0
        a = value
        break
      }
      case 1: {
        const value = (code & 0xe0) === 0xa0 ? bytes[k] : k
        if (value === undefined) return 0
        x = (code & 0xe0) === 0xa0 ? (value & 15) * 4 : value
        break
      }
      case 4:
        a = aluOf(code, a, (code & 8) === 8 ? x : k)
        break
      case 5: {
        const operand = (code & 8) === 8 ? x : k
        if ((code & 0xf0) === 0) pc += k
        else pc += holds(code, a, operand) ? jt : jf
        break
      }
      case 6:
        return k
      case 7:
        if ((code & 0x80) === 0) x = a
        else a = x
        break
      default:
        throw new Error(`instruction ${code.toString(16)} is not known here`)
    }
  }
  throw new Error('the program runs past its end')
}

function aluOf(code: number, a: number, operand: number): number {
  switch (code & 0xf0) {
    case 0x00:
      return (a + operand) >>> 0
    case 0x50:
      return (a & operand) >>> 0
    case 0x60:
      return (a << operand) >>> 0
    case 0x70:
      return a >>> operand
    default:
      throw new Error(`arithmetic ${code.toString(16)} is not known here`)
  }
}

function holds(code: number, a: number, operand: number): boolean {
  switch (code & 0xf0) {
    case 0x10:
      return a === operand
    case 0x20:
      return a > operand
    case 0x30:
      return a >= operand
    case 0x40:
      return (a & operand) !== 0
    default:
      throw new Error(`jump ${code.toString(16)} is not known here`)
  }
}

type Next = (limit: number) => number

const pick = <T>(next: Next, list: readonly T[]): T => list[next(list.length)] as T

/** Few different values, so that filters meet what they look for. */
const addresses4 = [
  [10, 0, 0, 1],
  [10, 0, 0, 2],
  [10, 1, 2, 3],
  [192, 168, 1, 7],
  [224, 0, 0, 251],
  [255, 255, 255, 255],
]
const addresses6 = [
  'fd000000000000000000000000000001',
  'fd000000000000000000000000000002',
  'fe80000000000000000000000000abcd',
  'ff020000000000000000000000000001',
].map((hex) => [...Buffer.from(hex, 'hex')])
const macs = [
  [2, 0, 0, 0, 0, 1],
  [2, 0, 0, 0, 0, 2],
  [255, 255, 255, 255, 255, 255],
  [1, 0, 94, 0, 0, 251],
]
const ports = [22, 53, 80, 443, 8000, 8005, 40000]

export const two = (value: number): number[] => [(value >> 8) & 255, value & 255]

/** Something over IP, whole or a fragment, or ARP, or of a type that nobody knows; at least 80 bytes long. */
export function randomFrame(next: Next): Uint8Array {
  const type = pick(next, [0x0800, 0x0800, 0x0800, 0x86dd, 0x86dd, 0x0806, 0x8035, 0x88cc, next(0x10000)])
  const filler = Array.from({ length: 80 + next(200) }, () => next(256))
  return Uint8Array.from([...pick(next, macs), ...pick(next, macs), ...two(type), ...payload(next, type), ...filler])
}

function payload(next: Next, type: number): number[] {
  const proto = pick(next, [1, 2, 6, 6, 17, 17, 47, 58, 132, next(256)])
  const l4 = [...two(pick(next, ports)), ...two(pick(next, ports))]
  if (type === 0x0800) {
    const options = next(4) === 0 ? next(11) : 0
    const fragment = next(4) === 0 ? next(0x4000) : 0
    const header = [0x45 + options, 0, ...two(100), 0, 7, ...two(fragment), 64, proto, 0, 0]
    return [
      ...header,
      ...pick(next, addresses4),
      ...pick(next, addresses4),
      ...Array<number>(options * 4).fill(1),
      ...l4,
    ]
  }
  if (type === 0x86dd) {
    const isFragment = next(5) === 0
    const header = [0x60, 0, 0, 0, ...two(60), isFragment ? 44 : proto, 64]
    const extension = isFragment ? [proto, 0, ...two(next(2)), 0, 0, 0, 1] : []
    return [...header, ...pick(next, addresses6), ...pick(next, addresses6), ...extension, ...l4]
  }
  if (type === 0x0806 || type === 0x8035) {
    const head = [0, 1, 8, 0, 6, 4, 0, 1 + next(2)]
    return [...head, ...pick(next, macs), ...pick(next, addresses4), ...pick(next, macs), ...pick(next, addresses4)]
  }
  return []
}

/** From 02:00:00:00:00:01 to 02:00:00:00:00:02. */
export function ethernet(type: number, payload: readonly number[]): Uint8Array {
  return Uint8Array.from([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, ...two(type), ...payload])
}

/** From 10.0.0.1 to 10.0.0.2, id 7, with the right checksum. `fragment` is the field of flags and offset. */
export function ipv4(protocol: number, payload: readonly number[], { fragment = 0 } = {}): number[] {
  const head = [0x45, 0, ...two(20 + payload.length), 0, 7, ...two(fragment), 64, protocol]
  const ends = [10, 0, 0, 1, 10, 0, 0, 2]
  const checksum = internetChecksum(Uint8Array.from([...head, 0, 0, ...ends]))
  return [...head, ...two(checksum), ...ends, ...payload]
}

/** From fd00::1 to fd00::2. */
export function ipv6(next: number, payload: readonly number[]): number[] {
  return [0x60, 0, 0, 0, ...two(payload.length), next, 64, ...addresses6.slice(0, 2).flat(), ...payload]
}

/** Without a checksum. */
export function udp(source: number, destination: number, payload: readonly number[]): number[] {
  return [...two(source), ...two(destination), ...two(8 + payload.length), 0, 0, ...payload]
}
