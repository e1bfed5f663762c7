/** Objects and operations as nft text, for `nft -f` and for people. Pure. */
import { typeOf } from './datatypes.ts'
import type { Expression } from './expression.ts'
import type { Chain, Element, NftMap, NftSet, Rule, Table } from './objects.ts'
import type { Operation } from './operation.ts'
import { renderExpression, renderVerdict } from './text-expression.ts'
import { name, quote, renderKey, renderTime, renderValue } from './text-values.ts'

export { renderExpression, renderSelector } from './text-expression.ts'

function comment(text: string | undefined): string[] {
  return text === undefined ? [] : [`comment ${quote(text)}`]
}

/** Expressions as they stand in a rule. */
export function renderExpressions(expressions: readonly Expression[]): string {
  return expressions.map(renderExpression).join(' ')
}

/** What a rule says, without its place: `ip saddr 10.0.0.0/24 masquerade comment "x"`. */
export function renderRule(rule: Pick<Rule, 'expressions' | 'comment'>): string {
  return [...rule.expressions.map(renderExpression), ...comment(rule.comment)].join(' ')
}

/** Whether the text says everything, so that nft can read it back: not so for `vm` expressions. */
export function isExpressible(rule: Pick<Rule, 'expressions'>): boolean {
  return rule.expressions.every((expression) => expression.kind !== 'vm')
}

function hookOf(chain: Chain): string | undefined {
  if (!chain.hook) return undefined
  const device = chain.device === undefined ? '' : ` device ${quote(chain.device)}`
  const policy = chain.policy ? ` policy ${chain.policy};` : ''
  return `type ${chain.type ?? 'filter'} hook ${chain.hook}${device} priority ${chain.priority ?? 0};${policy}`
}

function typesText(types: readonly string[] | 'verdict'): string {
  return types === 'verdict' ? 'verdict' : types.join(' . ')
}

/** The lines inside the braces of a set or map, without elements. */
function declarationOf(set: NftSet | NftMap): string[] {
  const data = set.kind === 'map' ? ` : ${typesText(set.data)}` : ''
  const lines = [`type ${typesText(set.key)}${data};`]
  if (set.flags?.length) lines.push(`flags ${set.flags.join(',')};`)
  if (set.timeout !== undefined) lines.push(`timeout ${renderTime(set.timeout)};`)
  if (set.gcInterval !== undefined) lines.push(`gc-interval ${renderTime(set.gcInterval)};`)
  if (set.size !== undefined) lines.push(`size ${set.size};`)
  if (set.policy !== undefined) lines.push(`policy ${set.policy};`)
  if (set.counter) lines.push('counter;')
  for (const line of comment(set.comment)) lines.push(`${line};`)
  return lines
}

export function renderElement(set: NftSet | NftMap, element: Element): string {
  const words = [renderKey(set.key, element.key)]
  if (element.timeout !== undefined) words.push(`timeout ${renderTime(element.timeout)}`)
  words.push(...comment(element.comment))
  if (element.verdict) words.push(`: ${renderVerdict(element.verdict)}`)
  else if (element.value !== undefined) words.push(`: ${renderData(set, element.value)}`)
  return words.join(' ')
}

function renderData(set: NftSet | NftMap, value: NonNullable<Element['value']>): string {
  const types = set.kind === 'map' && set.data !== 'verdict' ? set.data : undefined
  if (typeof value === 'object') return renderKey(types, value)
  const [type] = types ?? []
  return renderValue(type && typeOf(type), value)
}

export interface SetContent {
  readonly set: NftSet | NftMap
  readonly elements: readonly Element[]
}
export interface ChainContent {
  readonly chain: Chain
  readonly rules: readonly Pick<Rule, 'expressions' | 'comment'>[]
}
export interface TableContent {
  readonly table: Table
  readonly sets: readonly SetContent[]
  readonly chains: readonly ChainContent[]
}

const indent = (lines: readonly string[]): string[] => lines.map((line) => `\t${line}`)

