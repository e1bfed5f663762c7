/** The end of the way: whether a program, or the kernel itself, takes the packet and answers. */
import { familyOf } from '../ip/index.ts'
import type { ListeningSocket } from '../packet/index.ts'
import { addFault, addHop, type Context } from './context.ts'
import type { Packet } from './packet.ts'
import type { Fault } from './segment.ts'
import type { Space } from './space.ts'

/** Undefined when somebody takes it. */
export function takenBy(
  context: Context,
  space: Space,
  packet: Packet,
): Fault | { readonly unknown: string } | undefined {
  if (packet.protocol === 'icmp' || packet.protocol === 'icmpv6') return echo(context, space, packet)
  if (packet.protocol === 'sctp') return { unknown: 'sctp sockets are not looked at' }
  const port = packet.destinationPort ?? 0
  const all = space.listening().filter((s) => s.protocol === packet.protocol && s.port === port)
  const found = all.find((socket) => takes(socket, packet))
  const where = `${packet.protocol} port ${port}`
  if (found) {
    const host = found.address.includes(':') ? `[${found.address}]` : found.address
    addHop(context, space, 'socket', `${packet.protocol} ${host}:${port}`, `a program listens on ${host}:${port}`)
    return undefined
  }
  const fault = all.length > 0 ? listensElsewhere(space, packet, all) : notListening(space, where, port, packet)
  addFault(context, 'socket', fault)
  return fault
}

function takes({ address, interface: index, family, isIpv6Only }: ListeningSocket, packet: Packet): boolean {
  if (index !== 0 && index !== packet.in?.index) return false
  if (address === '::') return packet.family === 6 || !isIpv6Only
  if (family !== packet.family) return false
  return address === '0.0.0.0' || address === packet.destination
}

function echo(context: Context, space: Space, packet: Packet): Fault | undefined {
  const key = packet.family === 4 ? 'net.ipv4.icmp_echo_ignore_all' : 'net.ipv6.icmp.echo_ignore_all'
  if (space.sysctl(key) === '1') {
    const fault: Fault = {
      code: 'FILTER_DROP',
      space,
      object: `${key} = 1`,
      text: `${space.name} answers no echoes: ${key} = 1`,
      remedy: `sysctl -w ${key}=0`,
      file: `sysctls: { ${key}: 0 }`,
    }
    addFault(context, 'sysctl', fault)
    return fault
  }
  addHop(context, space, 'socket', 'icmp', `the kernel of ${space.name} answers`)
  return undefined
}

function listensElsewhere(space: Space, packet: Packet, sockets: readonly ListeningSocket[]): Fault {
  const addresses = sockets.map(({ address }) => address)
  const loopback = addresses.find((a) => a.startsWith('127.') || a === '::1')
  const any = familyOf(packet.destination) === 6 ? '[::]' : '0.0.0.0'
  return {
    code: 'LISTENS_ON_LOOPBACK',
    space,
    object: `${packet.protocol} ${addresses.join(', ')}:${packet.destinationPort}`,
    text: `the service listens on ${addresses.join(' and ')} only, not on ${packet.destination}`,
    remedy: `# let the program listen on ${any}:${packet.destinationPort}${loopback ? ', not on loopback alone' : ''}`,
    file: `run: [ … ] # listening on ${any}:${packet.destinationPort}`,
  }
}

function notListening(space: Space, where: string, port: number, packet: Packet): Fault {
  return {
    code: 'NOT_LISTENING',
    space,
    object: `${packet.protocol} ${packet.destination}:${port}`,
    text: `nothing listens on ${where} in ${space.name}`,
    remedy: `# start a service on ${where} in ${space.name}`,
    file: 'run: [ … ]',
  }
}
