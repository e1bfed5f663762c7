/**
 * Notes: what must be put back in a namespace that is not ours. One line of text each, kept in the comments of the
 * topology's own table and written before the change itself, so that a crash at any moment can be undone.
 */
import { addressKey, neighbourKey, routeKey, ruleKey } from './keys.ts'
import type { LinkState, NamespaceState, Surroundings } from './state.ts'

/** nft refuses longer comments (NFTNL_UDATA_COMMENT_MAXLEN). */
export const NOTE_LIMIT = 128

export type Note =
  /** an object that hardway added: take it away */
  | { readonly kind: 'address' | 'route' | 'rule' | 'neighbour'; readonly key: string }
  /** a value that hardway changed: the one before */
  | { readonly kind: 'sysctl'; readonly key: string; readonly before: string }
  | { readonly kind: 'link'; readonly name: string; readonly before: Pick<LinkState, 'up' | 'mtu' | 'mac' | 'master'> }

export function formatNote(note: Note): string {
  if (note.kind === 'sysctl') return `sysctl ${note.key}=${note.before}`
  if (note.kind !== 'link') return `${note.kind} ${note.key}`
  const { up, mtu, mac = '-', master = '-' } = note.before
  return `link ${note.name} ${up ? 'up' : 'down'} ${mtu ?? '-'} ${mac} ${master}`
}

/** Undefined for text that is no note of this version. */
export function parseNote(text: string): Note | undefined {
  const space = text.indexOf(' ')
  const kind = text.slice(0, space)
  const rest = text.slice(space + 1)
  switch (kind) {
    case 'address':
    case 'route':
    case 'rule':
    case 'neighbour':
      return { kind, key: rest }
    case 'sysctl': {
      const equals = rest.indexOf('=')
      return { kind, key: rest.slice(0, equals), before: rest.slice(equals + 1) }
    }
    case 'link': {
      const [name = '', up, mtu = '-', mac = '-', master = '-'] = rest.split(' ')
      const before = {
        up: up === 'up',
        ...(mtu === '-' ? {} : { mtu: Number(mtu) }),
        ...(mac === '-' ? {} : { mac }),
        ...(master === '-' ? {} : { master }),
      }
      return { kind, name, before }
    }
    default:
      return undefined
  }
}

export function parseNotes(texts: readonly string[]): Note[] {
  return texts.map(parseNote).filter((note) => note !== undefined)
}

/** `net.ipv4.conf.veth0.route_localnet` is about `veth0`. */
export function sysctlDevice(key: string): string | undefined {
  const device = /^net\.ipv[46]\.(?:conf|neigh)\.(.+)\.[^.]+$/.exec(key)?.[1]
  return device === 'all' || device === 'default' ? undefined : device
}

/** Whether a device is one that hardway makes: what is set on it goes with it and needs no note. */
function isMade(state: NamespaceState, device: string | undefined): boolean {
  const link = device === undefined ? undefined : state.links.get(device)
  return link !== undefined && link.link.kind !== 'existing'
}

/** The notes that a wanted state of a foreign namespace needs. Values noted earlier are kept: they are the originals. */
export function notesFor(wanted: NamespaceState, current: NamespaceState | undefined, around: Surroundings): string[] {
  const earlier = new Map<string, string>()
  for (const note of parseNotes(current?.notes ?? [])) {
    if (note.kind === 'sysctl') earlier.set(`sysctl ${note.key}`, formatNote(note))
    if (note.kind === 'link') earlier.set(`link ${note.name}`, formatNote(note))
  }
  const notes: string[] = []
  const { foreign } = around
  const values = around.sysctls.get(wanted.name)
  for (const { key, value } of wanted.sysctls.values()) {
    const before = values?.get(key)
    const kept = earlier.get(`sysctl ${key}`)
    if (kept) notes.push(kept)
    else if (before !== undefined && before !== value && !isMade(wanted, sysctlDevice(key))) {
      notes.push(formatNote({ kind: 'sysctl', key, before }))
    }
  }
  for (const link of wanted.links.values()) {
    const before = foreign.links.get(link.name)
    if (link.link.kind !== 'existing' || !before) continue
    const kept = earlier.get(`link ${link.name}`)
    if (kept) notes.push(kept)
    else if (differs(before, link)) notes.push(formatNote({ kind: 'link', name: link.name, before }))
  }
  for (const a of wanted.addresses.values()) {
    if (!isMade(wanted, a.dev) && !foreign.addresses.has(addressKey(a))) notes.push(`address ${addressKey(a)}`)
  }
  for (const r of wanted.routes.values()) {
    if (!isMade(wanted, r.dev) && !foreign.routes.has(routeKey(r))) notes.push(`route ${routeKey(r)}`)
  }
  for (const r of wanted.rules.values()) {
    if (!foreign.rules.has(ruleKey(r))) notes.push(`rule ${ruleKey(r)}`)
  }
  for (const n of wanted.neighbours.values()) {
    if (!isMade(wanted, n.dev) && !foreign.neighbours.has(neighbourKey(n))) notes.push(`neighbour ${neighbourKey(n)}`)
  }
  return notes
}

/** Whether a link has to be changed to be as wanted. */
export function differs(current: LinkState, wanted: LinkState): boolean {
  return (
    current.up !== wanted.up ||
    (wanted.mac !== undefined && current.mac !== wanted.mac) ||
    (wanted.mtu !== undefined && current.mtu !== wanted.mtu) ||
    (wanted.hairpin !== current.hairpin && wanted.link.kind !== 'existing') ||
    (wanted.master !== current.master && !(wanted.link.kind === 'existing' && wanted.master === undefined))
  )
}
