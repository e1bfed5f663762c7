/** Packets as lines that a person reads. Pure. */
import { formatHostPort } from '../tcp.ts'
import type { Arp, Dns, Icmp, Ip, Layer, Tcp } from './layers.ts'

/** What there is to a packet beside its layers. */
export interface PacketHead {
  /** Unix time */
  readonly seconds: number
  readonly nanoseconds: number
  /** `netns1:veth1` */
  readonly where: string
  readonly isOutgoing: boolean
  /** bytes on the wire */
  readonly length: number
}

export interface TextOptions {
  /** MAC addresses, ttl, type of service, IP's id */
  readonly isVerbose: boolean
}

const direction = ({ isOutgoing }: PacketHead): 'in' | 'out' => (isOutgoing ? 'out' : 'in')

/** One line, without its end. `width` is how wide the places are that come before. */
export function formatPacket(head: PacketHead, layers: readonly Layer[], width: number, options: TextOptions): string {
  return `${clock(head)} ${head.where.padEnd(width)} ${direction(head).padEnd(3)} ${describe(layers, options)}`
}

/** Local time of day, microseconds. */
function clock({ seconds, nanoseconds }: PacketHead): string {
  const date = new Date(seconds * 1000)
  const [h, m, s] = [date.getHours(), date.getMinutes(), date.getSeconds()].map((n) => String(n).padStart(2, '0'))
  return `${h}:${m}:${s}.${String(Math.floor(nanoseconds / 1000)).padStart(6, '0')}`
}

/** The packet as data for one line of JSON. */
export function packetJson(head: PacketHead, layers: readonly Layer[]): object {
  const time = new Date(head.seconds * 1000).toISOString().replace('.000Z', '')
  return {
    time: `${time}.${String(head.nanoseconds).padStart(9, '0')}Z`,
    where: head.where,
    direction: direction(head),
    length: head.length,
    layers,
  }
}

/** The layers in words: what is inside counts, what is around it only where there is nothing else to say. */
export function describe(layers: readonly Layer[], options: TextOptions): string {
  const words: string[] = []
  for (const [i, layer] of layers.entries()) {
    const next = layers[i + 1]
    switch (layer.layer) {
      case 'ethernet':
        if (options.isVerbose || next?.layer === 'other' || next?.layer === 'broken') {
          words.push(`${layer.source} > ${layer.destination}`)
        }
        break
      case 'vlan':
        words.push(`VLAN ${layer.id}`)
        break
      case 'arp':
        words.push(describeArp(layer))
        break
      case 'ip':
        words.push(...describeIp(layer, next, options))
        break
      case 'tcp':
        words.push(describeTcp(layer))
        break
      case 'ports':
        words.push('TCP')
        break
      case 'udp':
        if (next === undefined) words.push(`UDP, ${bytes(layer.length)}`)
        break
      case 'icmp':
        words.push(describeIcmp(layer, options))
        break
      case 'dns':
        words.push(describeDns(layer))
        break
      case 'vxlan':
        words.push(`VXLAN ${layer.id}:`)
        break
      case 'other':
        words.push(`${layer.name}, ${bytes(layer.length)}`)
        break
      case 'broken':
        words.push(`${layer.name}, broken: ${bytes(layer.length)}`)
        break
      default:
        layer satisfies never
    }
  }
  return words.join(' ')
}

function bytes(count: number): string {
  return count === 1 ? '1 byte' : `${count} bytes`
}

function describeArp({ operation, sender, senderMac, target, targetMac }: Arp): string {
  if (operation === 2) return `ARP ${sender} is at ${senderMac}`
  if (operation !== 1) return `ARP operation ${operation} from ${senderMac} about ${targetMac}`
  if (sender === target) return `ARP ${sender} is at ${senderMac}, says itself`
  return sender === '0.0.0.0' ? `ARP who has ${target}? a probe` : `ARP who has ${target}? tell ${sender}`
}

const protocols: Readonly<Record<number, string>> = { 1: 'ICMP', 6: 'TCP', 17: 'UDP', 58: 'ICMPv6' }

function describeIp(ip: Ip, next: Layer | undefined, { isVerbose }: TextOptions): string[] {
  const hasPorts = next?.layer === 'tcp' || next?.layer === 'udp' || next?.layer === 'ports'
  const ends = hasPorts
    ? `${formatHostPort(ip.source, next.source)} > ${formatHostPort(ip.destination, next.destination)}`
    : `${ip.source} > ${ip.destination}`
  const details = [
    `ttl ${ip.ttl}`,
    ...(ip.tos > 0 ? [`tos 0x${ip.tos.toString(16)}`] : []),
    ...(ip.id === undefined ? [] : [`id ${ip.id}`]),
    ...(ip.dontFragment ? ["don't fragment"] : []),
  ]
  const { fragment } = ip
  const place = fragment && `fragment ${ip.id} at ${fragment.offset}${fragment.isLast ? ', the last' : ''}`
  return [
    ends,
    ...(isVerbose ? [`(${details.join(', ')})`] : []),
    ...(place === undefined
      ? []
      : [`${next ? '' : `${protocols[ip.protocol] ?? `protocol ${ip.protocol}`}, `}${place},`]),
    ...(place === undefined || next ? [] : [bytes(ip.length)]),
  ]
}

function describeTcp({ flags, seq, ack, window, length, mss }: Tcp): string {
  const isOpening = flags.includes('SYN')
  return [
    `TCP ${flags.join(' ') || 'no flags'}`,
    ...(isOpening || length > 0 || !flags.includes('ACK') ? [`seq ${seq}`] : []),
    ...(flags.includes('ACK') ? [`ack ${ack}`] : []),
    ...(isOpening ? [`window ${window}`] : []),
    ...(mss === undefined ? [] : [`mss ${mss}`]),
    ...(length > 0 ? [bytes(length)] : []),
  ].join(', ')
}

function describeIcmp(icmp: Icmp, options: TextOptions): string {
  const { family, type, words, target, mac, about } = icmp
  const name = family === 4 ? 'ICMP' : 'ICMPv6'
  if (icmp.id !== undefined) return `${name} ${words}, id ${icmp.id}, seq ${icmp.sequence}, ${bytes(icmp.length ?? 0)}`
  if (family === 6 && type === 135) return `${name} who has ${target ?? 'nothing'}?`
  if (family === 6 && type === 136)
    return `${name} ${target ?? 'nothing'} is${mac === undefined ? ' here' : ` at ${mac}`}`
  const rest = [
    ...(target === undefined ? [] : [` to ${target}`]),
    ...(mac === undefined ? [] : [`, from ${mac}`]),
    ...(about === undefined ? [] : [`, about ${describe(about, { ...options, isVerbose: false })}`]),
  ]
  return `${name} ${words}${rest.join('')}`
}

function describeDns({ id, isAnswer, status, questions, answers }: Dns): string {
  const asked = questions.map(({ name, type }) => `${type} ${name}`).join(', ')
  if (!isAnswer) return `DNS ${id} ${asked}?`
  const told = answers.map(({ name, type, data }) =>
    name === questions[0]?.name ? `${type} ${data}` : `${name} ${type} ${data}`,
  )
  const result = status === 'NOERROR' ? told.join(', ') || 'no such record' : status
  return `DNS ${id} ${asked}${asked && ': '}${result}`
}
