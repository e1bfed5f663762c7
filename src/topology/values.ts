/**
 * What a single value may be. Each `explain…` function takes what the file says and answers undefined when it is good,
 * else what is wrong and what would be right. Pure; the schema hangs them on its keys.
 */
import { bitsOf, canonicalAddress, familyOf, formatPrefix, networkOf, type Prefix, parsePrefix } from '../ip/index.ts'
import { byteLength, interfaceNameFor, MAX_INTERFACE_NAME } from './names.ts'

export interface Complaint {
  readonly message: string
  readonly hint: string
}

export type Explain = (text: string) => Complaint | undefined

const complain = (message: string, hint: string): Complaint => ({ message, hint })

const ADDRESS_HINT = 'an address looks like 10.0.0.1 or fd00::1'

/** Why the text is not an address, as closely as it can be told. */
function addressFault(text: string): string {
  if (!text.includes(':')) {
    const parts = text.split('.')
    const big = parts.find((p) => /^\d+$/.test(p) && Number(p) > 255)
    if (big !== undefined) return `: ${big} is over 255`
    if (parts.every((p) => /^\d+$/.test(p))) {
      if (parts.length !== 4) return `: an IPv4 address has 4 numbers, not ${parts.length}`
      return ': a number in it starts with 0'
    }
  }
  return ''
}

export const explainAddress: Explain = (text) => {
  if (canonicalAddress(text) !== undefined) return undefined
  const prefix = text.includes('/') ? parsePrefix(text) : undefined
  if (prefix) return complain(`"${text}" is a prefix, an address is wanted`, `write ${prefix.address}`)
  return complain(`"${text}" is not an address${addressFault(text)}`, ADDRESS_HINT)
}

const PREFIX_HINT = 'a network looks like 10.0.0.0/24 or fd00::/64'

function explainPrefix(text: string, hint: string): Complaint | undefined {
  if (parsePrefix(text)) return undefined
  const slash = text.indexOf('/')
  const address = canonicalAddress(slash < 0 ? text : text.slice(0, slash))
  if (address === undefined) {
    return complain(
      `"${text}" is not an address with a length${addressFault(slash < 0 ? text : text.slice(0, slash))}`,
      hint,
    )
  }
  const bits = bitsOf(familyOf(address))
  return complain(`"${text}" has no valid length after the slash`, `a number from 0 to ${bits}`)
}

/** `10.0.0.101/24` of an interface, or `auto`. */
export const explainInterfaceAddress: Explain = (text) => {
  if (text === 'auto') return undefined
  const fault = explainPrefix(text, 'write for example 10.0.0.101/24, fd00::101/64, or auto')
  if (fault) return fault
  if (text.includes('/')) return undefined
  const whole = bitsOf(familyOf(text))
  return complain(
    `"${text}" does not say how long its network is`,
    `write ${text}/${whole === 32 ? 24 : 64}, or ${text}/${whole} for the address alone`,
  )
}

/** The address of a member in a network: `10.0.0.9`, `10.0.0.9/24` or `auto`. */
export const explainMemberAddress: Explain = (text) =>
  text === 'auto' ? undefined : explainPrefix(text, 'write for example 10.0.0.9, fd00::9, or auto')

/** A network with no host bits; a bare address is itself alone. */
export const explainNetwork: Explain = (text) => {
  const fault = explainPrefix(text, PREFIX_HINT)
  return fault ?? explainHostBits(text)
}

function explainHostBits(text: string): Complaint | undefined {
  const prefix = parsePrefix(text)
  if (!prefix) return undefined
  const network = networkOf(prefix)
  if (network.address === prefix.address) return undefined
  return complain(
    `"${text}" is an address inside a network, not a network`,
    `did you mean ${formatPrefix(network)} or ${prefix.address}/${bitsOf(prefix.family)}?`,
  )
}

export const explainDestination: Explain = (text) => (text === 'default' ? undefined : explainNetwork(text))

/** The prefix of a checked text; for text that the schema let through. */
export function readPrefix(text: string): Prefix {
  const prefix = parsePrefix(text)
  if (!prefix) throw new RangeError(`not a prefix: ${text}`)
  return prefix
}

export const explainMac: Explain = (text) => {
  const hint = 'six pairs of hexadecimal digits, like 06:96:1e:62:50:e7'
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) {
    const bare = text.replace(/[^0-9a-fA-F]/g, '').toLowerCase()
    const better =
      bare.length === 12 && /^[0-9a-fA-F:.-]+$/.test(text) ? `write '${bare.match(/../g)?.join(':')}'` : hint
    return complain(`"${text}" is not a MAC address`, better)
  }
  if (text === '00:00:00:00:00:00') return complain(`"${text}" is the empty MAC address`, hint)
  if (Number.parseInt(text.slice(0, 2), 16) & 1) {
    const first = (Number.parseInt(text.slice(0, 2), 16) & 0xfe).toString(16).padStart(2, '0')
    return complain(
      `"${text}" is a multicast MAC address, no interface can have it`,
      `an even first byte, like ${first}${text.slice(2)}`,
    )
  }
  return undefined
}

