/** Expressions that only the kernel's virtual machine has words for, made readable. Not nft text. Pure. */
import type { Vm } from './attributes-expressions.ts'

function hex(bytes: Uint8Array): string {
  return `0x${Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')}`
}

function renderField(value: unknown): string {
  if (value instanceof Uint8Array) return hex(value)
  if (Array.isArray(value)) return `(${value.map(renderField).join(' ')})`
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value)
    const [only] = fields
    if (only && fields.length === 1 && only[0] === 'value') return renderField(only[1])
    return `(${fields.map(([key, inner]) => `${key} ${renderField(inner)}`).join(' ')})`
  }
  return String(value)
}

/** `[ xt match comment rev 0 info 0x… ]`, `[ exthdr dreg 1 type 2 … ]`, `[ unknown synproxy 0x… ]` */
export function renderVm(expression: Vm): string {
  if ('raw' in expression) return `[ unknown ${expression.kind} ${hex(expression.raw)} ]`
  const fields = Object.entries(expression.data ?? {})
  if (expression.kind === 'match' || expression.kind === 'target') {
    const { name = '', rev = 0, info } = expression.data ?? {}
    const text = name === 'comment' && info ? ` "${printable(info)}"` : ''
    return `[ xt ${expression.kind} ${name} rev ${rev}${text || (info ? ` info ${hex(info)}` : '')} ]`
  }
  return `[ ${[expression.kind, ...fields.map(([key, value]) => `${key} ${renderField(value)}`)].join(' ')} ]`
}

/** The text up to its NUL. */
export function printable(info: Uint8Array): string {
  const end = info.indexOf(0)
  return new TextDecoder().decode(end < 0 ? info : info.subarray(0, end))
}
