/** Remedies that take a look around: the gateway, the chain, the service that a command must name. */
import { familyOf, prefixContains } from '../ip/index.ts'
import type { Context } from './context.ts'
import { firewallOf } from './firewall.ts'
import type { Hop } from './hops.ts'
import type { Packet } from './packet.ts'
import { type Fault, isBridge, segmentOf } from './segment.ts'
import type { Space } from './space.ts'
import type { World } from './world.ts'

export function forwards(space: Space, family: Packet['family']): boolean {
  return space.sysctl(family === 4 ? 'net.ipv4.ip_forward' : 'net.ipv6.conf.all.forwarding') === '1'
}

type Mending = Pick<Fault, 'remedy' | 'mendedIn'>

interface Gateway {
  readonly via: string
  readonly dev: string
}

/** A router on a link of the namespace that knows another way to the destination than back. */
function gatewayFor(world: World, space: Space, destination: string): Gateway | undefined {
  const family = familyOf(destination)
  for (const own of space.addresses()) {
    const link = space.link(own.index)
    if (own.address.family !== family || own.scope === 'link' || !link || link.name === 'lo') continue
    // a bridge with many ports is most often the gateway of them all: ask it first
    const ends = [...segmentOf(world, space, link).ends].sort(
      (a, b) => Number(isBridge(b.link)) - Number(isBridge(a.link)),
    )
    for (const end of ends) {
      const address = end.space
        .addresses()
        .find((a) => a.index === end.link.index && a.scope !== 'link' && prefixContains(own.address, a.address.address))
      if (end.space === space || !address || !forwards(end.space, family)) continue
      const onwards = end.space.route({ to: destination })
      if (!('route' in onwards) || onwards.route.index === end.link.index) continue
      return { via: address.address.address, dev: link.name }
    }
  }
  return undefined
}

/** A missing route, with the gateway that it should name. */
export function withGateway(world: World, fault: Fault, { destination, family }: Packet): Fault {
  if (fault.code !== 'NO_ROUTE') return fault
  const gateway = gatewayFor(world, fault.space, destination)
  if (!gateway) return fault
  // a router's default route is for its owner to choose
  const to = forwards(fault.space, family) ? destination : 'default'
  return {
    ...fault,
    remedy: `ip ${family === 6 ? '-6 ' : ''}route add ${to} via ${gateway.via} dev ${gateway.dev}`,
    file: `routes: [ { to: ${to === 'default' ? to : hostPrefix(to)}, via: ${gateway.via} } ]`,
  }
}

export function hostPrefix(address: string): string {
  return `${address}/${familyOf(address) === 4 ? 32 : 128}`
}

/** Priorities of address translation (NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_SRC); their names do not fit every hook. */
const PRIORITY = { prerouting: -100, output: -100, postrouting: 100 } as const

/** The command that adds a rule for address translation: to a chain that is there, or to a new one. */
export function addNatRule(space: Space, family: Packet['family'], hook: keyof typeof PRIORITY, rule: string): string {
  const ip = family === 4 ? 'ip' : 'ip6'
  for (const table of firewallOf(space).image.tables) {
    if (table.isDormant || (table.family !== ip && table.family !== 'inet')) continue
    for (const { name, base } of table.chains.values()) {
      if (base?.type === 'nat' && base.hook === hook) {
        return `nft add rule ${table.family} ${table.name} ${name} ${rule}`
      }
    }
  }
  const chain = `${ip} nat ${hook}`
  const base = `{ type nat hook ${hook} priority ${PRIORITY[hook]}; }`
  return `nft 'add table ${ip} nat; add chain ${chain} ${base}; add rule ${chain} ${rule}'`
}

/** The last namespace of which `holds` is true for a hop on the way there. */
function lastSpace({ world, hops }: Context, holds: (hop: Hop) => boolean): Space | undefined {
  const hop = hops.findLast((h) => h.way === 'request' && holds(h))
  return hop && world.find(hop.where)
}

