/** The values of filters: addresses, networks, ports, protocols, as their qualifiers want them. Pure. */
import { formatAddress, formatPrefix, networkOf, type Prefix, parseAddress } from '../../ip/index.ts'
import type { Direction, EtherProtocol, Filter } from './filter.ts'
import { etherTypes, ipProtocols, services, type Word } from './filter-words.ts'

/** The words in front of a value, and where they begin. */
export interface Qualifiers {
  readonly word?: Word
  readonly protocol?: string
  readonly direction?: Direction
  readonly type?: string
}

type Fail = (word: Word, message: string, hint: string, candidates?: readonly string[]) => never

const withPorts = new Set(['tcp', 'udp', 'sctp'])

/** A primitive from its value. Throws FilterError by `fail`. */
export function parseValue(word: Word, mask: Word | undefined, qualifiers: Qualifiers, fail: Fail): Filter {
  const { type } = qualifiers
  if (word.text === '') return fail(word, `${type ?? 'the filter'} wants a value`, hintFor(type))
  if (mask && type !== 'net') return fail(mask, 'only net has a mask', 'net 10.0.0.0 mask 255.0.0.0')
  switch (type) {
    case 'port':
    case 'portrange':
      return parsePorts(word, type, qualifiers, fail)
    case 'proto':
      return parseProtocol(word, qualifiers, fail)
    default:
      return parsePlace(word, mask, qualifiers, fail)
  }
}

function hintFor(type: string | undefined): string {
  switch (type) {
    case 'port':
      return 'port 80'
    case 'portrange':
      return 'portrange 8000-8080'
    case 'proto':
      return 'ip proto 47'
    case 'net':
      return 'net 10.0.0.0/8'
    default:
      return 'host 10.0.0.1'
  }
}

function parsePort(text: string): number | undefined {
  const number = /^\d+$/.test(text) ? Number(text) : services[text]
  return number === undefined || number > 65535 ? undefined : number
}

function parsePorts(word: Word, type: 'port' | 'portrange', qualifiers: Qualifiers, fail: Fail): Filter {
  const { protocol, direction = 'src or dst' } = qualifiers
  if (protocol !== undefined && !withPorts.has(protocol)) {
    return fail(qualifiers.word ?? word, `${protocol} has no ports`, 'tcp port 80, udp port 53, or port alone for both')
  }
  const whole = parsePort(word.text)
  const [from = '', to = ''] = type === 'portrange' && whole === undefined ? word.text.split('-', 2) : []
  const [first, last] = whole === undefined ? [parsePort(from), parsePort(to)] : [whole, whole]
  if (first === undefined || last === undefined) {
    const wants = type === 'port' ? 'a number up to 65535 or a service' : 'two numbers with a dash'
    return fail(word, `${type} wants ${wants}, not ${word.text}`, hintFor(type), Object.keys(services))
  }
  const number = protocol === undefined ? undefined : ipProtocols[protocol]
  return {
    kind: 'ports',
    direction,
    first: Math.min(first, last),
    last: Math.max(first, last),
    ...(number === undefined ? {} : { protocol: number }),
  }
}

function parseProtocol(word: Word, { protocol, direction, word: first }: Qualifiers, fail: Fail): Filter {
  const text = word.text.replace(/^\\/, '')
  if (direction !== undefined) return fail(first ?? word, 'a protocol has no direction', 'ip proto 47')
  if (protocol === 'ether') {
    const type = Object.hasOwn(etherTypes, text) ? etherTypes[text as EtherProtocol] : parseNumber(text)
    // smaller ones are lengths of 802.3 frames
    if (type === undefined || type < 0x600 || type > 0xffff) {
      return fail(word, `ether proto wants an EtherType, not ${word.text}`, 'ether proto 0x88cc, ether proto arp')
    }
    return { kind: 'ethertype', type }
  }
  if (protocol !== undefined && protocol !== 'ip' && protocol !== 'ip6') {
    return fail(first ?? word, `${protocol} has no proto`, 'ip proto, ip6 proto, ether proto, or proto alone')
  }
  const number = ipProtocols[text] ?? parseNumber(text)
  if (number === undefined || number > 255) {
    return fail(word, `proto wants a name or a number up to 255, not ${word.text}`, 'ip proto 47, proto gre', [
      ...Object.keys(ipProtocols),
    ])
  }
  return { kind: 'protocol', number, ...(protocol === undefined ? {} : { family: protocol === 'ip' ? 4 : 6 }) }
}

