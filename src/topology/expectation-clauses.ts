/** What stands behind the target of an expectation: `status 200 contains "text"`, `within 5ms`, `because NO_ROUTE`. Pure. */
import { canonicalAddress } from '../ip/index.ts'
import { nearest } from './names.ts'
import type { Complaint } from './values.ts'
import { type Code, codes } from './why-codes.ts'

export type Kind = 'ping' | 'tcp' | 'udp' | 'http' | 'dns' | 'mtu'

export interface Clauses {
  readonly status?: number
  readonly contains?: string
  /** what DNS is asked for */
  readonly name?: string
  readonly is?: string
  /** bytes */
  readonly atLeast?: number
  /** ms */
  readonly within?: number
  readonly because?: Code
}

/** What is wrong, and how far into the text. */
export interface Misread extends Complaint {
  readonly offset: number
}

interface Clause {
  /** at the start of what is left; the first group is the value */
  readonly form: RegExp
  readonly isFor: (kind: Kind, fails: boolean) => boolean
  /** The value, or what is wrong with it. */
  readonly read: (value: string) => Clauses | Complaint
}

const complain = (message: string, hint: string): Complaint => ({ message, hint })

const MS: Readonly<Record<string, number>> = { us: 0.001, µs: 0.001, ms: 1, s: 1000 }

function readDuration(text: string): Clauses | Complaint {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)(\D*)$/.exec(text) ?? []
  const factor = MS[unit]
  const value = Number(number) * (factor ?? 1)
  if (number === undefined || unit !== '') {
    if (factor !== undefined && value > 0) return { within: value }
    return complain(`"${text}" is not a time`, 'a number with its unit, like 5ms or 1.5s')
  }
  return complain(`"${text}" has no unit`, `write ${text}ms or ${text}s`)
}

function readCode(text: string): Clauses | Complaint {
  if (Object.hasOwn(codes, text)) return { because: text as Code }
  const better = nearest(text, Object.keys(codes))
  return complain(
    `"${text}" is not a reason that why gives`,
    better ? `did you mean "${better}"?` : `a code like NO_ROUTE, FILTER_DROP or NOT_LISTENING`,
  )
}

function readAddress(text: string): Clauses | Complaint {
  const is = canonicalAddress(text)
  return is === undefined ? complain(`"${text}" is not an address`, 'like 10.0.0.9 or fd00::9') : { is }
}

function readBytes(text: string): Clauses | Complaint {
  const atLeast = Number(text)
  const isMtu = /^\d+$/.test(text) && atLeast >= 68 && atLeast <= 65535
  return isMtu ? { atLeast } : complain(`"${text}" is not an MTU`, 'bytes of an IP packet, from 68 to 65535')
}

const END = '(?=\\s|$)'
const clauses: readonly Clause[] = [
  {
    form: new RegExp(`^status\\s+(\\d{3})${END}`),
    isFor: (kind) => kind === 'http',
    read: (value) => ({ status: Number(value) }),
  },
  {
    form: new RegExp(`^contains\\s+("(?:[^"\\\\]|\\\\.)*"|'[^']*'|\\S+)${END}`),
    isFor: (kind) => kind === 'http',
    read: (value) => ({ contains: unquote(value) }),
  },
  { form: new RegExp(`^is\\s+(\\S+)${END}`), isFor: (kind) => kind === 'dns', read: readAddress },
  { form: new RegExp(`^at\\s+least\\s+(\\S+)${END}`), isFor: (kind) => kind === 'mtu', read: readBytes },
  {
    form: new RegExp(`^within\\s+(\\S+)${END}`),
    isFor: (kind, fails) => kind !== 'mtu' && !fails,
    read: readDuration,
  },
  { form: new RegExp(`^because\\s+(\\S+)${END}`), isFor: (_, fails) => fails, read: readCode },
]

function unquote(value: string): string {
  if (value.startsWith('"')) return value.length > 1 ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value
  return value.startsWith("'") && value.length > 1 ? value.slice(1, -1) : value
}

/** Clauses in any order; `form` is what an expectation of this kind looks like. */
export function readClauses(kind: Kind, fails: boolean, text: string, form: string): Clauses | Misread {
  let found: Clauses = {}
  let at = text.length - text.trimStart().length
  const misread = ({ message, hint }: Complaint, offset: number): Misread => ({ message, hint, offset })
  if (kind === 'dns') {
    const [name = ''] = /^\S*/.exec(text.slice(at)) ?? []
    if (name === '') return misread(complain('it does not say which name to ask for', form), at)
    found = { name }
    at += name.length
  }
  for (;;) {
    at += text.slice(at).length - text.slice(at).trimStart().length
    const rest = text.slice(at)
    if (rest.trim() === '') break
    const clause = clauses.find((c) => c.form.test(rest))
    const [whole = '', value = ''] = clause?.form.exec(rest) ?? []
    if (clause?.isFor(kind, fails) !== true) return misread(misplaced(clause, rest.trim(), fails, form), at)
    const read = clause.read(value)
    if ('message' in read) return misread(read, at + whole.length - value.length)
    found = { ...found, ...read }
    at += whole.length
  }
  if (kind === 'mtu' && found.atLeast === undefined) {
    return misread(complain('it does not say how large the packets are', form), at)
  }
  return found
}

function misplaced(clause: Clause | undefined, rest: string, fails: boolean, form: string): Complaint {
  if (clause?.read === readCode)
    return complain('only what fails has a reason', `write fails before it, or leave out "${rest}"`)
  if (clause?.read === readDuration && fails) return complain('what fails takes no time', `leave out "${rest}"`)
  return complain(`"${rest}" is not understood`, form)
}