/** The rule that is missing where the packet leaves for `asked` under an address that nobody there knows. */
export function masqueradeRemedy(context: Context, answer: Packet): Mending {
  const ends = [context.hops[0]?.where, context.hops.findLast((h) => h.way === 'request')?.where]
  const router = lastSpace(context, (hop) => hop.kind === 'route' && !ends.includes(hop.where))
  const onwards = router?.route({ to: answer.source })
  const device = router && onwards && 'route' in onwards ? router.link(onwards.route.index)?.name : undefined
  const ip = answer.family === 4 ? 'ip' : 'ip6'
  const rule = `${ip} saddr ${answer.destination} oifname ${device} masquerade`
  if (!router || device === undefined) return { remedy: `# masquerade ${answer.destination} where its packets leave` }
  return { mendedIn: router, remedy: addNatRule(router, answer.family, 'postrouting', rule) }
}

/** The rule that is missing where the destination was translated, `answer` being what came past it. */
export function hairpinRemedy(context: Context, answer: Packet): Mending {
  const router = lastSpace(context, (hop) => hop.kind === 'nat')
  if (!router) return { remedy: `# masquerade what is translated to ${answer.source}` }
  const rule = `${answer.family === 4 ? 'ip' : 'ip6'} daddr ${answer.source} ct status dnat masquerade`
  return { mendedIn: router, remedy: addNatRule(router, answer.family, 'postrouting', rule) }
}

/** The rule that publishes `asked` in this hook as others have translated it. */
export function publishRemedy(space: Space, hook: 'prerouting' | 'output', asked: Packet, target: Packet): string {
  const ip = asked.family === 4 ? 'ip' : 'ip6'
  const host = asked.family === 4 ? target.destination : `[${target.destination}]`
  const match = `${ip} daddr ${asked.destination} ${asked.protocol} dport ${asked.destinationPort}`
  return addNatRule(space, asked.family, hook, `${match} dnat ${ip} to ${host}:${target.destinationPort}`)
}

/** The rule that translates to nobody, with the only service behind it that it can have meant. */
export function retargetRemedy(context: Context, lost: Packet): Mending {
  const rule = context.hops.findLast((h) => h.way === 'request' && h.kind === 'nat')
  const router = rule && context.world.find(rule.where)
  const where = /^(\S+ \S+ \S+ handle \d+)$/.exec(rule?.object ?? '')?.[1]
  const comment = { remedy: `# ${rule?.object ?? 'the rule'} must translate to the address of the service` }
  const service = router && where ? serviceBehind(context.world, router, lost) : undefined
  if (!router || service === undefined) return comment
  const { destination, destinationPort } = lost.tracking.original
  const ip = lost.family === 4 ? 'ip' : 'ip6'
  const host = lost.family === 4 ? service : `[${service}]`
  const match = `${ip} daddr ${destination} ${lost.protocol} dport ${destinationPort}`
  return {
    mendedIn: router,
    remedy: `nft replace rule ${where} ${match} dnat ${ip} to ${host}:${lost.destinationPort}`,
  }
}

/** The one address behind the device where `lost` would leave at which somebody listens on its port. */
function serviceBehind(world: World, router: Space, lost: Packet): string | undefined {
  const onwards = router.route({ to: lost.destination })
  const link = 'route' in onwards ? router.link(onwards.route.index) : undefined
  if (!link || lost.destinationPort === undefined) return undefined
  const found = segmentOf(world, router, link).ends.flatMap(({ space, link: at }) => {
    const listens = space.listening().some((s) => s.protocol === lost.protocol && s.port === lost.destinationPort)
    const own = space
      .addresses()
      .find((a) => a.index === at.index && a.address.family === lost.family && a.scope !== 'link')
    return listens && own ? [own.address.address] : []
  })
  return found.length === 1 ? found[0] : undefined
}
