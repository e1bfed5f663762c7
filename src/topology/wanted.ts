/** What a part of the format takes, in the words of a hint. */
import * as v from 'valibot'
import { nearest } from './names.ts'
import type { Path } from './problems.ts'
import type { ScalarTree, Tree } from './tree.ts'

/** What this walk needs to know of valibot's schemas. */
export interface Shape {
  readonly type: string
  readonly entries?: Readonly<Record<string, Shape>>
  readonly key?: Shape
  readonly value?: Shape
  readonly item?: Shape
  readonly items?: readonly Shape[]
  readonly options?: readonly unknown[]
  readonly literal?: unknown
  readonly wrapped?: Shape
  readonly default?: unknown
  /** the schema itself, then its checks and descriptions */
  readonly pipe?: readonly { readonly type: string; readonly requirement?: (value: string) => boolean }[]
}

/** What people of other tools write. */
const SYNONYMS: Readonly<Record<string, string>> = {
  ip: 'addresses',
  ipv4: 'addresses',
  ipv6: 'addresses',
  inet: 'addresses',
  master: 'bridge',
  gw: 'gateway',
  gateway: 'via',
  dst: 'to',
  destination: 'to',
  namespace: 'in',
  netns: 'in',
  fwmark: 'mark',
  prio: 'priority',
  pref: 'priority',
  lladdr: 'mac',
  oif: 'dev',
  nat: 'masquerade',
  ports: 'publish',
  containers: 'namespaces',
  nodes: 'namespaces',
  command: 'run',
  cmd: 'run',
  neighbors: 'neighbours',
  cidr: 'subnet',
  vni: 'id',
}

export function hintForKey(key: string, path: Path, known: readonly string[]): string {
  if (key === 'networks' && path[0] === 'host') return 'the bridge of a network is in host already'
  if (key === 'gateway' && known.includes('routes')) return 'write routes: [ { to: default, via: … } ]'
  const synonym = Object.hasOwn(SYNONYMS, key.toLowerCase()) ? SYNONYMS[key.toLowerCase()] : undefined
  const better = synonym !== undefined && known.includes(synonym) ? synonym : nearest(key, known)
  return better === undefined ? `known are ${known.join(', ')}` : `did you mean "${better}"?`
}

const KINDS: Readonly<Record<string, string>> = {
  strict_object: 'a map',
  record: 'a map of names',
  array: 'a list',
  tuple: 'a list of two',
  string: 'a text',
  number: 'a number',
  boolean: 'true or false',
}

export function kindsOf(schema: Shape): string[] {
  if ((schema.type === 'optional' || schema.type === 'nullable') && schema.wrapped) return kindsOf(schema.wrapped)
  if (schema.type === 'union') return [...new Set(((schema.options ?? []) as readonly Shape[]).flatMap(kindsOf))]
  if (schema.type === 'picklist') return [(schema.options ?? []).join(', ')]
  if (schema.type === 'literal') return [String(schema.literal)]
  return [KINDS[schema.type] ?? schema.type]
}

export function nameOf(tree: Tree): string {
  if (tree.kind === 'map') return 'a map'
  if (tree.kind === 'list') return 'a list'
  if (tree.value === null) return 'nothing'
  return typeof tree.value === 'string' ? `the text "${tree.value}"` : `${tree.source}`
}

export function hintForKind(wanted: readonly string[], tree: Tree, schema: Shape): string {
  if (wanted.includes('a text') && tree.kind === 'map') return 'put a text that has ": " in it in quotes'
  if (tree.kind === 'scalar' && typeof tree.value === 'string') return hintForText(wanted, tree, schema)
  return `for example ${exampleOf(schema)}`
}

function hintForText(wanted: readonly string[], tree: ScalarTree, schema: Shape): string {
  if (wanted.includes('true or false')) {
    if (/^(y|yes|on)$/i.test(tree.source)) return 'write true'
    if (/^(n|no|off)$/i.test(tree.source)) return 'write false'
  }
  if (wanted.includes('a number') && /^\d+$/.test(tree.source)) return `write ${tree.source} without quotes`
  if (wanted.includes('a list')) return `write [ ${tree.source} ]`
  if (wanted.length === 1 && schema.type === 'literal') return `write ${wanted[0]}`
  return `for example ${exampleOf(schema)}`
}

/** Something that the schema would take, to show. */
export function exampleOf(schema: Shape): string {
  if (schema.wrapped) return exampleOf(schema.wrapped)
  const examples: readonly unknown[] = v.getExamples(schema as unknown as v.GenericSchema)
  if (examples.length > 0) return String(examples[0])
  switch (schema.type) {
    case 'union':
      return exampleOf((schema.options?.[0] ?? { type: '' }) as Shape)
    case 'literal':
      return String(schema.literal)
    case 'picklist':
      return String(schema.options?.[0])
    case 'boolean':
      return 'true'
    case 'number':
      return '1'
    case 'array':
      return schema.item ? `[ ${exampleOf(schema.item)} ]` : '[ ]'
    case 'tuple':
      return '[host:veth0, netns1:veth1]'
    case 'record':
      return schema.key ? `{ ${exampleOf(schema.key)}: … }` : '{ }'
    case 'strict_object': {
      const [name, part] = Object.entries(schema.entries ?? {})[0] ?? []
      return part ? `{ ${name}: ${exampleOf(part)} }` : '{ }'
    }
    default:
      return 'text'
  }
}