function parseNumber(text: string): number | undefined {
  return /^(\d+|0x[0-9a-f]+)$/i.test(text) ? Number(text) : undefined
}

const MAC = /^[0-9a-f]{1,2}([:-][0-9a-f]{1,2}){5}$/i

function parsePlace(word: Word, mask: Word | undefined, qualifiers: Qualifiers, fail: Fail): Filter {
  const { protocol, direction = 'src or dst', type } = qualifiers
  const { text } = word
  if (MAC.test(text)) {
    if (protocol !== 'ether' || type === 'net') {
      return fail(qualifiers.word ?? word, 'a MAC address goes with ether host', `ether host ${text}`)
    }
    const mac = Uint8Array.from(text.split(/[:-]/), (part) => Number.parseInt(part, 16))
    return { kind: 'mac', direction, mac }
  }
  if (protocol !== undefined && !Object.hasOwn(etherTypes, protocol)) {
    const hint = protocol === 'ether' ? 'ether host 02:00:00:00:00:01' : `${protocol} and ${type ?? 'host'} ${text}`
    return fail(qualifiers.word ?? word, `${protocol} ${type ?? 'host'} does not go with ${text}`, hint)
  }
  const place = parseNetwork(text, mask?.text, type === 'net')
  if (!place) {
    if (/^\d+$/.test(text)) return fail(word, `${text} alone is no address`, `port ${text}`)
    return fail(word, `${text} is not ${type === 'net' ? 'a network' : 'an address'}`, hintFor(type))
  }
  const bits = place.address.length * 8
  if (type === 'host' && place.length < bits) return fail(word, `${text} is a network, not a host`, `net ${text}`)
  const family = bits === 32 ? 4 : 6
  const prefix: Prefix = { address: formatAddress(place.address), length: place.length, family }
  const network = networkOf(prefix)
  if (network.address !== prefix.address) {
    return fail(word, `${text} has bits beyond its prefix`, `net ${formatPrefix(network)}`)
  }
  if (protocol !== undefined && (protocol === 'ip6') !== (family === 6)) {
    return fail(word, `${text} is an address of IPv${family}`, `${family === 6 ? 'ip6' : 'ip'} host ${text}`)
  }
  const within = protocol === undefined ? {} : { within: protocol as EtherProtocol }
  return { kind: 'address', direction, ...place, ...within }
}

/** `10.0.0.1`, `10.0.0.0/8`, `10.0` (a network of two bytes), `fd00::/8`; or undefined. */
function parseNetwork(
  text: string,
  mask: string | undefined,
  isNet: boolean,
): { readonly address: Uint8Array; readonly length: number } | undefined {
  const [base = '', digits] = text.split('/', 2)
  const parts = base.split('.')
  const isPartial = !base.includes(':') && parts.length < 4 && (isNet || parts.length > 1 || digits !== undefined)
  const address = parseAddress(isPartial ? [...parts, '0', '0', '0'].slice(0, 4).join('.') : base)
  if (!address) return undefined
  const bits = address.length * 8
  const plain = isPartial ? parts.length * 8 : bits
  const length = mask === undefined ? (digits === undefined ? plain : parseLength(digits)) : maskLength(mask)
  return length === undefined || length > bits ? undefined : { address, length }
}

function parseLength(digits: string): number | undefined {
  return /^\d{1,3}$/.test(digits) ? Number(digits) : undefined
}

/** 255.255.0.0 is 16; undefined for a mask with holes. */
function maskLength(text: string): number | undefined {
  const bits = [...(parseAddress(text) ?? [])].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return /^1*0*$/.test(bits) && bits.length === 32 ? bits.replaceAll('0', '').length : undefined
}
