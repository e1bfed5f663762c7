/** Expressions as nft text. Pure. */
import { type DataType, typeOf } from './datatypes.ts'
import type {
  DataMap,
  Expression,
  Key,
  Match,
  NatFlag,
  NatTarget,
  Ports,
  Selector,
  Source,
  Value,
  Verdict,
  VerdictMap,
} from './expression.ts'
import type { TypeName } from './objects.ts'
import { typesOf } from './selectors.ts'
import { quote, renderKey, renderTime, renderValue } from './text-values.ts'
import { renderVm } from './text-vm.ts'

/** Metadata that nft lists without the word `meta`. */
const bareMeta = new Set(['iif', 'oif', 'iifname', 'oifname', 'iiftype', 'oiftype', 'iifgroup', 'oifgroup'])

export function renderSelector(selector: Selector): string {
  switch (selector.kind) {
    case 'payload':
      return `${selector.protocol} ${selector.field}`
    case 'raw':
      return `@${selector.base},${selector.offset},${selector.length}`
    case 'meta':
      return bareMeta.has(selector.key) ? selector.key : `meta ${selector.key}`
    case 'ct':
      return selector.direction ? `ct ${selector.direction} ${selector.key}` : `ct ${selector.key}`
    case 'rt':
      return `rt ${selector.key}`
    case 'socket':
      return `socket ${selector.key}`
    case 'fib':
      return `fib ${selector.flags.join(' . ')} ${selector.result === 'check' ? 'oif' : selector.result}`
    case 'numgen':
      return `numgen ${selector.mode} mod ${selector.modulus}${offset(selector.offset)}`
    case 'jhash': {
      const seed = selector.seed === undefined ? '' : ` seed 0x${selector.seed.toString(16)}`
      return `jhash ${selector.of.map(renderSelector).join(' . ')} mod ${selector.modulus}${seed}${offset(selector.offset)}`
    }
    case 'symhash':
      return `symhash mod ${selector.modulus}${offset(selector.offset)}`
    case 'concat':
      return selector.of.map(renderSelector).join(' . ')
    case 'and':
      return `${renderSelector(selector.of)} & ${renderValue(firstType(selector.of), selector.mask)}`
    default:
      return selector satisfies never
  }
}

function offset(value: number | undefined): string {
  return value ? ` offset ${value}` : ''
}

/** Types for rendering: rendering must not fail where compiling would. */
function tryTypes(selector: Selector): TypeName[] | undefined {
  try {
    return typesOf(selector)
  } catch {
    return undefined
  }
}

function firstType(selector: Selector): DataType | undefined {
  const name = tryTypes(selector)?.[0]
  return name && typeOf(name)
}

function renderMatch({ left, op, right }: Match): string {
  const type = firstType(left)
  const value = (v: Value): string => renderValue(type, v)
  const head = (operator: string): string => (operator ? `${renderSelector(left)} ${operator}` : renderSelector(left))
  // a bare value of a bit mask means any of its bits, so equality is written out
  const shown = op === '==' ? (type?.isBitmask || left.kind === 'and' ? '==' : '') : op
  switch (right.kind) {
    case 'value':
      return `${head(shown)} ${value(right.value)}`
    case 'prefix':
      return `${head(op === '==' ? '' : op)} ${right.address}/${right.length}`
    case 'range':
      return `${head(op === '==' ? '' : op)} ${value(right.from)}-${value(right.to)}`
    case 'flags':
      return `${head(op === '!=' ? '!' : '')} ${right.flags.join(',')}`
    case 'set':
      return `${head(op === '==' ? '' : op)} @${right.name}`
    case 'elements':
      return `${head(op === '==' ? '' : op)} ${braces(right.elements.map((key) => renderKey(tryTypes(left), key)))}`
    default:
      return right satisfies never
  }
}

function braces(items: readonly string[]): string {
  return `{ ${items.join(', ')} }`
}

export function renderVerdict(verdict: Verdict): string {
  return 'chain' in verdict ? `${verdict.kind} ${verdict.chain}` : verdict.kind
}

function renderMap(
  key: Selector,
  map: VerdictMap | DataMap,
  word: 'map' | 'vmap',
  render: (value: Verdict | Value | readonly Value[]) => string,
): string {
  const types = tryTypes(key)
  const entries: readonly (readonly [Key, Verdict | Value | readonly Value[]])[] | undefined =
    map.kind === 'set' ? undefined : map.elements
  const target =
    map.kind === 'set'
      ? `@${map.name}`
      : braces((entries ?? []).map(([k, v]) => `${renderKey(types, k)} : ${render(v)}`))
  return `${renderSelector(key)} ${word} ${target}`
}

function isVerdict(value: Verdict | Value | readonly Value[]): value is Verdict {
  return typeof value === 'object' && 'kind' in value
}

