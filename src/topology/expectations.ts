/** Expectations: `ping netns1 -> netns2`, `fails tcp a -> b:80`, `http host -> web:8080/path contains "text"`. */
import { canonicalAddress, familyOf } from '../ip/index.ts'
import { each } from './check.ts'
import { type Draft, type DraftNamespace, findNamespace, hasFamily, placed } from './draft.ts'
import { isComplaint, readHostPort } from './endpoints.ts'
import type { Expectation, Probe } from './model.ts'
import { nearest } from './names.ts'
import type { Path } from './problems.ts'
import { addressIn, deviceFor } from './reach.ts'

const FORM =
  '[fails] ping A -> B, [fails] tcp A -> B:PORT, or [fails] http A -> B:PORT[/path] [status N] [contains "text"]'
const KINDS = ['ping', 'tcp', 'http'] as const
type Kind = (typeof KINDS)[number]

/** The address by which `from` reaches a namespace: one in a network that they share, else one of a family it has. */
function addressOf(from: DraftNamespace, to: DraftNamespace): string | undefined {
  for (const device of from.interfaces.values()) {
    if (device.name === 'lo') continue
    for (const { prefix } of device.addresses) {
      const near = addressIn(to, prefix)
      if (near !== undefined) return near
    }
  }
  const addresses = [...to.interfaces.values()]
    .filter((d) => d.name !== 'lo')
    .flatMap((d) => d.addresses.map((a) => a.prefix.address))
  const near = addresses.find((a) => deviceFor(from, a) !== undefined)
  return near ?? addresses.find((a) => hasFamily(from, familyOf(a))) ?? addresses[0]
}

function resolve(draft: Draft, from: DraftNamespace, name: string, path: Path, offset: number): string | undefined {
  const address = canonicalAddress(name)
  if (address !== undefined) return address
  if (from.name === name) return '127.0.0.1'
  const to = findNamespace(draft, name, path, { offset })
  if (!to) return undefined
  const found = addressOf(from, to)
  if (found === undefined)
    draft.problems.add(path, `${name} has no address to reach`, 'give it one, or write an address', { offset })
  return found
}

interface Rest {
  readonly status?: number
  readonly contains?: string
}

/** `status 200 contains "text"`, in any order; undefined for anything else. */
function readRest(text: string): Rest | undefined {
  let rest = text.trim()
  const found: { status?: number; contains?: string } = {}
  while (rest !== '') {
    const status = /^status\s+(\d{3})(?:\s+|$)/.exec(rest)
    const contains = /^contains\s+(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+))(?:\s+|$)/.exec(rest)
    const match = status ?? contains
    if (!match) return undefined
    if (status) found.status = Number(status[1])
    if (contains) found.contains = (contains[1]?.replace(/\\(.)/g, '$1') ?? contains[2] ?? contains[3]) || ''
    rest = rest.slice(match[0].length)
  }
  return found
}

function readOne(draft: Draft, text: string, path: Path): Expectation | undefined {
  const { problems } = draft
  const parts = /^(\s*)(fails\s+)?(\S+)\s+(\S+)\s*(?:->|→)\s*(\S+)\s*(.*)$/s.exec(text)
  if (!parts) {
    problems.add(path, `"${text}" is not an expectation`, FORM)
    return undefined
  }
  const [, lead = '', fails, word = '', fromName = '', target = '', rest = ''] = parts
  const wordAt = lead.length + (fails?.length ?? 0)
  const kind = KINDS.find((k) => k === word) as Kind | undefined
  if (!kind) {
    const better = nearest(word, KINDS)
    problems.add(path, `"${word}" is not a probe`, better ? `did you mean "${better}"?` : FORM, { offset: wordAt })
    return undefined
  }
  const from = findNamespace(draft, fromName, path, { offset: text.indexOf(fromName, wordAt + word.length) })
  const targetAt = text.indexOf(target, text.search(/->|→/) + 1)
  const probe = from && readProbe(draft, kind, from, target, rest, path, targetAt)
  return probe && { text, fails: fails !== undefined, from: from.name, probe, ...placed(draft, path) }
}

function readProbe(
  draft: Draft,
  kind: Kind,
  from: DraftNamespace,
  target: string,
  rest: string,
  path: Path,
  offset: number,
): Probe | undefined {
  const { problems } = draft
  const extra = readRest(rest)
  if (!extra || (kind !== 'http' && rest.trim() !== '')) {
    problems.add(path, `"${rest.trim()}" is not understood`, FORM, { offset: offset + target.length + 1 })
    return undefined
  }
  if (kind === 'ping') {
    const name = /^\[(.*)\]$/.exec(target)?.[1] ?? target
    const address = resolve(draft, from, name, path, offset)
    return address === undefined ? undefined : { kind, to: target, address }
  }
  const slash = kind === 'http' ? target.indexOf('/') : -1
  const place = readHostPort(slash < 0 ? target : target.slice(0, slash))
  if (isComplaint(place)) {
    problems.add(path, place.message, place.hint, { offset })
    return undefined
  }
  const address = resolve(draft, from, place.host, path, offset)
  if (address === undefined) return undefined
  if (kind === 'tcp') return { kind, to: target, address, port: place.port }
  return { kind, to: target, address, port: place.port, path: slash < 0 ? '/' : target.slice(slash), ...extra }
}

export function readExpectations(draft: Draft): Expectation[] {
  const found: Expectation[] = []
  for (const [text, path] of each(draft.input.expect, ['expect'])) {
    const read = readOne(draft, text, path)
    if (read) found.push(read)
  }
  return found
}
