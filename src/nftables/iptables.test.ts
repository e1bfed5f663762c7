/** Rules that iptables-nft made, and ours among them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accept, counter, match, meta, payload } from './expression.ts'
import { listRules } from './list.ts'
import type { Rule } from './objects.ts'
import { inFreshNetns, isRoot, run } from './testing.ts'
import { renderRule } from './text.ts'
import { transaction } from './transaction.ts'
import { iptablesComment, xtComment } from './xt.ts'

const skip = isRoot ? false : 'needs root for a network namespace'
const iptables = (line: string): string => run('iptables-nft', line.split(' '))
const chain = { family: 'ip', table: 'filter', chain: 'FORWARD' } as const
const fromLab = match(payload('ip', 'saddr'), '10.0.0.0/24')

function fill(): void {
  iptables('-P FORWARD DROP')
  iptables('-A FORWARD -s 10.9.0.0/24 -m comment --comment hello -j ACCEPT')
  iptables('-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT')
  iptables('-A FORWARD -i docker0 ! -o docker0 -p tcp --dport 80 -j RETURN')
  iptables('-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j ACCEPT')
  iptables('-t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.2:8080')
  iptables('-t nat -A POSTROUTING -s 10.0.0.0/24 ! -o br0 -j MASQUERADE')
}

/** Rules only: the rest of the output has the time in it. */
function saved(): string[] {
  return run('iptables-nft-save', [])
    .split('\n')
    .filter((line) => line.startsWith('-A') || line.startsWith(':'))
}

test('foreign rules are listed whole: what has words is said, the rest is kept byte for byte', { skip }, () => {
  inFreshNetns((socket) => {
    fill()
    const rules = listRules(socket)
    assert.equal(rules.length, 6)
    const texts = rules.map(({ rule }) => renderRule(rule))
    assert.match(texts[0] ?? '', /^ip saddr 10\.9\.0\.0\/24 \[ xt match comment rev 0 "hello" \] counter accept$/)
    assert.equal(iptablesComment(rules[0]?.rule.expressions ?? []), 'hello')
    assert.match(texts[1] ?? '', /^\[ xt match conntrack rev 3 info 0x[0-9a-f]+ \] counter accept$/)
    assert.equal(texts[2], 'iifname "docker0" oifname != "docker0" tcp dport 80 counter return')
    assert.match(texts[4] ?? '', /^tcp dport 80 counter \[ xt target DNAT rev 2 info 0x[0-9a-f]+ \]$/)
    assert.match(texts[5] ?? '', /^oifname != "br0" ip saddr 10\.0\.0\.0\/24 counter \[ xt target MASQUERADE/)
    assert.ok(rules.every(({ counters }) => counters.length === 1))

    // written again from what was listed, iptables shows every rule twice
    const before = saved()
    const again = transaction()
    for (const { rule } of rules) again.addRule(rule)
    again.commit(socket)
    const after = saved()
    for (const line of before.filter((l) => l.startsWith('-A'))) {
      assert.equal(after.filter((l) => l === line).length, 2, line)
    }
  })
})

for (const [what, rule] of [
  ['a comment in the userdata', { ...chain, expressions: [fromLab, counter, accept], comment: 'hardway:lab' }],
  ['a comment as an xtables match', { ...chain, expressions: [fromLab, xtComment('hardway:lab'), counter, accept] }],
] as readonly [string, Rule][]) {
  test(`iptables shows, finds and deletes a native rule with ${what}`, { skip }, () => {
    inFreshNetns((socket) => {
      fill()
      const before = saved()
      transaction().insertRule(rule).commit(socket)
      const line = '-A FORWARD -s 10.0.0.0/24 -m comment --comment "hardway:lab" -j ACCEPT'
      assert.deepEqual(
        saved().filter((l) => l !== line),
        before,
      )
      assert.equal(saved().filter((l) => l === line).length, 1)
      assert.deepEqual(listRules(socket, chain)[0]?.rule, rule)
      iptables('-C FORWARD -s 10.0.0.0/24 -m comment --comment hardway:lab -j ACCEPT')
      iptables('-D FORWARD -s 10.0.0.0/24 -m comment --comment hardway:lab -j ACCEPT')
      assert.deepEqual(saved(), before)
    })
  })
}

test('nft, too, shows a comment in the userdata of a rule among those of iptables', { skip }, () => {
  inFreshNetns((socket) => {
    fill()
    const expressions = [match(meta('iifname'), 'br0'), match(meta('oifname'), 'br0'), counter, accept]
    transaction()
      .insertRule({ ...chain, expressions, comment: 'hardway:lab' })
      .commit(socket)
    assert.match(
      run('nft', ['list', 'chain', 'ip', 'filter', 'FORWARD']),
      /iifname "br0" oifname "br0" .* comment "hardway:lab"/,
    )
    assert.match(iptables('-S FORWARD'), /-A FORWARD -i br0 -o br0 -m comment --comment "hardway:lab" -j ACCEPT/)
  })
})
