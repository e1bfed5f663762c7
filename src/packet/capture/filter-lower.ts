/** Filters in terms of loads and comparisons, for one layout of packets. Pure. */
import {
  AD_PROTOCOL,
  AND,
  type Instruction,
  instruction,
  JUMP_EQUAL,
  JUMP_GREATER,
  JUMP_GREATER_EQUAL,
  JUMP_SET,
  LD_BYTE,
  LD_HALF,
  LD_HALF_X,
  LD_LENGTH,
  LD_WORD,
  LDX_HEADER,
} from './bpf.ts'
import type { Direction, Filter } from './filter.ts'
import { etherTypes } from './filter-words.ts'

export type Condition =
  | { readonly kind: 'and' | 'or'; readonly left: Condition; readonly right: Condition }
  | { readonly kind: 'not'; readonly of: Condition }
  | { readonly kind: 'never' }
  | { readonly kind: 'test'; readonly loads: readonly Instruction[]; readonly jump: number; readonly k: number }

/** Where things are in a packet as the socket has it. */
export interface Layout {
  /** where the network header begins */
  readonly network: number
  /** loads the EtherType */
  readonly protocol: Instruction
  readonly hasMac: boolean
}

export const ETHERNET: Layout = { network: 14, protocol: instruction(LD_HALF, 12), hasMac: true }
/** Tunnels and the like: packets without a link header, whose EtherType the kernel knows. */
export const RAW: Layout = { network: 0, protocol: instruction(LD_WORD, AD_PROTOCOL), hasMac: false }

const TCP = 6
const UDP = 17
const SCTP = 132
/** next header of IPv6: a fragment, whose header is 8 bytes with its own next header first */
const FRAGMENT = 44
const IPV6_HEADER = 40
const FRAGMENT_OFFSET = 0x1fff

const never: Condition = { kind: 'never' }

function and(left: Condition, right: Condition): Condition {
  return { kind: 'and', left, right }
}

function or(left: Condition, right: Condition): Condition {
  return { kind: 'or', left, right }
}

function test(loads: readonly Instruction[], k: number, jump = JUMP_EQUAL): Condition {
  return { kind: 'test', loads, jump, k }
}

/** What the filter asks of a packet in this layout. */
export function lower(filter: Filter, layout: Layout): Condition {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return { kind: filter.kind, left: lower(filter.left, layout), right: lower(filter.right, layout) }
    case 'not':
      return { kind: 'not', of: lower(filter.of, layout) }
    case 'ethertype':
      return isType(layout, filter.type)
    case 'protocol':
      return protocol(layout, filter.number, filter.family)
    case 'address':
      return address(layout, filter)
    case 'mac':
      return layout.hasMac ? toward(filter.direction, (side) => mac(filter.mac, side === 'src' ? 6 : 0)) : never
    case 'ports':
      return ports(layout, filter)
    case 'length': {
      const greater = test([instruction(LD_LENGTH, 0)], filter.bytes, filter.atMost ? JUMP_GREATER : JUMP_GREATER_EQUAL)
      return filter.atMost ? { kind: 'not', of: greater } : greater
    }
    case 'broadcast':
      return layout.hasMac ? mac(new Uint8Array(6).fill(0xff), 0) : never
    case 'multicast':
      return multicast(layout, filter.of)
    default:
      return filter satisfies never
  }
}

function isType(layout: Layout, type: number): Condition {
  return test([layout.protocol], type)
}

function byte(at: number, value: number, jump?: number): Condition {
  return test([instruction(LD_BYTE, at)], value, jump)
}

/** One side or both, joined as the direction says. */
function toward(direction: Direction, of: (side: 'src' | 'dst') => Condition): Condition {
  switch (direction) {
    case 'src':
    case 'dst':
      return of(direction)
    case 'src or dst':
      return or(of('src'), of('dst'))
    case 'src and dst':
      return and(of('src'), of('dst'))
    default:
      return direction satisfies never
  }
}

