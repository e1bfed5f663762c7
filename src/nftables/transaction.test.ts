/** Transactions: atomic, naming what failed, of any size. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NETLINK_NETFILTER, openSocket } from '../netlink/socket.ts'
import { isAlreadyExists, isNotFound, NftablesError } from './errors.ts'
import { decodeEvent, subscribeRuleset } from './events.ts'
import { accept, counter, inSet, match, meta, oneOf, payload } from './expression.ts'
import { getGeneration, listChains, listElements, listRules, listSets, listTables } from './list.ts'
import type { NftMap, NftSet, Rule } from './objects.ts'
import { captureNft, dump, inFreshNetns, isRoot, nft, run, type Sent } from './testing.ts'
import { encodeTransaction, type Transaction, transaction } from './transaction.ts'

const skip = isRoot ? false : 'needs root for a network namespace'
const table = { family: 'inet', name: 't' } as const
const chain = { family: 'inet', table: 't', name: 'c' } as const
const rule: Rule = { family: 'inet', table: 't', chain: 'c', expressions: [match(payload('tcp', 'dport'), 80), accept] }
const addresses: NftSet = { family: 'inet', table: 't', name: 's', kind: 'set', key: ['ipv4_addr'] }
const ranges: NftSet = { ...addresses, name: 'r', flags: ['interval'] }

function refusal(all: Transaction, socket: Parameters<Transaction['commit']>[0]): NftablesError {
  try {
    all.commit(socket)
  } catch (error) {
    if (error instanceof NftablesError) return error
    throw error
  }
  return assert.fail('the transaction went through')
}

test('a transaction that fails names the operation and leaves nothing behind', { skip }, () => {
  inFreshNetns((socket) => {
    const all = transaction()
      .addTable(table)
      .addChain(chain)
      .addRule(rule)
      .addRule({ ...rule, chain: 'nowhere' })
      .addRule(rule)
    const error = refusal(all, socket)
    assert.equal(error.index, 3)
    assert.equal(error.operation, 'add rule inet t nowhere tcp dport 80 accept')
    assert.equal(error.code, 'ENOENT')
    assert.match(error.message, /add rule inet t nowhere tcp dport 80 accept: .+/)
    assert.ok(isNotFound(error))
    assert.deepEqual(listTables(socket), [])
    // a refusal does not disturb the next one
    transaction().addTable(table).addChain(chain).addRule(rule).commit(socket)
    assert.equal(listRules(socket).length, 1)
  })
})

test('every refusal of a transaction is told, the first one first', { skip }, () => {
  inFreshNetns((socket) => {
    const all = transaction()
      .addTable(table)
      .deleteChain({ ...chain, name: 'x' })
      .deleteChain({ ...chain, name: 'y' })
    const error = refusal(all, socket)
    assert.equal(error.operation, 'delete chain inet t x')
    assert.deepEqual(
      error.others.map((other) => other.operation),
      ['delete chain inet t y'],
    )
  })
})

test('creating what is there is told from adding it', { skip }, () => {
  inFreshNetns((socket) => {
    transaction().createTable(table).createChain(chain).commit(socket)
    transaction().addTable(table).addChain(chain).commit(socket)
    assert.ok(isAlreadyExists(refusal(transaction().createTable(table), socket)))
    assert.ok(isAlreadyExists(refusal(transaction().createChain(chain), socket)))
    assert.ok(isNotFound(refusal(transaction().deleteTable({ family: 'inet', name: 'other' }), socket)))
  })
})

test('a transaction for an older generation is refused', { skip }, () => {
  inFreshNetns((socket) => {
    const generation = getGeneration(socket)
    transaction().addTable(table).commit(socket, { generation })
    assert.throws(() => transaction().addChain(chain).commit(socket, { generation }), {
      name: 'NftablesError',
      index: -1,
    })
    transaction()
      .addChain(chain)
      .commit(socket, { generation: getGeneration(socket) })
  })
})

test('rules are put where they should be, replaced and taken away', { skip }, () => {
  inFreshNetns((socket) => {
    const marked = (comment: string): Rule => ({ ...rule, expressions: [counter], comment })
    transaction().addTable(table).addChain(chain).addRule(marked('1')).addRule(marked('2')).commit(socket)
    const order = (): string =>
      listRules(socket)
        .map((r) => r.rule.comment)
        .join(' ')
    const [first, second] = listRules(socket)
    transaction()
      .insertRule(marked('0'))
      .addRule(marked('1.5'), first?.handle)
      .insertRule(marked('1.9'), second?.handle)
      .commit(socket)
    assert.equal(order(), '0 1 1.5 1.9 2')
    transaction()
      .replaceRule(marked('one'), first?.handle ?? 0n)
      .commit(socket)
    transaction()
      .deleteRule({ ...rule, handle: second?.handle ?? 0n })
      .commit(socket)
    assert.equal(order(), '0 one 1.5 1.9')
    transaction().flushChain(chain).commit(socket)
    assert.equal(order(), '')
    transaction().deleteChain(chain).deleteTable(table).commit(socket)
    assert.deepEqual(listTables(socket), [])
  })
})

test('50,000 elements go in and out in one transaction', { skip }, () => {
  inFreshNetns((socket) => {
    const map: NftMap = {
      ...addresses,
      kind: 'map',
      name: 'm',
      key: ['ipv4_addr', 'inet_service'],
      data: ['ipv4_addr'],
    }
    const count = 50_000
    const address = (i: number): string => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`
    const elements = Array.from({ length: count }, (_, i) => ({ key: [address(i), 80], value: address(i) }))
    transaction().addTable(table).addSet(map).addElements(map, elements).commit(socket)
    const listed = listElements(socket, map)
    assert.equal(listed.elements?.length, count)
    assert.deepEqual(listed.elements?.[count - 1], elements[count - 1])
    const same = transaction().createElements(map, elements)
    assert.ok(isAlreadyExists(refusal(same, socket)))
    transaction()
      .deleteElements(map, elements.slice(0, count - 1))
      .commit(socket)
    assert.deepEqual(listElements(socket, map).elements, [elements[count - 1]])
  })
})

test('3,000 rules with sets of their own go in as one transaction', { skip }, () => {
  inFreshNetns((socket) => {
    const all = transaction().addTable(table).addChain(chain)
    const expressions = [match(payload('tcp', 'dport'), oneOf(80, 443)), counter, accept]
    for (let i = 0; i < 3000; i++) all.addRule({ ...rule, expressions, comment: String(i) })
    all.commit(socket)
    const rules = listRules(socket)
    assert.equal(rules.length, 3000)
    assert.deepEqual(rules[2999]?.rule, { ...rule, expressions, comment: '2999' })
  })
})

type Dump = readonly (readonly [number, string | Dump])[]

/** NFTA_SET_ELEM_LIST_SET_ID and NFTA_LOOKUP_SET_ID are both 4. */
function withoutSetIds(type: number, attributes: Dump): unknown {
  const strip = (list: Dump): Dump => list.filter(([number]) => number !== 4)
  const isElements = (type & 0xff) === 12 || (type & 0xff) === 14
  if (isElements) return strip(attributes)
  return attributes.map(([number, value]) => [
    number,
    typeof value === 'string' ? value : value.map(([n, e]) => [n, stripLookup(e)]),
  ])

  function stripLookup(expression: string | Dump): unknown {
    if (typeof expression === 'string' || expression[0]?.[1] !== 'lookup\0') return expression
    return expression.map(([n, data]) => [n, typeof data === 'string' ? data : strip(data)])
  }
}

