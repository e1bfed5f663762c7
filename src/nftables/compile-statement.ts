/** What a rule does with a packet, besides verdicts. Pure. */
import type { Vm } from './attributes-expressions.ts'
import { lookup, mapData, namedSet, type RuleContext } from './compile-lookup.ts'
import { load, maskRegister, needNetwork, needTransport, register, requireFor, slotsOf } from './compile-selector.ts'
import { CompileError, encodeValue, type TypeName, typeOf } from './datatypes.ts'
import type {
  ConnectionLimit,
  Counter,
  Expression,
  Limit,
  LogFlag,
  NatFlag,
  NatTarget,
  Ports,
  Quota,
  Selector,
  Source,
  Verdict,
} from './expression.ts'
import { ctKeys, findField, findKey, findProtocol, layerNumbers, metaKeys, singleType, typesOf } from './selectors.ts'

type Statement = Exclude<Expression, { kind: 'match' | 'vmap' } | Verdict>

/** seconds */
export const limitUnits = { second: 1, minute: 60, hour: 3600, day: 86400, week: 604800 } as const
/** NF_NAT_RANGE_* */
export const natFlags: Readonly<Record<NatFlag, number>> = { random: 4, persistent: 8, 'fully-random': 16 }
export const NAT_PORTS = 2
/** NF_LOG_* */
export const logFlags: Readonly<Record<LogFlag, number>> = {
  'tcp sequence': 1,
  'tcp options': 2,
  'ip options': 4,
  skuid: 8,
  ether: 32,
}
export const logLevels: Readonly<Record<string, number>> = {
  emerg: 0,
  alert: 1,
  crit: 2,
  err: 3,
  warn: 4,
  notice: 5,
  info: 6,
  debug: 7,
  audit: 8,
}
/** ICMP codes by nft's names */
export const rejectCodes: Readonly<Record<'icmp' | 'icmpv6' | 'icmpx', Readonly<Record<string, number>>>> = {
  icmp: {
    'net-unreachable': 0,
    'host-unreachable': 1,
    'prot-unreachable': 2,
    'port-unreachable': 3,
    'net-prohibited': 9,
    'host-prohibited': 10,
    'admin-prohibited': 13,
  },
  icmpv6: {
    'no-route': 0,
    'admin-prohibited': 1,
    'addr-unreachable': 3,
    'port-unreachable': 4,
    'policy-fail': 5,
    'reject-route': 6,
  },
  icmpx: { 'no-route': 0, 'port-unreachable': 1, 'host-unreachable': 2, 'admin-prohibited': 3 },
}
export const natFamilies = { ip: 2, ip6: 10 } as const

export function compileStatement(context: RuleContext, statement: Statement): void {
  const { vm } = context
  switch (statement.kind) {
    case 'counter':
    case 'limit':
    case 'quota':
    case 'connlimit':
      vm.push(statefulVm(statement))
      return
    case 'notrack':
      vm.push({ kind: 'notrack' })
      return
    case 'snat':
    case 'dnat':
      compileNat(context, statement)
      return
    case 'masquerade': {
      const ports = loadPorts(context, statement.ports, 0)
      const flags = flagsOf(statement.flags) | (statement.ports ? NAT_PORTS : 0)
      vm.push({ kind: 'masq', data: flags ? { flags, ...ports } : {} })
      return
    }
    case 'redirect': {
      const ports = loadPorts(context, statement.ports, 0)
      const flags = flagsOf(statement.flags) | (statement.ports ? NAT_PORTS : 0)
      vm.push({ kind: 'redir', data: flags ? { ...ports, flags } : {} })
      return
    }
    case 'reject':
      compileReject(context, statement.with)
      return
    case 'log':
      vm.push(logVm(statement))
      return
    case 'mangle':
      compileMangle(context, statement.target, statement.value)
      return
    case 'dynset': {
      requireFor(context, statement.key)
      load(context, statement.key, 0)
      const op = { add: 0, update: 1, delete: 2 }[statement.op]
      const timeout = statement.timeout === undefined ? {} : { timeout: BigInt(statement.timeout) }
      const kept = (statement.stateful ?? []).map((kind) => statefulVm(kind))
      const [only] = kept
      const head = { sregKey: register(0), op, ...timeout, ...namedSet(context, statement.set) }
      if (!only) vm.push({ kind: 'dynset', data: head })
      else if (kept.length === 1) vm.push({ kind: 'dynset', data: { ...head, expr: only } })
      else vm.push({ kind: 'dynset', data: { ...head, expressions: kept, flags: 2 } })
      return
    }
    case 'vm':
      vm.push(statement.expression)
      return
    default:
      statement satisfies never
  }
}