/** What a map gives; `types` say how its values are written. */
function renderData(types: readonly TypeName[]): (value: Verdict | Value | readonly Value[]) => string {
  return (value) => (isVerdict(value) ? renderVerdict(value) : renderKey(types, value))
}

function renderPorts({ from, to }: Ports): string {
  return to === undefined ? `:${from}` : `:${from}-${to}`
}

function natWords(flags: readonly NatFlag[] | undefined): string {
  return flags?.length ? ` ${flags.join(',')}` : ''
}

function renderNatTarget(to: NatTarget, family: 'ip' | 'ip6'): string {
  if (to.kind === 'map') {
    const address: TypeName = family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'
    return renderMap(to.key, to.map, 'map', renderData(to.withPort ? [address, 'inet_service'] : [address]))
  }
  const ports = to.ports ? renderPorts(to.ports) : ''
  if (to.address === undefined) return ports
  const bracket = family === 'ip6' && ports !== ''
  const wrap = (address: string): string => (bracket ? `[${address}]` : address)
  return `${wrap(to.address)}${to.last === undefined ? '' : `-${wrap(to.last)}`}${ports}`
}

function renderSource(target: Selector, source: Source): string {
  const type = firstType(target)
  switch (source.kind) {
    case 'value':
      return renderValue(type, source.value)
    case 'selector':
      return renderSelector(source.selector)
    case 'bitwise': {
      const masked = `${renderSelector(source.selector)} & ${renderValue(type, source.mask)}`
      return source.xor ? `${masked} ^ ${renderValue(type, source.xor)}` : masked
    }
    case 'map':
      return renderMap(source.key, source.map, 'map', renderData(tryTypes(target) ?? []))
    default:
      return source satisfies never
  }
}

function renderLog(log: Extract<Expression, { kind: 'log' }>): string {
  const words = ['log']
  if (log.prefix !== undefined) words.push(`prefix ${quote(log.prefix)}`)
  if (log.group !== undefined) words.push(`group ${log.group}`)
  if (log.snaplen !== undefined) words.push(`snaplen ${log.snaplen}`)
  if (log.queueThreshold !== undefined) words.push(`queue-threshold ${log.queueThreshold}`)
  if (log.level !== undefined) words.push(`level ${log.level}`)
  const flags = log.flags ?? []
  const tcp = flags.filter((flag) => flag.startsWith('tcp ')).map((flag) => flag.slice(4))
  if (tcp.length) words.push(`flags tcp ${tcp.join(',')}`)
  for (const flag of flags) if (!flag.startsWith('tcp ')) words.push(`flags ${flag}`)
  return words.join(' ')
}

/** An expression as nft writes it in a rule. */
export function renderExpression(expression: Expression): string {
  switch (expression.kind) {
    case 'match':
      return renderMatch(expression)
    case 'accept':
    case 'drop':
    case 'return':
    case 'continue':
    case 'jump':
    case 'goto':
      return renderVerdict(expression)
    case 'vmap':
      return renderMap(expression.key, expression.map, 'vmap', renderData([]))
    case 'counter':
      return 'counter'
    case 'limit': {
      const over = expression.over ? 'over ' : ''
      const rate = expression.unit === 'bytes' ? `${expression.rate} bytes` : String(expression.rate)
      const burst = expression.burst ? ` burst ${expression.burst} ${expression.unit}` : ''
      return `limit rate ${over}${rate}/${expression.per}${burst}`
    }
    case 'quota':
      return `quota ${expression.over ? 'over ' : ''}${expression.bytes} bytes`
    case 'connlimit':
      return `ct count ${expression.over ? 'over ' : ''}${expression.count}`
    case 'snat':
    case 'dnat': {
      const { kind, family, to, flags } = expression
      return `${kind} ${family} to ${renderNatTarget(to, family)}${natWords(flags)}`
    }
    case 'masquerade':
    case 'redirect': {
      const ports = expression.ports ? ` to ${renderPorts(expression.ports)}` : ''
      return `${expression.kind}${ports}${natWords(expression.flags)}`
    }
    case 'reject':
      return expression.with.kind === 'tcp reset'
        ? 'reject with tcp reset'
        : `reject with ${expression.with.kind} ${expression.with.code}`
    case 'log':
      return renderLog(expression)
    case 'notrack':
      return 'notrack'
    case 'mangle':
      return `${renderSelector(expression.target)} set ${renderSource(expression.target, expression.value)}`
    case 'dynset': {
      const timeout = expression.timeout === undefined ? '' : ` timeout ${renderTime(expression.timeout)}`
      const stateful = (expression.stateful ?? []).map((e) => ` ${renderExpression(e)}`).join('')
      return `${expression.op} @${expression.set} { ${renderSelector(expression.key)}${timeout}${stateful} }`
    }
    case 'vm':
      return renderVm(expression.expression)
    default:
      return expression satisfies never
  }
}