/** dev_valid_name() of the kernel, and the names that it takes but then trips on. */
export const explainInterfaceName: Explain = (text) => {
  if (text === '') return complain('an interface name is empty', 'for example eth0')
  if (text === '.' || text === '..') return complain(`"${text}" cannot name an interface`, 'for example eth0')
  if (text === 'all' || text === 'default') {
    return complain(
      `"${text}" cannot name an interface: the kernel keeps settings for all interfaces under it`,
      'for example eth0',
    )
  }
  const bad = /[/:%\s]|\p{Cc}/u.exec(text)
  if (bad) {
    const clean = text.replace(/[/:%\s]|\p{Cc}/gu, '-')
    return complain(
      `interface name "${text}" has a ${characterName(bad[0])} in it`,
      `for example ${interfaceNameFor(clean, () => false)}`,
    )
  }
  const bytes = byteLength(text)
  if (bytes > MAX_INTERFACE_NAME) {
    return complain(
      `interface name "${text}" has ${bytes} bytes, the kernel takes at most ${MAX_INTERFACE_NAME}`,
      `for example ${interfaceNameFor(text, () => false)}`,
    )
  }
  return undefined
}

function characterName(character: string): string {
  if (character === ' ') return 'blank'
  if (/\p{Cc}/u.test(character)) return 'control character'
  return `"${character}"`
}

/** A file name under /run/netns that also reads well before a colon and in an expectation. */
export const explainNamespaceName: Explain = (text) => {
  if (text === '') return complain('a namespace name is empty', 'for example netns1')
  if (text === '.' || text === '..') return complain(`"${text}" cannot name a namespace`, 'for example netns1')
  if (text.startsWith('-')) return complain(`namespace name "${text}" starts with "-"`, 'a letter or a digit first')
  const bad = /[/:"'[\]>→\s]|\p{Cc}/u.exec(text)
  if (bad) {
    return complain(
      `namespace name "${text}" has a ${characterName(bad[0])} in it`,
      'letters, digits, "-", "_" and "."',
    )
  }
  const bytes = byteLength(text)
  if (bytes > 64) return complain(`namespace name has ${bytes} bytes, at most 64 are allowed`, 'a shorter name')
  if (canonicalAddress(text) !== undefined)
    return complain(`namespace name "${text}" is an address`, 'a name, like netns1')
  return undefined
}

export const explainTopologyName: Explain = (text) => {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/.test(text)) return undefined
  return complain(
    `"${text}" cannot name a topology`,
    `a letter or digit, then at most 31 of A-Z a-z 0-9 _ . -; for example ${topologyNameFrom(text)}`,
  )
}

/** A topology's name made from any text, such as a file's name: `labs/03-bridge.yaml` gives `bridge`. */
export function topologyNameFrom(text: string): string {
  const base = text.slice(text.lastIndexOf('/') + 1).replace(/(.)\.[^.]*$/, '$1')
  const name = base
    .replace(/^\d+[-_](?=.)/, '')
    .replace(/[^A-Za-z0-9_.-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 32)
  return name === '' ? 'topology' : name
}

/** Dotted, below `net.`, and nothing that could lead out of /proc/sys/net. */
export const explainSysctlKey: Explain = (text) => {
  if (text.includes('/'))
    return complain(
      `sysctl "${text}" has a "/" in it`,
      `write ${text.replace(/^\/?(proc\/sys\/)?/, '').replaceAll('/', '.')}`,
    )
  if (!text.startsWith('net.')) {
    return complain(
      `sysctl "${text}" does not belong to a network namespace`,
      'only keys that start with net. can be set, like net.ipv4.ip_forward',
    )
  }
  if (!/^net(\.[A-Za-z0-9_@+-]+)+$/.test(text))
    return complain(`"${text}" is not a sysctl key`, 'like net.ipv4.ip_forward')
  return undefined
}

/** `main`, `local`, `default` as /etc/iproute2/rt_tables has them. */
export const TABLES: ReadonlyMap<string, number> = new Map([
  ['default', 253],
  ['main', 254],
  ['local', 255],
])

export const explainTable: Explain = (text) =>
  TABLES.has(text) ? undefined : complain(`"${text}" is not a routing table`, 'a number, or main, local or default')
