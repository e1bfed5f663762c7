/** Rules: what we send is what iproute2 sends, byte for byte; what we add, both list. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../test/support/need.ts'
import { addRule, deleteRule, listRules, type NewRule } from './index.ts'
import { assertSameBytes, type Golden, goldenNeeds, inFreshNetns, p, run } from './testing.ts'

const add = (rule: Omit<NewRule, 'family'>) => addRule({ family: 4, ...rule })
const add6 = (rule: Omit<NewRule, 'family'>) => addRule({ family: 6, ...rule })

/** The order of attributes is that of iproute2's words, so that the words here have ours. */
const rules: readonly Golden[] = [
  ['ip rule add to 10.0.0.5/32 table 254 priority 512', () => add({ to: p('10.0.0.5/32'), table: 254, priority: 512 })],
  [
    'ip rule add from 10.0.0.0/24 table 100 priority 600',
    () => add({ from: p('10.0.0.0/24'), table: 100, priority: 600 }),
  ],
  [
    'ip rule add from 10.0.0.0/24 to 10.1.0.0/16 priority 601 table 100',
    () => add({ from: p('10.0.0.0/24'), to: p('10.1.0.0/16'), table: 100, priority: 601 }),
  ],
  ['ip rule add priority 700 fwmark 7 table 1000', () => add({ mark: 7, table: 1000, priority: 700 })],
  [
    'ip rule add priority 701 fwmark 0x10/0xf0 table 1000',
    () => add({ mark: 0x10, maskOfMark: 0xf0, table: 1000, priority: 701 }),
  ],
  ['ip rule add priority 800 iif v0 table 100', () => add({ iif: 'v0', table: 100, priority: 800 })],
  ['ip rule add priority 801 oif v0 table 100', () => add({ oif: 'v0', table: 100, priority: 801 })],
  [
    'ip rule add priority 802 table 254 suppress_prefixlength 0',
    () => add({ table: 254, priority: 802, suppressPrefixlength: 0 }),
  ],
  [
    'ip rule add protocol 104 from 10.0.7.0/24 priority 803 table 70000',
    () => add({ protocol: 104, from: p('10.0.7.0/24'), priority: 803, table: 70_000 }),
  ],
  [
    'ip -6 rule add from fd00::/64 table 100 priority 900',
    () => add6({ from: p('fd00::/64'), table: 100, priority: 900 }),
  ],
  [
    'ip -6 rule add to fd01::1/128 priority 901 fwmark 1/1 table 1000',
    () => add6({ to: p('fd01::1/128'), mark: 1, maskOfMark: 1, table: 1000, priority: 901 }),
  ],
  [
    'ip rule del priority 700 fwmark 7 table 1000',
    () => deleteRule({ family: 4, mark: 7, table: 1000, priority: 700 }),
  ],
  [
    'ip rule del priority 701 fwmark 0x10/0xf0 table 1000',
    () => deleteRule({ family: 4, mark: 0x10, maskOfMark: 0xf0, table: 1000, priority: 701 }),
  ],
]

test('rules: our bytes are those of iproute2 for the same request', { skip: goldenNeeds }, () => {
  assertSameBytes(['ip link add name v0 type veth peer name v1'], rules)
})

test('rules come back from the kernel as they were asked for', { skip: needs('root', 'ip') }, () => {
  const asked: readonly NewRule[] = [
    { family: 4, from: p('10.0.0.0/24'), to: p('10.1.0.0/16'), table: 100, priority: 601, protocol: 104 },
    { family: 4, mark: 7, table: 1000, priority: 700, protocol: 0 },
    { family: 4, mark: 0x10, maskOfMark: 0xf0, table: 1000, priority: 701, protocol: 0 },
    { family: 4, iif: 'lo', oif: 'v0', suppressPrefixlength: 0, table: 254, priority: 802, protocol: 0 },
    { family: 6, from: p('fd00::/64'), table: 70_000, priority: 900, protocol: 104 },
  ]
  inFreshNetns((socket) => {
    const before = listRules(socket).length
    for (const rule of asked) socket.execute(addRule(rule))
    const listed = listRules(socket).filter((rule) => asked.some(({ priority }) => priority === rule.priority))
    assert.deepEqual(
      listed,
      asked.map((rule) => ({ ...rule, action: 1 })),
    )
    const shown = JSON.parse(run('ip -j rule show')) as { priority: number; fwmask?: string }[]
    assert.equal(shown.find((rule) => rule.priority === 701)?.fwmask, '0xf0')
    for (const rule of asked) socket.execute(deleteRule(rule))
    assert.equal(listRules(socket).length, before)
  })
})
