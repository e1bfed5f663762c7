/** Small questions that the kernel asks of a packet on its way, and the faults that they find. */
import { formatPrefix } from '../ip/index.ts'
import type { Link, Route } from '../rtnetlink/index.ts'
import { addFault, type Context, type Outcome, stopped } from './context.ts'
import { dadFault } from './neighbours.ts'
import type { Packet } from './packet.ts'
import { formatRoute, localnetFault } from './routes.ts'
import { deviceName, type Fault } from './segment.ts'
import type { Space } from './space.ts'

/** No address to send from, or none that is ready. */
export function withoutSource(space: Space, device: Link | undefined, family: Packet['family']): Fault {
  const pending = space
    .addresses()
    .find(
      (a) =>
        a.address.family === family &&
        a.scope !== 'link' &&
        a.flags.some((f) => f === 'tentative' || f === 'dadfailed'),
    )
  const at = space.link(pending?.index)
  if (pending && at) return dadFault(space, at, pending)
  return {
    code: 'NO_ADDRESS',
    space,
    object: device ? deviceName(space, device) : space.name,
    text: `${space.name} has no IPv${family} address to send from`,
    remedy: `# ip address add ADDRESS/LENGTH dev ${device?.name ?? 'DEVICE'}`,
  }
}

export function wrongDevice(space: Space, fault: Fault, taken: Route, better: Route): Fault {
  return {
    code: 'ROUTE_WRONG_DEV',
    space,
    object: formatRoute(space, taken),
    text: `${fault.text}; without this route ${formatRoute(space, better)} would be taken`,
    remedy: `ip route del ${taken.to.address}/${taken.to.length} dev ${space.link(taken.index)?.name ?? ''}`,
    file: `routes: # without { to: ${taken.to.address}/${taken.to.length} }`,
  }
}

export function duplicateFault(space: Space, link: Link, address: string): Fault {
  return {
    code: 'ADDRESS_DUPLICATE',
    space,
    object: address,
    text: `${address} is an address of ${deviceName(space, link)}, too`,
    remedy: removal(space, link, address),
  }
}

export function bigger(space: Space, packet: Packet, mtu: number, at: string): Fault | undefined {
  if (packet.length <= mtu) return undefined
  const [, device = at] = at.split(':')
  return {
    code: 'MTU_TOO_SMALL',
    space,
    object: `${at} mtu ${mtu}`,
    text: `a packet of ${packet.length} bytes does not fit ${at}, whose MTU is ${mtu}`,
    remedy: `ip link set ${device} mtu ${packet.length}`,
    file: `${device}: { mtu: ${packet.length} }`,
  }
}

/** The command that takes an address away from the device that has it, which may be another than `link`. */
function removal(space: Space, link: Link, address: string): string {
  const own = space.addresses().find((a) => a.address.address === address)
  const prefix = own ? formatPrefix(own.address) : address
  return `ip address del ${prefix} dev ${space.link(own?.index)?.name ?? link.name}`
}

/** The receiver has the sender's own address: the kernel takes the packet for forged, or answers itself. */
export function twin(context: Context, space: Space, link: Link, packet: Packet): Outcome {
  const fault: Fault = {
    code: 'ADDRESS_DUPLICATE',
    space,
    object: packet.source,
    text: `${space.name} has the sender's address ${packet.source} itself, and drops what comes from it by ${link.name}`,
    remedy: removal(space, link, packet.source),
  }
  addFault(context, 'address', fault)
  return stopped(fault, packet)
}

export function loopbackFault(space: Space, link: Link, packet: Packet): Fault | undefined {
  const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1'
  if (!isLoopback(packet.destination) && !isLoopback(packet.source)) return undefined
  const key = `net.ipv4.conf.${link.name}.route_localnet`
  if (packet.family === 4 && (space.sysctl(key) === '1' || space.sysctl('net.ipv4.conf.all.route_localnet') === '1'))
    return undefined
  const what = isLoopback(packet.source) ? `from ${packet.source}` : `to ${packet.destination}`
  return localnetFault(space, link.name, what)
}

export function forwardingOff(space: Space, link: Link, packet: Packet): Fault | undefined {
  const key = packet.family === 4 ? `net.ipv4.conf.${link.name}.forwarding` : 'net.ipv6.conf.all.forwarding'
  if (space.sysctl(key) !== '0') return undefined
  const whole = packet.family === 4 ? 'net.ipv4.ip_forward' : key
  const said = space.sysctl(whole) === '0' ? whole : key
  return {
    code: 'FORWARDING_OFF',
    space,
    object: `${said} = 0`,
    text: `${space.name} does not forward what comes in by ${link.name}: ${said} = 0`,
    remedy: `sysctl -w ${said}=1`,
    file: `sysctls: { ${said}: 1 }`,
  }
}
