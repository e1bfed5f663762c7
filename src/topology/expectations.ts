/** Expectations: `ping netns1 -> netns2 within 5ms`, `fails tcp a -> b:80 because NOT_LISTENING`. */
import { canonicalAddress, familyOf } from '../ip/index.ts'
import { each } from './check.ts'
import { type Draft, type DraftNamespace, findNamespace, hasFamily, placed } from './draft.ts'
import { type HostPort, isComplaint, readHostPort } from './endpoints.ts'
import { type Clauses, type Kind, readClauses } from './expectation-clauses.ts'
import type { Expectation, Probe } from './model.ts'
import { nearest } from './names.ts'
import type { Path } from './problems.ts'
import { addressIn, deviceFor } from './reach.ts'
import type { Complaint } from './values.ts'

const DNS_PORT = 53

const KINDS = ['ping', 'tcp', 'udp', 'http', 'dns', 'mtu'] as const
const FORMS: Readonly<Record<Kind, string>> = {
  ping: '[fails] ping A -> B',
  tcp: '[fails] tcp A -> B:PORT',
  udp: '[fails] udp A -> B:PORT',
  http: '[fails] http A -> B:PORT[/path] [status N] [contains "text"]',
  dns: '[fails] dns A -> B[:PORT] NAME [is ADDRESS]',
  mtu: '[fails] mtu A -> B at least BYTES',
}
const FORM = 'ping A -> B, tcp or udp A -> B:PORT, http A -> B:PORT/path, dns A -> B NAME, mtu A -> B at least BYTES'

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

function readOne(draft: Draft, text: string, path: Path): Expectation | undefined {
  const { problems } = draft
  const parts = /^(\s*)(fails\s+)?(\S+)\s+(\S+)\s*(?:->|→)\s*(\S+)\s*(.*)$/s.exec(text)
  if (!parts) {
    problems.add(path, `"${text}" is not an expectation`, FORM)
    return undefined
  }
  const [, lead = '', fails, word = '', fromName = '', target = '', rest = ''] = parts
  const wordAt = lead.length + (fails?.length ?? 0)
  const kind = KINDS.find((k) => k === word)
  if (!kind) {
    const better = nearest(word, KINDS)
    problems.add(path, `"${word}" is not a probe`, better ? `did you mean "${better}"?` : FORM, { offset: wordAt })
    return undefined
  }
  const from = findNamespace(draft, fromName, path, { offset: text.indexOf(fromName, wordAt + word.length) })
  if (!from) return undefined
  const targetAt = text.indexOf(target, text.search(/->|→/) + 1)
  const words = readClauses(kind, fails !== undefined, rest, FORMS[kind])
  if ('message' in words) {
    problems.add(path, words.message, words.hint, { offset: text.length - rest.length + words.offset })
    return undefined
  }
  const { within, because, ...wish } = words
  const probe = readProbe(draft, kind, from, target, wish, path, targetAt)
  return (
    probe && {
      text,
      fails: fails !== undefined,
      from: from.name,
      probe,
      ...(within === undefined ? {} : { within }),
      ...(because === undefined ? {} : { because }),
      ...placed(draft, path),
    }
  )
}

function readProbe(
  draft: Draft,
  kind: Kind,
  from: DraftNamespace,
  target: string,
  { status, contains, name = '', is, atLeast = 0 }: Clauses,
  path: Path,
  offset: number,
): Probe | undefined {
  if (kind === 'ping' || kind === 'mtu') {
    const bare = /^\[(.*)\]$/.exec(target)?.[1] ?? target
    const address = resolve(draft, from, bare, path, offset)
    if (address === undefined) return undefined
    return kind === 'ping' ? { kind, to: target, address } : { kind, to: target, address, atLeast }
  }
  const slash = kind === 'http' ? target.indexOf('/') : -1
  const place = kind === 'dns' ? readServer(target) : readHostPort(slash < 0 ? target : target.slice(0, slash))
  if (isComplaint(place)) {
    draft.problems.add(path, place.message, place.hint, { offset })
    return undefined
  }
  const address = resolve(draft, from, place.host, path, offset)
  if (address === undefined) return undefined
  const common = { to: target, address, port: place.port }
  switch (kind) {
    case 'tcp':
    case 'udp':
      return { kind, ...common }
    case 'dns':
      return { kind, ...common, name, ...(is === undefined ? {} : { is }) }
    case 'http':
      return {
        kind,
        ...common,
        path: slash < 0 ? '/' : target.slice(slash),
        ...(status === undefined ? {} : { status }),
        ...(contains === undefined ? {} : { contains }),
      }
    default:
      return kind satisfies never
  }
}

/** A server of names, whose port need not be said. */
function readServer(target: string): HostPort | Complaint {
  const bare = canonicalAddress(/^\[(.*)\]$/.exec(target)?.[1] ?? target)
  if (bare !== undefined) return { host: bare, isAddress: true, port: DNS_PORT }
  return readHostPort(target.includes(':') ? target : `${target}:${DNS_PORT}`)
}

export function readExpectations(draft: Draft): Expectation[] {
  const found: Expectation[] = []
  for (const [text, path] of each(draft.input.expect, ['expect'])) {
    const read = readOne(draft, text, path)
    if (read) found.push(read)
  }
  return found
}
