/** The one xtables match that is worth making: a comment that iptables shows. Pure. */
import { dataOf } from './attributes-expressions.ts'
import type { Expression } from './expression.ts'
import { printable } from './text-vm.ts'

/** struct xt_comment_info is 256 bytes of text; linux/netfilter/xt_comment.h. The kernel keeps padded structs. */
const COMMENT_INFO = 256

/** `-m comment --comment text`, for rules in chains that iptables-nft lists. At most 255 bytes of text. */
export function xtComment(text: string): Expression {
  const encoded = new TextEncoder().encode(text)
  if (encoded.length >= COMMENT_INFO) throw new RangeError(`a comment of iptables has at most 255 bytes: ${text}`)
  const info = new Uint8Array(COMMENT_INFO)
  info.set(encoded)
  return { kind: 'vm', expression: { kind: 'match', data: { name: 'comment', rev: 0, info } } }
}

/** The text of a rule's `-m comment`, if it has one. */
export function iptablesComment(expressions: readonly Expression[]): string | undefined {
  for (const expression of expressions) {
    if (expression.kind !== 'vm' || expression.expression.kind !== 'match') continue
    const { name, info } = dataOf(expression.expression, 'match') ?? {}
    if (name === 'comment' && info) return printable(info)
  }
  return undefined
}