function protocol(layout: Layout, number: number, family?: 4 | 6): Condition {
  const { network } = layout
  if (family === undefined) return or(protocol(layout, number, 4), protocol(layout, number, 6))
  if (family === 4) return and(isType(layout, etherTypes.ip), byte(network + 9, number))
  const behindFragment = and(byte(network + 6, FRAGMENT), byte(network + IPV6_HEADER, number))
  return and(isType(layout, etherTypes.ip6), or(byte(network + 6, number), behindFragment))
}

function mac(bytes: Uint8Array, at: number): Condition {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  return and(
    test([instruction(LD_WORD, at + 2)], view.getUint32(2)),
    test([instruction(LD_HALF, at)], view.getUint16(0)),
  )
}

/** The leading `length` bits of the bytes at `at`. */
function bits(bytes: Uint8Array, length: number, at: number): Condition | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let all: Condition | undefined
  for (let i = 0; i < length; i += 32) {
    const rest = Math.min(32, length - i)
    const mask = rest === 32 ? [] : [instruction(AND, (~0 << (32 - rest)) >>> 0)]
    const one = test([instruction(LD_WORD, at + i / 8), ...mask], view.getUint32(i / 8))
    all = all ? and(all, one) : one
  }
  return all
}

function address(layout: Layout, filter: Filter & { readonly kind: 'address' }): Condition {
  const within = (type: 'ip' | 'ip6' | 'arp' | 'rarp'): Condition => {
    const [src, dst] = { ip: [12, 16], ip6: [8, 24], arp: [14, 24], rarp: [14, 24] }[type]
    const match = toward(filter.direction, (side) => {
      const at = layout.network + ((side === 'src' ? src : dst) ?? 0)
      // a prefix of no bits holds every address
      return bits(filter.address, filter.length, at) ?? { kind: 'not', of: never }
    })
    return and(isType(layout, etherTypes[type]), match)
  }
  if (filter.within) return within(filter.within)
  if (filter.address.length === 16) return within('ip6')
  return or(or(within('ip'), within('arp')), within('rarp'))
}

function ports(layout: Layout, filter: Filter & { readonly kind: 'ports' }): Condition {
  const { network } = layout
  const isOneOf = (at: number): Condition => {
    const [first = TCP, ...others] = filter.protocol === undefined ? [TCP, UDP, SCTP] : [filter.protocol]
    return others.reduce((all, number) => or(all, byte(at, number)), byte(at, first))
  }
  /** both ports lie at the beginning of their header, the source's first */
  const match = (loads: (offset: number) => readonly Instruction[]): Condition =>
    toward(filter.direction, (side) => {
      const load = loads(side === 'src' ? 0 : 2)
      if (filter.first === filter.last) return test(load, filter.first)
      return and(test(load, filter.first, JUMP_GREATER_EQUAL), {
        kind: 'not',
        of: test(load, filter.last, JUMP_GREATER),
      })
    })
  const header = instruction(LDX_HEADER, network)
  // only the first fragment has ports
  const isLater = test([instruction(LD_HALF, network + 6)], FRAGMENT_OFFSET, JUMP_SET)
  const v4 = and(
    and(isType(layout, etherTypes.ip), isOneOf(network + 9)),
    and(
      { kind: 'not', of: isLater },
      match((offset) => [header, instruction(LD_HALF_X, network + offset)]),
    ),
  )
  const v6 = and(
    and(isType(layout, etherTypes.ip6), isOneOf(network + 6)),
    match((offset) => [instruction(LD_HALF, network + IPV6_HEADER + offset)]),
  )
  return or(v4, v6)
}

function multicast(layout: Layout, of: 'ether' | 'ip' | 'ip6'): Condition {
  switch (of) {
    case 'ether':
      return layout.hasMac ? byte(0, 1, JUMP_SET) : never
    case 'ip':
      return and(isType(layout, etherTypes.ip), byte(layout.network + 16, 224, JUMP_GREATER_EQUAL))
    case 'ip6':
      return and(isType(layout, etherTypes.ip6), byte(layout.network + 24, 255))
    default:
      return of satisfies never
  }
}
