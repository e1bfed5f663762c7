/** The hooks of a namespace's firewall, on the way of a packet. */
import { tableName } from '../plan/marks.ts'
import { HOST } from '../plan/state.ts'
import type { Link } from '../rtnetlink/index.ts'
import { addHop, type Context, type Ended, stopped, unknown } from './context.ts'
import {
  type AddressType,
  type FilterWorld,
  type Firewall,
  type HookPoint,
  type HookResult,
  type RuleRef,
  readFirewall,
  ruleText,
  runHook,
} from './filter/index.ts'
import type { Packet, PacketDevice } from './packet.ts'
import type { Fault } from './segment.ts'
import type { Space } from './space.ts'

export type Hooked =
  | { readonly kind: 'pass'; readonly packet: Packet; readonly isRerouted: boolean; readonly isTranslated: boolean }
  | Ended

const firewalls = new WeakMap<Space, Firewall>()

export function firewallOf(space: Space): Firewall {
  const known = firewalls.get(space)
  if (known) return known
  const firewall = readFirewall(space)
  firewalls.set(space, firewall)
  return firewall
}

export function deviceOf(link: Link): PacketDevice {
  const { index, name, kind, group, mac } = link
  return { index, name, group, ...(kind === undefined ? {} : { kind }), ...(mac === undefined ? {} : { mac }) }
}

/** The rule or policy as people know it: `ip filter FORWARD handle 7`. */
export function formatRef(ref: RuleRef): string {
  const where = `${ref.engine === 'iptables' ? 'iptables-legacy ' : ''}${ref.family} ${ref.table} ${ref.chain}`
  if (ref.handle !== undefined) return `${where} handle ${ref.handle}`
  return ref.number === undefined ? `${where} policy` : `${where} rule ${ref.number}`
}

/** Runs a hook. `family` is that of the packet, or `bridge` for the hooks of a bridge itself. */
export function passHook(
  context: Context,
  space: Space,
  hook: HookPoint['hook'],
  packet: Packet,
  family: HookPoint['family'] = packet.family === 4 ? 'ip' : 'ip6',
): Hooked {
  const firewall = firewallOf(space)
  const device = family === 'netdev' ? { device: (hook === 'ingress' ? packet.in : packet.out)?.name ?? '' } : {}
  const result = runHook(firewall, { family, hook, ...device }, packet, worldOf(space, packet))
  if (result.verdict === 'unknown') return undecided(context, space, firewall, hook, result)
  const { by, translations, isRerouted } = result
  if (result.verdict !== 'accept') {
    const fault = faultOf(space, firewall, hook, family, packet, by, result.verdict === 'reject')
    addHop(context, space, 'filter', fault.object, fault.text, 'stop', fault.code)
    return stopped(fault, packet)
  }
  for (const { kind, address, port, rule } of translations) {
    const to = port === undefined ? address : `${address.includes(':') ? `[${address}]` : address}:${port}`
    const side = kind === 'dnat' || kind === 'redirect' ? 'destination' : 'source'
    const how = rule ? ruleText(firewall, rule) : 'connection tracking'
    addHop(
      context,
      space,
      rule ? 'nat' : 'tracking',
      rule ? formatRef(rule) : 'conntrack',
      `${hook}: ${side} becomes ${to} (${how})`,
    )
  }
  if (translations.length === 0 && by && by.handle !== undefined) {
    addHop(context, space, 'filter', formatRef(by), `${hook}: passes (${ruleText(firewall, by)})`)
  }
  return { kind: 'pass', packet: result.packet, isRerouted, isTranslated: translations.length > 0 }
}

function undecided(
  context: Context,
  space: Space,
  firewall: Firewall,
  hook: string,
  result: Extract<HookResult, { verdict: 'unknown' }>,
): Hooked {
  const { rule, what } = result.doubt
  const text = `${hook}: it depends on ${what} (${ruleText(firewall, rule)})`
  addHop(context, space, 'filter', formatRef(rule), text, 'unknown')
  return unknown(text)
}

function faultOf(
  space: Space,
  firewall: Firewall,
  hook: string,
  family: HookPoint['family'],
  packet: Packet,
  by: RuleRef | undefined,
  isReject: boolean,
): Fault {
  const text = by ? ruleText(firewall, by) : ''
  const object = by ? formatRef(by) : hook
  const isBridged = packet.physicalIn !== undefined || packet.physicalOut !== undefined
  const isForeign = by !== undefined && hook === 'forward' && isForwardPolicy(by) && !by.table.startsWith(tableName(''))
  const code = isBridged
    ? 'BRIDGE_NF_CALL'
    : isForeign
      ? 'FOREIGN_FORWARD_DROP'
      : isReject
        ? 'FILTER_REJECT'
        : 'FILTER_DROP'
  const verb = isReject ? 'rejects' : 'drops'
  return {
    code,
    space,
    object,
    text: isBridged
      ? `${hook}: ${object} ${verb} it (${text}): the bridge passes packets between its ports to the rules for ${family}`
      : `${hook}: ${object} ${verb} it (${text})`,
    ...remedyOf(space, firewall, packet, by, code),
  }
}