test('changes to what exists are sent as nft sends them, byte for byte', { skip }, () => {
  const others: NftMap = { ...addresses, kind: 'map', name: 'v', key: ['inet_service'], data: 'verdict' }
  const setup = transaction()
    .addTable(table)
    .addChain(chain)
    .addSet(addresses)
    .addSet(ranges)
    .addSet(others)
    .addRule({ ...rule, comment: 'a' })
    .addElements(addresses, [{ key: '10.0.0.1' }])
    .addElements(ranges, [{ key: '10.0.0.0/24' }, { key: '10.7.0.0/16' }])
    .addElements(others, [{ key: 80, verdict: accept }])
  const inUse: Rule = { ...rule, expressions: [match(payload('ip', 'saddr'), inSet('r')), accept] }
  const steps: readonly (readonly [string, (handle: bigint) => Transaction])[] = [
    [
      'add element inet t s { 10.0.0.2, 10.0.0.3 comment "x" }',
      () => transaction().addElements(addresses, [{ key: '10.0.0.2' }, { key: '10.0.0.3', comment: 'x' }]),
    ],
    ['delete element inet t s { 10.0.0.1 }', () => transaction().deleteElements(addresses, [{ key: '10.0.0.1' }])],
    [
      'add element inet t r { 10.1.0.0/16, 10.3.0.0-10.3.0.7 }',
      () => transaction().addElements(ranges, [{ key: '10.1.0.0/16' }, { key: '10.3.0.0-10.3.0.7' }]),
    ],
    ['delete element inet t r { 10.7.0.0/16 }', () => transaction().deleteElements(ranges, [{ key: '10.7.0.0/16' }])],
    ['delete element inet t v { 80 }', () => transaction().deleteElements(others, [{ key: 80 }])],
    ['insert rule inet t c tcp dport 80 accept', () => transaction().insertRule(rule)],
    ['add rule inet t c ip saddr @r accept', () => transaction().addRule(inUse)],
    ['add rule inet t c handle HANDLE tcp dport 80 accept', (handle) => transaction().addRule(rule, handle)],
    ['insert rule inet t c handle HANDLE tcp dport 80 accept', (handle) => transaction().insertRule(rule, handle)],
    [
      'replace rule inet t c handle HANDLE tcp dport 80 accept comment "a"',
      (handle) => transaction().replaceRule({ ...rule, comment: 'a' }, handle),
    ],
    ['delete rule inet t c handle HANDLE', (handle) => transaction().deleteRule({ ...rule, handle })],
    ['flush chain inet t c', () => transaction().flushChain(chain)],
    ['flush set inet t s', () => transaction().flushSet(addresses)],
    ['flush table inet t', () => transaction().flushTable(table)],
    ['create table inet x', () => transaction().createTable({ family: 'inet', name: 'x' })],
    ['create chain inet t y', () => transaction().createChain({ ...chain, name: 'y' })],
    ['delete chain inet t y', () => transaction().deleteChain({ ...chain, name: 'y' })],
    ['delete map inet t v', () => transaction().deleteSet(others)],
    ['delete set inet t s', () => transaction().deleteSet(addresses)],
    ['delete table inet t', () => transaction().deleteTable(table)],
  ]
  inFreshNetns((socket) => {
    setup.commit(socket)
    for (const [text, step] of steps) {
      const handle = listRules(socket).find((r) => r.rule.comment === 'a')?.handle ?? 0n
      const ours = encodeTransaction(step(handle).operations).messages.map((m): Sent => ({ ...m, flags: m.flags | 1 }))
      // nft says which generation it knows, and numbers the sets that exist: the rest must be the same
      const theirs = captureNft(text.replace('HANDLE', String(handle)))
      const show = (messages: readonly Sent[]): unknown =>
        messages.slice(1).map(({ type, flags, body }) => [type, flags, withoutSetIds(type, dump(body) as Dump)])
      assert.deepEqual(show(ours), show(theirs), text)
    }
  })
})

