/** Whether two lists of expressions are the same to the kernel. Pure. */
import { dataOf, type Vm } from './attributes-expressions.ts'
import { typeOf } from './datatypes.ts'
import { keyByNumber, metaKeys } from './selectors.ts'

/**
 * A text that is equal for expressions that mean the same. The kernel lists more than it was told: zeros, defaults, the
 * names that it gave to a rule's own sets, values of counters, ranges of one.
 */
export function canonicalVm(vm: readonly Vm[]): string {
  return JSON.stringify(
    vm.map((expression, i) => canonical(trimName(expression, vm[i - 1]))),
    (_, value: unknown) => {
      if (value instanceof Uint8Array) return Array.from(value)
      return typeof value === 'bigint' ? `${value}n` : value
    },
  )
}

/** Names of devices are compared up to the NUL that ends them, or with all the zeros behind it: the same. */
function trimName(expression: Vm, loaded: Vm | undefined): Vm {
  const key = keyByNumber(metaKeys, dataOf(loaded, 'meta')?.key ?? -1)
  const data = dataOf(expression, 'cmp')
  const value = data?.data?.value
  if (!value || key === undefined || typeOf(metaKeys[key]?.[1] ?? 'u8').form !== 'name') return expression
  const end = value.indexOf(0)
  return end < 0 ? expression : { kind: 'cmp', data: { ...data, data: { value: value.slice(0, end + 1) } } }
}

const NAT_RANGES = 3
const LOG_WARN = 4

function canonical(expression: Vm): unknown {
  if ('raw' in expression) return [expression.kind, expression.raw]
  const data: Record<string, unknown> = { ...expression.data }
  switch (expression.kind) {
    case 'counter':
      return ['counter']
    case 'quota':
      delete data.consumed
      break
    case 'lookup':
    case 'dynset':
      if (typeof data.set === 'string') data.set = data.set.replace(/^__(set|map)(%d|\d+)$/, '__$1')
      delete data.setId
      if (expression.kind === 'dynset') {
        delete data.flags
        if (data.expr) data.expressions = [data.expr]
        delete data.expr
        if (Array.isArray(data.expressions)) data.expressions = data.expressions.map((kept: Vm) => canonical(kept))
      }
      break
    case 'nat':
    case 'masq':
    case 'redir':
      // the kernel sets the flags that say which ranges there are, and makes one address a range of one
      data.flags = Number(data.flags ?? 0) & ~NAT_RANGES
      if (data.addrMax === data.addrMin) delete data.addrMax
      if (data.protoMax === data.protoMin) delete data.protoMax
      break
    case 'log':
      if (data.group === undefined && data.level === LOG_WARN) delete data.level
      break
    default:
  }
  const entries = Object.entries(data).filter(([key, value]) => key === 'dreg' || (value !== 0 && value !== 0n))
  return [expression.kind, ...entries.sort(([a], [b]) => (a < b ? -1 : 1))]
}