/** A policy, or a rule that takes what is left: what firewalls of whole machines do in FORWARD. */
function isForwardPolicy(by: RuleRef): boolean {
  return by.handle === undefined && by.number === undefined
    ? true
    : /^(DOCKER|CNI|NETAVARK|ufw|FWD|filter_FWD|FORWARD)/.test(by.chain) && by.table === 'filter'
}

function remedyOf(
  space: Space,
  firewall: Firewall,
  packet: Packet,
  by: RuleRef | undefined,
  code: Fault['code'],
): { remedy: string; file?: string } {
  const flag = packet.family === 6 ? 'ip6tables' : 'iptables'
  // `forward` of a topology opens others' chains of nf_tables, and on this machine's own host only
  const file = space.name === HOST && by?.engine === 'nftables' ? { file: 'forward: accept' } : {}
  if (code === 'BRIDGE_NF_CALL') {
    const key = `net.bridge.bridge-nf-call-${flag}`
    return { remedy: `sysctl -w ${key}=0`, ...file }
  }
  if (code === 'FOREIGN_FORWARD_DROP') {
    return { remedy: by ? acceptBoth(firewall, packet, by) : '', ...file }
  }
  if (!by) return { remedy: 'nft list ruleset' }
  if (by.engine === 'iptables') {
    const option = by.number === undefined ? `-P ${by.chain} ACCEPT` : `-D ${by.chain} ${by.number}`
    return { remedy: `${flag}-legacy -t ${by.table} ${option}` }
  }
  if (by.handle === undefined) {
    return { remedy: `nft add chain ${by.family} ${by.table} ${by.chain} '{ policy accept; }'` }
  }
  return { remedy: `nft delete rule ${by.family} ${by.table} ${by.chain} handle ${by.handle}` }
}

/** An accept for both directions, ahead in the chain that drops: one in another chain would not help. */
function acceptBoth(firewall: Firewall, { family, source, destination }: Packet, by: RuleRef): string {
  const ways = [
    [source, destination],
    [destination, source],
  ] as const
  const isIptables = by.engine === 'iptables' || (by.table === 'filter' && by.chain === by.chain.toUpperCase())
  if (!isIptables) {
    const ip = family === 4 ? 'ip' : 'ip6'
    const chain = `${by.family} ${by.table} ${by.chain}`
    return ways.map(([from, to]) => `nft insert rule ${chain} ${ip} saddr ${from} ${ip} daddr ${to} accept`).join('\n')
  }
  const program = `${family === 4 ? 'iptables' : 'ip6tables'}${by.engine === 'iptables' ? '-legacy' : ''}`
  // Docker leaves DOCKER-USER to its users, and runs it first
  const isDocker = firewall.image.tables.some((t) => t.name === 'filter' && t.chains.has('DOCKER-USER'))
  const chain = isDocker && by.engine === 'nftables' ? 'DOCKER-USER' : by.chain
  return ways.map(([from, to]) => `${program} -I ${chain} -s ${from} -d ${to} -j ACCEPT`).join('\n')
}

/** What rules ask of the namespace. */
function worldOf(space: Space, packet: Packet): FilterWorld {
  const type = (address: string, device?: PacketDevice): AddressType | undefined => {
    const answer = space.route({ to: address, ...(device ? { oif: device.index } : {}) })
    if ('errno' in answer)
      return answer.errno === 'ENETUNREACH' || answer.errno === 'EHOSTUNREACH' ? 'unreachable' : undefined
    const known = answer.route.type
    return known === 'unicast' ||
      known === 'local' ||
      known === 'broadcast' ||
      known === 'multicast' ||
      known === 'anycast'
      ? known
      : undefined
  }
  return {
    addressType: type,
    route: ({ destination, source, mark, device }) => {
      const answer = space.route({
        to: destination,
        ...(source === undefined ? {} : { from: source }),
        ...(mark === undefined || mark === 0 ? {} : { mark }),
        ...(device ? { oif: device.index } : {}),
      })
      if ('errno' in answer) return { type: 'unreachable' }
      const link = space.link(answer.route.index)
      const kind = type(destination)
      return { type: kind ?? 'unicast', ...(link ? { device: deviceOf(link) } : {}) }
    },
    sourceAddress: (device, destination) => {
      const answer = space.route({ to: destination, oif: device.index })
      const chosen = 'route' in answer ? answer.route.src : undefined
      if (chosen !== undefined) return chosen
      return firstAddress(space, device, packet.family)
    },
    deviceAddress: (device, family) => firstAddress(space, device, family),
    bridgeOf: (device) => {
      const master = space.link(space.link(device.index)?.master)
      return master?.kind === 'bridge' ? deviceOf(master) : null
    },
  }
}

function firstAddress(space: Space, device: PacketDevice, family: 4 | 6): string | null {
  const found = space
    .addresses()
    .find((a) => a.index === device.index && a.address.family === family && (family === 4 || a.scope !== 'link'))
  return found?.address.address ?? null
}
