/** Selectors into registers, with what must be known of the packet first (nft calls these dependencies). Pure. */
import type { Vm } from './attributes-expressions.ts'
import { CompileError, encodeValue, numberToBytes, typeOf } from './datatypes.ts'
import type { Match, Selector } from './expression.ts'
import type { Family } from './objects.ts'
import {
  ctKeys,
  fibFlags,
  fibResults,
  findField,
  findKey,
  findProtocol,
  layerNumbers,
  metaKeys,
  rtKeys,
  singleType,
  socketKeys,
  typesOf,
} from './selectors.ts'

/** The register that begins at a 4-byte slot: one of the 16-byte registers where that is possible, as nft prefers. */
export function register(slot: number): number {
  if (slot > 15) throw new CompileError('the expression needs more than the 64 bytes of registers')
  return slot % 4 === 0 ? 1 + slot / 4 : 8 + slot
}

/** Slots of a single value: a whole 16-byte register. */
export const REGISTER_SLOTS = 4

export function slotsOf(bytes: number): number {
  return (bytes + 3) >> 2
}

/** What is known of the packet at a point of the rule. */
export interface Known {
  link?: 'ether' | undefined
  network?: 'ip' | 'ip6' | 'arp' | undefined
  transport?: number | undefined
}

export function knownAtStart(family: Family): Known {
  switch (family) {
    case 'ip':
    case 'ip6':
    case 'arp':
      return { network: family }
    case 'bridge':
      return { link: 'ether' }
    case 'inet':
    case 'netdev':
      return {}
    default:
      return family satisfies never
  }
}

const nfproto = { ip: 2, ip6: 10 } as const
const etherTypes = { ip: 0x0800, ip6: 0x86dd, arp: 0x0806 } as const

export interface Context {
  readonly family: Family
  readonly known: Known
  readonly vm: Vm[]
}

function dependency(context: Context, key: string, value: Uint8Array): void {
  context.vm.push(
    { kind: 'meta', data: { key: findKey(metaKeys, key, 'meta')[0], dreg: register(0) } },
    { kind: 'cmp', data: { sreg: register(0), op: 0, data: { value } } },
  )
}

export function needNetwork(context: Context, network: 'ip' | 'ip6' | 'arp'): void {
  const { known, family } = context
  if (known.network === network) return
  if (known.network) throw new CompileError(`${network} where the rule is about ${known.network} already`)
  if (family === 'inet') {
    if (network === 'arp') throw new CompileError('arp in a table of family inet')
    dependency(context, 'nfproto', Uint8Array.of(nfproto[network]))
  } else {
    dependency(context, 'protocol', numberToBytes(etherTypes[network], 2, 'network'))
  }
  known.network = network
}

export function needTransport(context: Context, transport: number): void {
  const { known } = context
  if (known.transport === transport) return
  if (known.transport !== undefined) {
    throw new CompileError(`transport protocol ${transport} where the rule is about ${known.transport} already`)
  }
  dependency(context, 'l4proto', Uint8Array.of(transport))
  known.transport = transport
}

/** Emits what the selector depends on. */
export function requireFor(context: Context, selector: Selector): void {
  switch (selector.kind) {
    case 'payload': {
      const needs = findProtocol(selector.protocol).needs
      if (needs?.link && context.known.link !== needs.link) {
        dependency(context, 'iiftype', numberToBytes(1, 2, 'host'))
        context.known.link = needs.link
      }
      if (needs?.network) needNetwork(context, needs.network)
      if (needs?.transport !== undefined) needTransport(context, needs.transport)
      return
    }
    case 'and':
      requireFor(context, selector.of)
      return
    case 'concat':
    case 'jhash':
      for (const part of selector.of) requireFor(context, part)
      return
    case 'raw':
    case 'meta':
    case 'ct':
    case 'fib':
    case 'rt':
    case 'socket':
    case 'numgen':
    case 'symhash':
      return
    default:
      selector satisfies never
  }
}

/** A match that tells the packet's protocols saves later dependencies. */
export function learn(known: Known, { left, op, right }: Match): void {
  if (op !== '==' || right.kind !== 'value') return
  const number = (): number => encodeValue(singleType(left), right.value, 'network').reduce((n, b) => n * 256 + b, 0)
  if (left.kind === 'meta') {
    if (left.key === 'nfproto') known.network = number() === 2 ? 'ip' : number() === 10 ? 'ip6' : known.network
    if (left.key === 'l4proto') known.transport = number()
    if (left.key === 'protocol') known.network = networkOfEther(number())
    if (left.key === 'iiftype') known.link = number() === 1 ? 'ether' : known.link
  } else if (left.kind === 'payload') {
    const name = `${left.protocol} ${left.field}`
    if (name === 'ip protocol' || name === 'ip6 nexthdr') known.transport = number()
    if (name === 'ether type') known.network = networkOfEther(number())
  }
}