type StatefulVm = Extract<Vm, { kind: 'limit' | 'counter' | 'quota' | 'connlimit' }>

function statefulVm(statement: Limit | Counter | Quota | ConnectionLimit): StatefulVm & { raw?: never } {
  switch (statement.kind) {
    case 'counter':
      return { kind: 'counter', data: {} }
    case 'limit':
      return {
        kind: 'limit',
        data: {
          rate: BigInt(statement.rate),
          unit: BigInt(limitUnits[statement.per]),
          // a limit in bytes may have none; the kernel refuses a zero of packets by itself
          ...(statement.burst ? { burst: statement.burst } : {}),
          type: statement.unit === 'packets' ? 0 : 1,
          flags: statement.over ? 1 : 0,
        },
      }
    case 'quota':
      return { kind: 'quota', data: { bytes: BigInt(statement.bytes), consumed: 0n, flags: statement.over ? 1 : 0 } }
    case 'connlimit':
      return { kind: 'connlimit', data: { count: statement.count, flags: statement.over ? 1 : 0 } }
    default:
      return statement satisfies never
  }
}

function flagsOf(flags: readonly NatFlag[] | undefined): number {
  return (flags ?? []).reduce((sum, flag) => sum | natFlags[flag], 0)
}

function immediate(context: RuleContext, slot: number, value: Uint8Array): number {
  context.vm.push({ kind: 'immediate', data: { dreg: register(slot), data: { value } } })
  return register(slot)
}

/** Ports into registers from `slot` on. */
function loadPorts(
  context: RuleContext,
  ports: Ports | undefined,
  slot: number,
): { protoMin?: number; protoMax?: number } {
  if (!ports) return {}
  const type = typeOf('inet_service')
  const protoMin = immediate(context, slot, encodeValue(type, ports.from))
  if (ports.to === undefined) return { protoMin }
  return { protoMin, protoMax: immediate(context, slot + 4, encodeValue(type, ports.to)) }
}

function compileNat(context: RuleContext, nat: Extract<Expression, { kind: 'snat' | 'dnat' }>): void {
  const type = nat.kind === 'snat' ? 0 : 1
  const family = natFamilies[nat.family]
  const address: TypeName = nat.family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'
  let flags = flagsOf(nat.flags)
  const registers = natRegisters(context, nat.to, address)
  if (nat.to.kind === 'address' && nat.to.ports) flags |= NAT_PORTS
  context.vm.push({ kind: 'nat', data: { type, family, ...registers, ...(flags ? { flags } : {}) } })
}

interface NatRegisters {
  addrMin?: number
  addrMax?: number
  protoMin?: number
  protoMax?: number
}

function natRegisters(context: RuleContext, to: NatTarget, address: TypeName): NatRegisters {
  if (to.kind === 'map') {
    const types: TypeName[] = to.withPort ? [address, 'inet_service'] : [address]
    lookup(context, to.key, mapData(context, to.key, to.map, types), register(0))
    const addrMin = register(0)
    return to.withPort ? { addrMin, protoMin: register(slotsOf(typeOf(address).bytes)) } : { addrMin }
  }
  const registers: NatRegisters = {}
  let slot = 0
  if (to.address !== undefined) {
    registers.addrMin = immediate(context, slot, encodeValue(typeOf(address), to.address))
    slot += 4
  }
  if (to.last !== undefined) {
    registers.addrMax = immediate(context, slot, encodeValue(typeOf(address), to.last))
    slot += 4
  }
  if (to.address === undefined && !to.ports) throw new CompileError('nat to neither an address nor a port')
  return { ...registers, ...loadPorts(context, to.ports, slot) }
}