test('ranges can be deleted and read back, also at the ends of the address space', { skip }, () => {
  inFreshNetns((socket) => {
    const keys = ['0.0.0.0/8', '10.0.0.0/24', '10.0.1.0/24', '10.9.0.0-10.9.0.2', '10.10.10.10', '255.0.0.0/8']
    const elements = keys.map((key) => ({ key }))
    transaction().addTable(table).addSet(ranges).addElements(ranges, elements).commit(socket)
    assert.deepEqual(listElements(socket, ranges).elements, elements)
    transaction()
      .deleteElements(ranges, [{ key: '10.0.1.0/24' }, { key: '255.0.0.0/8' }])
      .commit(socket)
    const left = keys.filter((key) => key !== '10.0.1.0/24' && key !== '255.0.0.0/8')
    assert.deepEqual(
      listElements(socket, ranges).elements?.map((e) => e.key),
      left,
    )
    transaction()
      .addElements(ranges, [{ key: '10.0.1.0/24' }])
      .commit(socket)
    assert.deepEqual(
      listElements(socket, ranges).elements?.map((e) => e.key),
      left.toSpliced(2, 0, '10.0.1.0/24'),
    )
    assert.deepEqual(
      listSets(socket).map((s) => s.set),
      [ranges],
    )
    run('nft', ['list', 'ruleset'])
  })
})