function networkOfEther(type: number): Known['network'] {
  for (const name of ['ip', 'ip6', 'arp'] as const) if (etherTypes[name] === type) return name
  return undefined
}

/** Loads the value into the registers from `slot` on. Dependencies must be there already. */
export function load(context: Context, selector: Selector, slot: number, bytes?: number): void {
  const { vm } = context
  const dreg = register(slot)
  switch (selector.kind) {
    case 'payload': {
      const field = findField(selector)
      const base = layerNumbers[findProtocol(selector.protocol).layer]
      const len = bytes ?? field.bits?.bytes ?? typeOf(field.type).bytes
      vm.push({ kind: 'payload', data: { dreg, base, offset: field.offset, len } })
      if (field.bits) maskRegister(context, slot, numberToBytes(field.bits.mask, field.bits.bytes, 'network'))
      return
    }
    case 'raw': {
      if (selector.offset % 8 || selector.length % 8) throw new CompileError('a raw payload of partial bytes')
      const base = layerNumbers[selector.base]
      vm.push({ kind: 'payload', data: { dreg, base, offset: selector.offset / 8, len: bytes ?? selector.length / 8 } })
      return
    }
    case 'meta':
      vm.push({ kind: 'meta', data: { key: findKey(metaKeys, selector.key, 'meta')[0], dreg } })
      return
    case 'ct': {
      const key = findKey(ctKeys, selector.key, 'ct')[0]
      const direction = selector.direction && (selector.direction === 'original' ? 0 : 1)
      vm.push({ kind: 'ct', data: direction === undefined ? { key, dreg } : { key, dreg, direction } })
      return
    }
    case 'rt':
      vm.push({ kind: 'rt', data: { key: findKey(rtKeys, selector.key, 'rt')[0], dreg } })
      return
    case 'socket':
      vm.push({ kind: 'socket', data: { key: findKey(socketKeys, selector.key, 'socket')[0], dreg, level: 0 } })
      return
    case 'fib': {
      const [result, extra] = fibResults[selector.result]
      const flags = selector.flags.reduce((sum, name) => sum | fibFlags[name], extra as number)
      vm.push({ kind: 'fib', data: { flags, result, dreg } })
      return
    }
    case 'numgen': {
      const type = selector.mode === 'inc' ? 0 : 1
      vm.push({ kind: 'numgen', data: { dreg, modulus: selector.modulus, type, offset: selector.offset ?? 0 } })
      return
    }
    case 'jhash': {
      const from = slot + REGISTER_SLOTS
      const types = selector.of.flatMap(typesOf)
      const only = types.length === 1 ? types[0] : undefined
      const len = only ? typeOf(only).bytes : types.reduce((sum, name) => sum + slotsOf(typeOf(name).bytes) * 4, 0)
      loadParts(context, selector.of, from)
      const { modulus, seed, offset } = selector
      // without a seed the kernel makes one up
      const data = { sreg: register(from), dreg, len, modulus, seed, offset: offset ?? 0, type: 0 }
      vm.push({ kind: 'hash', data: seed === undefined ? withoutSeed(data) : { ...data, seed } })
      return
    }
    case 'symhash':
      vm.push({ kind: 'hash', data: { dreg, modulus: selector.modulus, offset: selector.offset ?? 0, type: 1 } })
      return
    case 'concat':
      loadParts(context, selector.of, slot)
      return
    case 'and': {
      load(context, selector.of, slot)
      maskRegister(context, slot, encodeValue(singleType(selector.of), selector.mask))
      return
    }
    default:
      selector satisfies never
  }
}

function withoutSeed<T extends { seed: unknown }>({ seed: _, ...others }: T): Omit<T, 'seed'> {
  return others
}

function loadParts(context: Context, parts: readonly Selector[], slot: number): void {
  let at = slot
  for (const part of parts) {
    if (part.kind === 'payload' && findField(part).bits) {
      throw new CompileError(`${part.protocol} ${part.field} in a concatenation`)
    }
    load(context, part, at)
    at += slotsOf(singleType(part).bytes)
  }
}

/**
 * `register & mask`, and optionally `^ xor`. nft spells the operation out where the rule has it, and leaves it out where
 * it is nft's own idea: prefixes and flags.
 */
export function maskRegister(
  { vm }: Context,
  slot: number,
  mask: Uint8Array,
  { xor = new Uint8Array(mask.length), isImplied = false }: { xor?: Uint8Array; isImplied?: boolean } = {},
): void {
  const reg = register(slot)
  const op = isImplied ? {} : { op: 0 }
  vm.push({
    kind: 'bitwise',
    data: { sreg: reg, dreg: reg, ...op, len: mask.length, mask: { value: mask }, xor: { value: xor } },
  })
}
