/** Bytes from anywhere: decoders end, in time, with a value or a plain error. And values from anywhere: so do compilers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attrs } from '../netlink/attributes.ts'
import { Reader } from '../netlink/buffer.ts'
import { decodeBody } from '../netlink/message.ts'
import { damage, randomFrom } from '../netlink/testing.ts'
import { chainShape, elementsShape, ruleAttrs, ruleShape, setShape, tableShape } from './attributes.ts'
import { compileRule } from './compile.ts'
import { cases, sets } from './corpus.testing.ts'
import { CompileError } from './datatypes.ts'
import { decodeChain, decodeSet, decodeTable } from './decode.ts'
import { decompileRule } from './decompile.ts'
import { decodeElements } from './decompile-elements.ts'
import { encodeOperation, newIds } from './encode.ts'
import type { Expression } from './expression.ts'
import { renderOperation, renderRule } from './text.ts'
import { readTlvs } from './userdata.ts'
import { iptablesComment } from './xt.ts'

const at = { family: 'inet', table: 't', chain: 'pre' } as const

function rules(): Uint8Array[] {
  return cases.flatMap(([, expressions]) =>
    encodeOperation({ verb: 'add', kind: 'rule', rule: { ...at, expressions, comment: 'c' } }, newIds()).map(
      (m) => m.body,
    ),
  )
}

function isPlain(error: unknown): boolean {
  return error instanceof RangeError || error instanceof CompileError
}

function tolerate(body: () => void): void {
  try {
    body()
  } catch (error) {
    if (!isPlain(error)) throw error
  }
}

test('mutated messages are read, decompiled and rendered, or refused with a plain error', () => {
  const random = randomFrom(20_261_124)
  const samples = rules()
  for (let i = 0; i < 20_000; i++) {
    const bytes = damage(samples[random(samples.length)] ?? new Uint8Array(0), random)
    tolerate(() => {
      const { attrs: rule } = decodeBody(ruleShape, new Reader(bytes))
      const resolve = (name: string) =>
        random(2) ? { attributes: { name, keyLen: random(20), flags: random(256) }, elements: () => [] } : undefined
      const found = decompileRule('inet', 't', rule.expressions ?? [], resolve)
      renderRule(found)
      iptablesComment(found.expressions)
      readTlvs(rule.userdata ?? new Uint8Array(0))
    })
    tolerate(() => void decodeTable('ip', decodeBody(tableShape, new Reader(bytes)).attrs))
    tolerate(() => void decodeChain('ip', decodeBody(chainShape, new Reader(bytes)).attrs))
    tolerate(() => void decodeSet('ip', decodeBody(setShape, new Reader(bytes)).attrs))
    tolerate(() => void decodeBody(elementsShape, new Reader(bytes)))
  }
})

test('mutated elements are decoded or refused', () => {
  const random = randomFrom(7)
  for (const [set, elements] of sets) {
    if (elements.length === 0) continue
    const [message] = encodeOperation({ verb: 'add', kind: 'element', set, elements }, newIds())
    for (let i = 0; i < 2000; i++) {
      tolerate(() => {
        const { attrs: list } = decodeBody(
          elementsShape,
          new Reader(damage(message?.body ?? new Uint8Array(0), random)),
        )
        const isInterval = set.flags?.includes('interval') ?? false
        decodeElements(
          { key: set.key, data: set.kind === 'map' ? set.data : undefined, isInterval },
          list.elements ?? [],
        )
      })
    }
  }
})

test('an expression with an attribute that has no name here is kept raw, and said to be', () => {
  const unknown = attrs({ ...ruleAttrs.fields })
  const [body = new Uint8Array(0)] = rules()
  const { expressions = [] } = unknown.decode(new Reader(body).slice(4))
  assert.ok(expressions.every((expression) => !('raw' in expression)))
  // NFTA_META_KEY (2) of the first expression becomes a number that no kernel has yet
  const at16 = (i: number): number => (body[i] ?? 0) | ((body[i + 1] ?? 0) << 8)
  const place = body.findIndex((_, i) => at16(i) === 8 && at16(i + 2) === 2 && body[i + 7] === 15)
  assert.ok(place > 0)
  const changed = body.slice()
  changed[place + 2] = 77
  const listed = unknown.decode(new Reader(changed).slice(4)).expressions ?? []
  assert.ok(listed[0] && 'raw' in listed[0])
  const { expressions: kept } = decompileRule('inet', 't', listed, () => undefined)
  assert.match(renderRule({ expressions: kept }), /^\[ unknown meta 0x08004d000000000f0800010000000001 \]/)
  assert.deepEqual(compileRule({ ...at, expressions: kept }).expressions, listed)
})

test('wrong values are refused with a sentence, whatever they are', () => {
  const random = randomFrom(99)
  const texts = [
    '',
    '*',
    '10.0.0.0/99',
    '1-',
    '-1',
    'x'.repeat(40),
    '::1',
    '1.2.3.4',
    '9-1',
    'a|b',
    '__proto__',
    '\u0000',
  ]
  const numbers = [-1, 1.5, 2 ** 40, Number.NaN, 0]
  // words of fixed lists are the type checker's business
  const fixed = new Set(['kind', 'op', 'mode', 'direction', 'result', 'per', 'unit', 'family', 'base'])
  const replace = (value: unknown, key = ''): unknown => {
    if (key === 'flags' || fixed.has(key)) return value
    if (Array.isArray(value)) return value.map((item) => replace(item))
    if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array)) {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, replace(v, k)]))
    }
    if (random(4)) return value
    if (typeof value === 'string') return texts[random(texts.length)]
    return typeof value === 'number' ? numbers[random(numbers.length)] : value
  }
  for (let i = 0; i < 20_000; i++) {
    const [, expressions] = cases[random(cases.length)] ?? []
    const changed = replace(expressions) as readonly Expression[]
    const operation = { verb: 'add', kind: 'rule', rule: { ...at, expressions: changed } } as const
    tolerate(() => void encodeOperation(operation, newIds()))
    tolerate(() => void renderOperation(operation))
  }
  const refuse = (left: Expression): void =>
    assert.throws(() => compileRule({ ...at, expressions: [left] }), CompileError)
  refuse({
    kind: 'match',
    left: { kind: 'payload', protocol: 'ip', field: 'nothing' },
    op: '==',
    right: { kind: 'value', value: 1 },
  })
  refuse({ kind: 'match', left: { kind: 'meta', key: 'constructor' }, op: '==', right: { kind: 'value', value: 1 } })
  refuse({
    kind: 'match',
    left: { kind: 'meta', key: 'iifname' },
    op: '==',
    right: { kind: 'value', value: 'a-name-of-16-byte' },
  })
})
