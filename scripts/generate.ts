/**
 * Writes schema/hardway.schema.json for editors and docs/file.md for people, both from the one declaration:
 * `npm run generate`. Not part of the program.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { toJsonSchema } from '@valibot/to-json-schema'
import * as v from 'valibot'
import { topologySchema } from '../src/topology/schema.ts'

interface Shape {
  readonly type: string
  readonly entries?: Readonly<Record<string, Shape>>
  readonly wrapped?: Shape
  readonly value?: Shape
  readonly item?: Shape
  readonly options?: readonly unknown[]
  readonly literal?: unknown
  readonly default?: unknown
}

export function jsonSchema(): string {
  const schema = toJsonSchema(topologySchema, { errorMode: 'ignore', typeMode: 'input' })
  return `${JSON.stringify({ $id: 'hardway.schema.json', title: 'hardway topology', ...schema }, null, 2)}\n`
}

function typeOf(shape: Shape): string {
  const titled = v.getTitle(shape as unknown as v.GenericSchema)
  if (titled !== undefined) return titled
  switch (shape.type) {
    case 'optional':
    case 'nullable':
      return shape.wrapped ? typeOf(shape.wrapped) : ''
    case 'union':
      return [...new Set(((shape.options ?? []) as readonly Shape[]).map(typeOf))].join(' or ')
    case 'array':
      return `list of ${shape.item ? typeOf(shape.item) : 'values'}`
    case 'tuple':
      return 'two ends'
    case 'record':
      return 'map by name'
    case 'strict_object':
      return 'map'
    case 'picklist':
      return (shape.options ?? []).join(', ')
    case 'literal':
      return String(shape.literal)
    case 'boolean':
      return 'true or false'
    default:
      return shape.type
  }
}

/** The map that a key leads to, through lists, names and alternatives. */
function inner(shape: Shape): Shape | undefined {
  if (shape.type === 'strict_object') return shape
  for (const next of [shape.wrapped, shape.value, shape.item, ...((shape.options ?? []) as readonly unknown[])]) {
    const found = typeof next === 'object' && next !== null ? inner(next as Shape) : undefined
    if (found) return found
  }
  return undefined
}

function section(title: string, shape: Shape, done: Set<Shape>): string[] {
  if (done.has(shape)) return []
  done.add(shape)
  const rows: string[] = []
  const below: string[] = []
  for (const [key, entry] of Object.entries(shape.entries ?? {})) {
    const meaning = v.getDescription((entry.type === 'optional' ? entry.wrapped : entry) as unknown as v.GenericSchema)
    const missing =
      entry.type !== 'optional' ? 'required' : entry.default === undefined ? '' : `\`${String(entry.default)}\``
    rows.push(`| \`${key}\` | ${typeOf(entry)} | ${missing} | ${(meaning ?? '').replaceAll('|', '\\|')} |`)
    const deeper = inner(entry)
    if (deeper) below.push(...section(title === '' ? key : `${title}.${key}`, deeper, done))
  }
  const heading = title === '' ? [] : [`## ${title}`, '']
  return [...heading, '| key | value | default | meaning |', '| --- | --- | --- | --- |', ...rows, '', ...below]
}

export function fileReference(): string {
  return [
    '# The topology file',
    '',
    'YAML or JSON. Made from the declaration in `src/topology/schema.ts` by `npm run generate`; the same declaration gives',
    '`schema/hardway.schema.json`, which editors use for completion:',
    '',
    '    # yaml-language-server: $schema=../schema/hardway.schema.json',
    '',
    ...section('', topologySchema as unknown as Shape, new Set()),
  ]
    .join('\n')
    .replace(/\n+$/, '\n')
}

const outputs = [
  { file: new URL('../schema/hardway.schema.json', import.meta.url), make: jsonSchema },
  { file: new URL('../docs/file.md', import.meta.url), make: fileReference },
] as const

/** Files that are not what the declaration gives now. */
export function outdated(): string[] {
  return outputs.filter(({ file, make }) => readFileSync(file, 'utf8') !== make()).map(({ file }) => file.pathname)
}

if (process.argv[1]?.endsWith('generate.ts')) for (const { file, make } of outputs) writeFileSync(file, make())