test('other families: chains with devices, bridge, arp, netdev and ip6 rules', { skip }, () => {
  inFreshNetns((socket) => {
    const text = `table netdev n { chain i { type filter hook ingress device "lo" priority 0; policy accept;
  ip saddr 1.2.3.4 tcp dport 80 accept
  ether type arp
  arp operation request
  icmpv6 type echo-request
 }
}
table bridge b { chain f { type filter hook forward priority -200; policy accept;
  ip saddr 1.2.3.4 tcp dport 80 accept
  ether saddr 00:11:22:33:44:55
 }
}
table ip6 s { chain f { type filter hook output priority 0;
  ip6 saddr ::1 reject with icmpv6 no-route
 }
}
table arp a { chain f { type filter hook input priority 0;
  arp saddr ip 1.2.3.4 drop
 }
}
`
    nft(text)
    const theirs = run('nft', ['-j', 'list', 'ruleset'])
    const tables = listTables(socket)
    const chains = listChains(socket)
    const rules = listRules(socket)
    assert.ok(rules.every((r) => r.rule.expressions.every((e) => e.kind !== 'vm')))
    assert.deepEqual(chains[0]?.chain, {
      family: 'netdev',
      table: 'n',
      name: 'i',
      type: 'filter',
      hook: 'ingress',
      priority: 0,
      policy: 'accept',
      device: 'lo',
    })
    inFreshNetns((inner) => {
      const all = transaction()
      for (const t of tables) all.addTable(t.table)
      for (const c of chains) all.addChain(c.chain)
      for (const r of rules) all.addRule(r.rule)
      all.commit(inner)
      assert.deepEqual(JSON.parse(run('nft', ['-j', 'list', 'ruleset'])), JSON.parse(theirs))
    })
  })
})

test('counters are listed beside the rule', { skip }, () => {
  inFreshNetns((socket) => {
    const out = { ...chain, type: 'filter', hook: 'output', priority: 0 } as const
    transaction()
      .addTable(table)
      .addChain(out)
      .addRule({ ...rule, expressions: [match(meta('oifname'), 'lo'), counter] })
      .commit(socket)
    const [listed] = listRules(socket)
    assert.deepEqual(listed?.counters, [{ packets: 0n, bytes: 0n }])
    assert.deepEqual(listed?.rule.expressions, [match(meta('oifname'), 'lo'), counter])
  })
})

test('changes are announced', { skip }, () => {
  inFreshNetns((socket) => {
    // a socket is not told of its own changes
    using listener = openSocket(NETLINK_NETFILTER)
    subscribeRuleset(listener)
    transaction().addTable(table).addChain(chain).addRule(rule).commit(socket)
    const seen = [...listener.events(1000), ...listener.events(100)].flatMap((message) => decodeEvent(message) ?? [])
    assert.deepEqual(
      seen.map((event) => event.kind),
      ['table', 'chain', 'rule', 'generation'],
    )
  })
})
