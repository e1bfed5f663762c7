/** The corpus against the real nft: what is sent, what the kernel then has, what is read back, what the text says. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cases, chains, corpusText, sets } from './corpus.testing.ts'
import { listRuleset } from './list.ts'
import { captureNft, dump, inFreshNetns, isRoot, nft, run, type Sent } from './testing.ts'
import { renderOperation, renderRuleset } from './text.ts'
import { encodeTransaction, type Transaction, transaction } from './transaction.ts'

const skip = isRoot ? false : 'needs root for a network namespace'
const table = { family: 'inet', name: 't', comment: 'the table' } as const

/** In nft's order: the table, chains, each set with its elements, rules. */
function corpus(): Transaction {
  const all = transaction().addTable(table)
  for (const chain of chains) all.addChain(chain)
  for (const [set, elements] of sets) all.addSet(set).addElements(set, elements)
  for (const [chain, expressions, , comment] of cases) {
    all.addRule({ family: 'inet', table: 't', chain, expressions, ...(comment === undefined ? {} : { comment }) })
  }
  return all
}

function show(messages: readonly Sent[]): string[] {
  return messages.map(({ type, flags, body }) => JSON.stringify([type, flags, dump(body)]))
}

test('every message of the corpus is what nft sends for it, byte for byte', { skip }, () => {
  inFreshNetns(() => {
    const theirs = captureNft(corpusText())
    const ours = encodeTransaction(corpus().operations).messages.map(({ type, flags, body }) => ({
      type,
      flags: flags | 1,
      body,
    }))
    // the readable form first: it says where they differ
    const [left, right] = [show(ours), show(theirs)]
    for (const [i, message] of right.entries()) assert.equal(left[i], message, `message ${i}`)
    assert.deepEqual(ours, theirs)
    assert.ok(ours.length > 120)
  })
})

test('after our transaction the kernel has what it has after nft', { skip }, () => {
  const listing = (fill: () => void): unknown => {
    fill()
    return JSON.parse(run('nft', ['-j', 'list', 'ruleset']))
  }
  const theirs = inFreshNetns(() => listing(() => nft(corpusText())))
  const ours = inFreshNetns((socket) => listing(() => corpus().commit(socket)))
  assert.deepEqual(ours, theirs)
})

test('listing gives back what was applied', { skip }, () => {
  inFreshNetns((socket) => {
    corpus().commit(socket)
    const found = listRuleset(socket)
    assert.deepEqual(
      found.tables.map((t) => t.table),
      [table],
    )
    const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1)
    assert.deepEqual(found.chains.map((c) => c.chain).sort(byName), [...chains].sort(byName))
    for (const [set, elements] of sets) {
      const listed = found.sets.find((s) => s.set.name === set.name)
      assert.deepEqual(listed?.set, set)
      assert.deepEqual(listed?.elements, elements)
    }
    for (const chain of ['pre', 'post', 'forwarding']) {
      const applied = cases.filter(([name]) => name === chain)
      const listed = found.rules.filter(({ rule }) => rule.chain === chain)
      assert.equal(listed.length, applied.length)
      for (const [i, [, expressions, text, comment]] of applied.entries()) {
        assert.deepEqual(listed[i]?.rule.expressions, expressions, text)
        assert.equal(listed[i]?.rule.comment, comment)
        assert.ok((listed[i]?.handle ?? 0n) > 0n)
      }
    }
  })
})

test('the rendered text of a listed ruleset is valid for nft and makes the same ruleset', { skip }, () => {
  const [text, listing] = inFreshNetns((socket) => {
    corpus().commit(socket)
    const { tables, chains: listed, rules, sets: found } = listRuleset(socket)
    const content = tables.map((t) => ({
      table: t.table,
      sets: found.map(({ set, elements }) => ({ set, elements: elements ?? [] })),
      chains: listed.map(({ chain }) => ({
        chain,
        rules: rules.flatMap(({ rule }) => (rule.chain === chain.name ? [rule] : [])),
      })),
    }))
    return [renderRuleset(content), run('nft', ['list', 'ruleset'])]
  })
  inFreshNetns(() => {
    run('nft', ['-c', '-f', '-'], text)
    nft(text)
    assert.equal(run('nft', ['list', 'ruleset']), listing)
  })
})

test('each operation rendered as a command, run by nft, makes the same ruleset', { skip }, () => {
  const listing = inFreshNetns((socket) => {
    corpus().commit(socket)
    return run('nft', ['list', 'ruleset'])
  })
  inFreshNetns(() => {
    const lines = corpus().operations.filter((o) => o.kind !== 'element' || o.elements.length > 0)
    nft(lines.map((operation) => `${renderOperation(operation)}\n`).join(''))
    assert.equal(run('nft', ['list', 'ruleset']), listing)
  })
})