function compileReject(context: RuleContext, how: Extract<Expression, { kind: 'reject' }>['with']): void {
  if (how.kind === 'tcp reset') {
    needTransport(context, 6)
    context.vm.push({ kind: 'reject', data: { type: 1, code: 0 } })
    return
  }
  const codes = rejectCodes[how.kind]
  const code = Object.hasOwn(codes, how.code) ? codes[how.code] : undefined
  if (code === undefined) throw new CompileError(`${how.kind} has no code ${JSON.stringify(how.code)}`)
  if (how.kind !== 'icmpx') needNetwork(context, how.kind === 'icmp' ? 'ip' : 'ip6')
  context.vm.push({ kind: 'reject', data: { type: how.kind === 'icmpx' ? 2 : 0, code } })
}

function logVm(log: Extract<Expression, { kind: 'log' }>): Vm {
  const level = log.level === undefined ? undefined : logLevels[log.level]
  if (log.level !== undefined && level === undefined) throw new CompileError(`no log level ${log.level}`)
  const flags = (log.flags ?? []).reduce((sum, flag) => sum | logFlags[flag], 0)
  return {
    kind: 'log',
    data: {
      ...(log.prefix === undefined ? {} : { prefix: log.prefix }),
      ...(log.group === undefined ? {} : { group: log.group }),
      ...(log.snaplen === undefined ? {} : { snaplen: log.snaplen }),
      ...(log.queueThreshold === undefined ? {} : { qthreshold: log.queueThreshold }),
      ...(level === undefined ? {} : { level }),
      ...(flags ? { flags } : {}),
    },
  }
}

function compileMangle(context: RuleContext, target: Selector, source: Source): void {
  requireFor(context, target)
  loadSource(context, target, source)
  const sreg = register(0)
  switch (target.kind) {
    case 'meta':
      context.vm.push({ kind: 'meta', data: { key: findKey(metaKeys, target.key, 'meta')[0], sreg } })
      return
    case 'ct':
      context.vm.push({ kind: 'ct', data: { key: findKey(ctKeys, target.key, 'ct')[0], sreg } })
      return
    case 'payload':
      context.vm.push({ kind: 'payload', data: { sreg, ...payloadWrite(target) } })
      return
    default:
      throw new CompileError(`${target.kind} cannot be set`)
  }
}

/** Where each protocol keeps the checksum that must be mended; NFT_PAYLOAD_CSUM_INET is 1. */
const checksums: Readonly<Record<string, number>> = { ip: 10, tcp: 16, udp: 6 }

function payloadWrite(target: Extract<Selector, { kind: 'payload' }>): Record<'base' | 'offset' | 'len', number> & {
  csumType?: number
  csumOffset?: number
  csumFlags?: number
} {
  const field = findField(target)
  const len = typeOf(field.type).bytes
  if (field.bits || len % 2) throw new CompileError(`${target.protocol} ${target.field} cannot be set`)
  const place = { base: layerNumbers[findProtocol(target.protocol).layer], offset: field.offset, len }
  const csumOffset = checksums[target.protocol]
  // addresses are part of the transport's checksum: NFT_PAYLOAD_L4CSUM_PSEUDOHDR
  const isAddress = target.field === 'saddr' || target.field === 'daddr'
  const flags = isAddress && (target.protocol === 'ip' || target.protocol === 'ip6') ? 1 : 0
  if (csumOffset === undefined) return flags ? { ...place, csumType: 0, csumOffset: 0, csumFlags: flags } : place
  return flags ? { ...place, csumType: 1, csumOffset, csumFlags: flags } : { ...place, csumType: 1, csumOffset }
}

function loadSource(context: RuleContext, target: Selector, source: Source): void {
  const type = singleType(target)
  switch (source.kind) {
    case 'value':
      immediate(context, 0, encodeValue(type, source.value))
      return
    case 'selector':
      requireFor(context, source.selector)
      load(context, source.selector, 0)
      return
    case 'bitwise':
      requireFor(context, source.selector)
      load(context, source.selector, 0)
      maskRegister(context, 0, encodeValue(type, source.mask), { xor: encodeValue(type, source.xor) })
      return
    case 'map':
      lookup(context, source.key, mapData(context, source.key, source.map, typesOf(target)), register(0))
      return
    default:
      source satisfies never
  }
}