export function renderSet({ set, elements }: SetContent): string {
  const lines = declarationOf(set)
  if (elements.length) lines.push(`elements = { ${elements.map((e) => renderElement(set, e)).join(',\n\t\t     ')} }`)
  return [`${set.kind} ${name(set.name)} {`, ...indent(lines), '}'].join('\n')
}

/** A rule that nft has no words for becomes a comment, so that the text stays one that nft reads. */
export function renderChain({ chain, rules }: ChainContent): string {
  const hook = hookOf(chain)
  const lines = hook ? [hook] : []
  for (const line of comment(chain.comment)) lines.push(`${line};`)
  for (const rule of rules) lines.push(isExpressible(rule) ? renderRule(rule) : `# ${renderRule(rule)}`)
  return [`chain ${name(chain.name)} {`, ...indent(lines), '}'].join('\n')
}

export function renderTable({ table, sets, chains }: TableContent): string {
  const head = table.flags?.length ? [`flags ${table.flags.join(',')};`] : []
  for (const line of comment(table.comment)) head.push(`${line};`)
  const blocks = [...sets.map(renderSet), ...chains.map(renderChain)].flatMap((block) => indent(block.split('\n')))
  return [`table ${table.family} ${name(table.name)} {`, ...indent(head), ...blocks, '}'].join('\n')
}

export function renderRuleset(tables: readonly TableContent[]): string {
  return tables.map((table) => `${renderTable(table)}\n`).join('')
}

/**
 * One operation as an nft command, without the word `nft`: `add rule inet t c tcp dport 80 accept`. A line for `nft -f`;
 * for a shell it must be quoted as a whole (`shellCommand`).
 */
export function renderOperation(operation: Operation): string {
  const { verb } = operation
  switch (operation.kind) {
    case 'table': {
      const { family, name: tableName } = operation.table
      const head = `${verb} table ${family} ${name(tableName)}`
      if (operation.verb !== 'add' && operation.verb !== 'create') return head
      const flags = operation.table.flags?.length ? [`flags ${operation.table.flags.join(',')};`] : []
      const lines = [...flags, ...comment(operation.table.comment).map((line) => `${line};`)]
      return lines.length ? `${head} { ${lines.join(' ')} }` : head
    }
    case 'chain': {
      const { family, table, name: chainName } = operation.chain
      const head = `${verb} chain ${family} ${name(table)} ${name(chainName)}`
      if (operation.verb !== 'add' && operation.verb !== 'create') return head
      const hook = hookOf(operation.chain)
      const lines = [...(hook ? [hook] : []), ...comment(operation.chain.comment).map((line) => `${line};`)]
      return lines.length ? `${head} { ${lines.join(' ')} }` : head
    }
    case 'rule': {
      const { family, table, chain } = operation.rule
      const head = `${verb} rule ${family} ${name(table)} ${name(chain)}`
      if (operation.verb === 'delete') return `${head} handle ${operation.rule.handle}`
      if (operation.verb === 'replace') return `${head} handle ${operation.handle} ${renderRule(operation.rule)}`
      const place = operation.position === undefined ? '' : `handle ${operation.position} `
      return `${head} ${place}${renderRule(operation.rule)}`
    }
    case 'set': {
      const { family, table, name: setName, kind } = operation.set
      const head = `${verb} ${kind} ${family} ${name(table)} ${name(setName)}`
      if (operation.verb !== 'add' && operation.verb !== 'create') return head
      return `${head} { ${declarationOf(operation.set).join(' ')} }`
    }
    case 'element': {
      const { set, elements } = operation
      const items = elements.map((element) => renderElement(set, element)).join(', ')
      return `${verb} element ${set.family} ${name(set.table)} ${name(set.name)} { ${items} }`
    }
    default:
      return operation satisfies never
  }
}

/** The operation as a line of a shell script. */
export function shellCommand(operation: Operation): string {
  return `nft '${renderOperation(operation).replaceAll("'", "'\\''")}'`
}
