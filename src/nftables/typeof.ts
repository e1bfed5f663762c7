/** How nft notes on a set what its key was taken from, so that it can list it as `typeof`. Numbers are nft's own. Pure. */

import { typeOf } from './datatypes.ts'
import type { Selector } from './expression.ts'
import { ctKeys, fibFlags, fibResults, findField, findProtocol, metaKeys, rtKeys, socketKeys } from './selectors.ts'
import { numberTlv, type Tlv, writeTlvs } from './userdata.ts'

/** enum expr_types of nft */
export const EXPR_VERDICT = 1
export const EXPR_CONCAT = 13
const EXPR_PAYLOAD = 7
const EXPR_META = 9
const EXPR_RT = 10
const EXPR_CT = 12
const EXPR_SOCKET = 25
const EXPR_FIB = 26

export function typeofTlv(type: number, expression: number, details: readonly Tlv[]): Tlv {
  return { type, value: writeTlvs([numberTlv(0, expression), { type: 1, value: writeTlvs(details) }]) }
}

/** Undefined for selectors that nft says nothing of. */
export function typeofSelector(type: number, selector: Selector): Tlv | undefined {
  const keys = (...numbers: (number | undefined)[]): Tlv[] => numbers.map((number, i) => numberTlv(i, number ?? 0))
  switch (selector.kind) {
    case 'payload': {
      const field = findField(selector)
      const protocol = findProtocol(selector.protocol)
      if (!field.note || !protocol.note) return undefined
      const { id, bytes } = typeOf(field.type)
      // a plain integer also says its size
      const size = id === 4 ? [numberTlv(4, bytes * 8)] : []
      return typeofTlv(type, EXPR_PAYLOAD, [...keys(protocol.note, field.note), ...size])
    }
    case 'raw': {
      const base = { ll: 1, nh: 2, th: 3 }[selector.base]
      return typeofTlv(type, EXPR_PAYLOAD, keys(0, 0, base, selector.offset, selector.length))
    }
    case 'meta':
      return typeofTlv(type, EXPR_META, keys(metaKeys[selector.key]?.[0]))
    case 'rt':
      return typeofTlv(type, EXPR_RT, keys(rtKeys[selector.key]?.[0]))
    case 'socket':
      return typeofTlv(type, EXPR_SOCKET, keys(socketKeys[selector.key]?.[0]))
    case 'ct': {
      const direction = selector.direction === undefined ? 0xffffffff : selector.direction === 'original' ? 0 : 1
      return typeofTlv(type, EXPR_CT, keys(ctKeys[selector.key]?.[0], direction))
    }
    case 'fib': {
      const [result, extra] = fibResults[selector.result]
      return typeofTlv(
        type,
        EXPR_FIB,
        keys(
          result,
          selector.flags.reduce((sum, name) => sum | fibFlags[name], extra as number),
        ),
      )
    }
    case 'concat': {
      const parts = selector.of.map((part, i) => typeofSelector(i, part))
      return typeofTlv(type, EXPR_CONCAT, parts.every((part) => part !== undefined) ? parts : [])
    }
    case 'numgen':
    case 'jhash':
    case 'symhash':
    case 'and':
      return undefined
    default:
      return selector satisfies never
  }
}
