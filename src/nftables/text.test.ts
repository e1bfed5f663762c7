/** Text that nft and the shell read as it was meant. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { accept, match, meta, payload, setMark } from './expression.ts'
import { listChains, listRules } from './list.ts'
import { inFreshNetns, isRoot } from './testing.ts'
import { renderExpression, renderOperation, renderRule, renderSet, shellCommand } from './text.ts'
import { renderTime } from './text-values.ts'
import { transaction } from './transaction.ts'

const skip = isRoot ? false : 'needs root for a network namespace'
const chain = { family: 'inet', table: 't', name: 'c' } as const
const rule = { family: 'inet', table: 't', chain: 'c' } as const

test('a shell runs the rendered commands with every character of a comment intact', { skip }, () => {
  const comment = "it's $HOME `id` \\ ; # {50%} |&<>* é"
  const all = transaction()
    .addTable({ family: 'inet', name: 't', comment })
    .addChain({ ...chain, comment })
    .addRule({ ...rule, expressions: [match(meta('iifname'), 'veth*'), accept], comment })
  inFreshNetns((socket) => {
    execFileSync('sh', ['-e', '-c', all.operations.map(shellCommand).join('\n')])
    assert.equal(listChains(socket)[0]?.chain.comment, comment)
    assert.equal(listRules(socket)[0]?.rule.comment, comment)
  })
})

test('a comment cannot end its quotes', () => {
  const text = renderRule({ expressions: [accept], comment: 'a" drop; add table ip evil\n"' })
  assert.equal(text, `accept comment "a' drop; add table ip evil '"`)
})

test('values are written in the form that nft lists', () => {
  assert.equal(renderExpression(setMark(16)), 'meta mark set 0x10')
  assert.equal(renderExpression(match(payload('ip', 'saddr'), '10.0.0.0/8', '!=')), 'ip saddr != 10.0.0.0/8')
  assert.equal(
    renderExpression({
      kind: 'vm',
      expression: { kind: 'match', data: { name: 'x', rev: 1, info: Uint8Array.of(1) } },
    }),
    '[ xt match x rev 1 info 0x01 ]',
  )
  assert.equal(renderTime(5_400_000), '1h30m')
  assert.equal(renderTime(1500), '1s500ms')
  assert.equal(renderTime(0), '0s')
  assert.equal(
    renderOperation({ verb: 'insert', kind: 'rule', position: 7n, rule: { ...rule, expressions: [accept] } }),
    'insert rule inet t c handle 7 accept',
  )
  const set = { family: 'inet', table: 't', name: 's', kind: 'set', key: ['ifname'] } as const
  assert.equal(renderSet({ set, elements: [{ key: 'a b' }] }), 'set s {\n\ttype ifname;\n\telements = { "a b" }\n}')
})

test('a comment that nft could not show is refused', () => {
  assert.throws(
    () =>
      transaction()
        .addRule({ ...rule, expressions: [accept], comment: 'x'.repeat(129) })
        .commit(undefined as never),
    RangeError,
  )
})
