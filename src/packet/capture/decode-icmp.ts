/** ICMP (RFC 792), ICMPv6 (RFC 4443), neighbour discovery (RFC 4861) as captured. Pure. */
import { type Family, formatAddress } from '../../ip/index.ts'
import { icmpErrorWords, icmpTypes } from '../icmp.ts'
import { broken, formatMac, type Icmp, type Layer, viewOf } from './layers.ts'

const HEADER = 8

const words4: Readonly<Record<number, string>> = {
  5: 'redirect',
  9: 'router advertisement',
  10: 'router solicitation',
  13: 'timestamp request',
  14: 'timestamp reply',
}

const words6: Readonly<Record<number, string>> = {
  130: 'multicast listener query',
  131: 'multicast listener report',
  132: 'multicast listener done',
  133: 'router solicitation',
  134: 'router advertisement',
  135: 'neighbour solicitation',
  136: 'neighbour advertisement',
  137: 'redirect',
  143: 'multicast listener report',
}

/** ICMPv6 messages with a target address behind the header, and options behind that. */
const withTarget = new Set([135, 136, 137])
/** link-layer address of the source and of the target */
const macOptions = new Set([1, 2])

/** `decodeQuoted` reads the packet that an error quotes, from its IP header on. */
export function decodeIcmp(family: Family, bytes: Uint8Array, decodeQuoted: (packet: Uint8Array) => Layer[]): Layer {
  if (bytes.length < HEADER) return broken(family === 4 ? 'ICMP' : 'ICMPv6', bytes)
  const view = viewOf(bytes)
  const [type, code] = [view.getUint8(0), view.getUint8(1)]
  const head = { layer: 'icmp', family, type, code } as const
  const { request, reply } = icmpTypes[family]
  if (type === request || type === reply) {
    const words = type === request ? 'echo request' : 'echo reply'
    return { ...head, words, id: view.getUint16(4), sequence: view.getUint16(6), length: bytes.length - HEADER }
  }
  const error = icmpErrorWords(family, type, code, view)
  if (error !== undefined) return { ...head, words: error, about: decodeQuoted(bytes.subarray(HEADER)) }
  const words = (family === 4 ? words4 : words6)[type] ?? `type ${type}, code ${code}`
  if (family === 4 && type === 5) {
    const target = formatAddress(bytes.subarray(4, 8))
    return { ...head, words, target, about: decodeQuoted(bytes.subarray(HEADER)) }
  }
  return { ...head, words, ...(family === 6 ? discovery(type, bytes) : {}) }
}

function discovery(type: number, bytes: Uint8Array): Pick<Icmp, 'target' | 'mac'> {
  const hasTarget = withTarget.has(type) && bytes.length >= 24
  // RFC 4861, 4.1 to 4.5: where the options begin
  const options = type === 133 ? 8 : type === 134 ? 16 : type === 137 ? 40 : 24
  const mac = hasTarget || type === 133 || type === 134 ? macOption(bytes.subarray(options)) : undefined
  return {
    ...(hasTarget ? { target: formatAddress(bytes.subarray(8, 24)) } : {}),
    ...(mac === undefined ? {} : { mac }),
  }
}

function macOption(options: Uint8Array): string | undefined {
  for (let at = 0; at + 8 <= options.length; ) {
    const [kind = 0, units = 0] = options.subarray(at)
    if (macOptions.has(kind)) return formatMac(options.subarray(at + 2, at + 8))
    if (units === 0) return undefined
    at += units * 8
  }
  return undefined
}
