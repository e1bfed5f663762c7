/**
 * The format of a topology file: the one declaration. The types, the checks, the JSON Schema for editors and the
 * reference in docs/file.md all come from here.
 */
import * as v from 'valibot'
import { explainEnd, explainListen, explainTarget } from './endpoints.ts'
import {
  type Explain,
  explainAddress,
  explainDestination,
  explainInterfaceAddress,
  explainInterfaceName,
  explainMac,
  explainMemberAddress,
  explainNamespaceName,
  explainNetwork,
  explainSysctlKey,
  explainTable,
  explainTopologyName,
} from './values.ts'

/** A text with a rule. `title` is what messages and the reference call it. The issue's message is "what\nhint". */
function text(title: string, explain: Explain, example: string) {
  return v.pipe(
    v.string(),
    v.check(
      (value) => explain(value) === undefined,
      (issue) => {
        const fault = explain(String(issue.input))
        return `${fault?.message}\n${fault?.hint}`
      },
    ),
    v.title(title),
    v.examples([example]),
  )
}

/** A whole number within bounds. */
function whole(title: string, min: number, max: number) {
  const fault = (issue: { readonly input: number }): string =>
    `${issue.input} is not a ${title}\na whole number from ${min} to ${max}`
  return v.pipe(v.number(), v.integer(fault), v.minValue(min, fault), v.maxValue(max, fault), v.title(title))
}

const listOrOne = <const S extends v.GenericSchema>(item: S) => v.union([item, v.array(item)])

/** A key with its meaning. The description stands on the outermost schema, where the generators look for it. */
const key = <const S extends v.GenericSchema>(schema: S, meaning: string) =>
  v.optional(v.pipe(schema, v.description(meaning)))
const required = <const S extends v.GenericSchema>(schema: S, meaning: string) => v.pipe(schema, v.description(meaning))
const keyOr = <const S extends v.GenericSchema, const D extends v.InferInput<S>>(
  schema: S,
  meaning: string,
  value: D,
) => v.optional(v.pipe(schema, v.description(meaning)), value as never)

const address = text('address', explainAddress, '10.0.0.1')
const network = text('network', explainNetwork, '10.0.0.0/24')
const interfaceAddress = text('address/length or auto', explainInterfaceAddress, '10.0.0.101/24')
const memberAddress = text('address or auto', explainMemberAddress, '10.0.0.9')
const mac = text('MAC address', explainMac, '06:96:1e:62:50:e7')
const device = text('interface name', explainInterfaceName, 'eth0')
const namespaceName = text('namespace name', explainNamespaceName, 'netns1')
const networkName = text('network name', explainInterfaceName, 'lan')
const table = v.union([whole('table number', 1, 0xffffffff), text('table', explainTable, 'main')])
const mtu = whole('MTU', 68, 65535)

const vxlan = v.strictObject({
  id: required(whole('VXLAN network identifier', 0, 0xffffff), 'the VXLAN network identifier'),
  remote: key(address, 'the other side, or a multicast group'),
  local: key(address, 'the source address of the tunnel'),
  dev: key(device, 'the underlying interface, in the same namespace'),
  port: keyOr(whole('port', 1, 65535), 'the UDP port', 4789),
})

const macvlan = v.strictObject({
  parent: required(device, 'the interface it shares, in the same namespace'),
  mode: keyOr(v.picklist(['private', 'vepa', 'bridge', 'passthru']), 'who of one parent may talk to whom', 'bridge'),
})

const interfaceBody = v.nullable(
  v.strictObject({
    bridge: key(device, 'the bridge that this interface is a port of, in the same namespace'),
    addresses: key(
      listOrOne(interfaceAddress),
      'its addresses; `auto` takes the next free one of the network it is on',
    ),
    mac: key(mac, 'its link-layer address; the kernel chooses when left out'),
    mtu: key(mtu, 'the largest packet in bytes'),
    up: keyOr(v.boolean(), 'whether it is switched on', true),
    vxlan: key(vxlan, 'makes it a VXLAN tunnel'),
    macvlan: key(macvlan, 'makes it a macvlan of another interface'),
  }),
)

const nexthop = v.strictObject({
  via: key(address, 'the gateway'),
  dev: key(device, 'the interface; found from `via` when left out'),
  weight: keyOr(whole('weight', 1, 256), 'its share of the traffic', 1),
})

const route = v.strictObject({
  to: required(
    text('network or default', explainDestination, 'default'),
    'where to: a network, an address, or `default`',
  ),
  via: key(address, 'the gateway'),
  dev: key(device, 'the interface; found from `via` when left out'),
  src: key(address, 'the source address that packets from here get'),
  scope: key(v.picklist(['global', 'link', 'host']), 'how far the destination is'),
  metric: key(whole('metric', 0, 0xffffffff), 'the lower one wins'),
  table: keyOr(table, 'the routing table', 'main'),
  onlink: keyOr(v.boolean(), 'believe that the gateway is on `dev`, though no address says so', false),
  mtu: key(mtu, 'the largest packet on this route in bytes'),
  type: keyOr(
    v.picklist(['unicast', 'blackhole', 'unreachable', 'prohibit']),
    'all but unicast drop the packet: silently, with "host unreachable", or with "forbidden"',
    'unicast',
  ),
  nexthops: key(v.array(nexthop), 'several gateways that share the traffic, instead of `via` and `dev`'),
})

const rule = v.strictObject({
  from: key(network, 'packets from this network'),
  to: key(network, 'packets to this network'),
  iif: key(device, 'packets that came in here; `lo` for those made here'),
  oif: key(device, 'packets of sockets that are bound to this interface'),
  mark: key(whole('mark', 0, 0xffffffff), 'packets with this firewall mark'),
  table: keyOr(table, 'the routing table to ask', 'main'),
  priority: key(
    whole('priority', 1, 0xffffffff),
    'the lower one is asked first; the next free one below 32766 when left out',
  ),
})

const neighbour = v.strictObject({
  ip: required(address, 'the address of the neighbour'),
  mac: key(mac, 'its link-layer address; left out for a proxy entry'),
  dev: key(device, 'the interface; found from `ip` when left out'),
  proxy: keyOr(v.boolean(), 'answer for this address on `dev`', false),
})

const inside = {
  interfaces: key(v.record(device, interfaceBody), 'the interfaces by name'),
  routes: key(v.array(route), 'the routes'),
  rules: key(v.array(rule), 'the rules that choose a routing table'),
  neighbours: key(v.array(neighbour), 'permanent and proxy neighbours (ARP, NDP)'),
  sysctls: key(
    v.record(
      text('sysctl key', explainSysctlKey, 'net.ipv4.ip_forward'),
      v.union([v.string(), v.number(), v.boolean()]),
    ),
    'kernel settings of this namespace; forwarding is turned on by itself where it is needed',
  ),
  run: key(
    v.array(v.union([v.string(), v.array(v.string())])),
    'programs kept running inside while the topology is up, started again when they end, so they must stay in the foreground; split into words as a shell does, or given as lists of words',
  ),
}

const memberships = v.union([v.array(networkName), v.record(networkName, v.nullable(listOrOne(memberAddress)))])

const namespaceBody = v.nullable(
  v.strictObject({
    networks: key(
      memberships,
      'the networks it is a member of, `[lan]`, or with addresses, `{ lan: 10.0.0.9 }`; the default route goes through the first',
    ),
    ...inside,
  }),
)

const bridgeBody = v.nullable(
  v.strictObject({
    addresses: key(listOrOne(interfaceAddress), 'the addresses of the bridge itself'),
    in: keyOr(namespaceName, 'the namespace that it lives in', 'host'),
    mac: key(mac, 'its link-layer address; the kernel chooses when left out'),
    mtu: key(mtu, 'the largest packet in bytes'),
  }),
)

const end = text('namespace:interface', explainEnd, 'netns1:veth1')
const ends = v.tuple([end, end])
const link = v.union([
  ends,
  v.strictObject({
    ends: required(ends, 'the two ends'),
    mtu: key(mtu, 'the largest packet of both ends in bytes'),
  }),
])

const networkBody = v.nullable(
  v.strictObject({
    subnet: key(listOrOne(network), 'its network, or one of each family; the next free 10.77.N.0/24 when left out'),
    gateway: key(
      v.union([v.literal(false), listOrOne(address)]),
      'the address of its bridge and the default route of its members; the first address of each subnet when left out, `false` for none',
    ),
    masquerade: keyOr(v.boolean(), 'members reach other networks under the address of the gateway', false),
    mtu: key(mtu, 'the largest packet in bytes'),
    in: keyOr(namespaceName, 'the namespace that its bridge lives in', 'host'),
  }),
)

const masquerade = v.strictObject({
  from: required(network, 'packets from this network …'),
  out: key(
    text('interface name or default', (t) => (t === 'default' ? undefined : explainInterfaceName(t)), 'default'),
    '… that leave here: a device, or `default` for that of the default route; any other network when left out',
  ),
  in: keyOr(namespaceName, 'the namespace that does it', 'host'),
})

const publish = v.strictObject({
  listen: required(
    text('address:port/protocol', explainListen, '192.168.56.12:80/tcp'),
    'the address and port that are published; `:80` for every local address; tcp when no protocol is given',
  ),
  to: required(text('namespace:port or address:port', explainTarget, 'netns1:8080'), 'where the service is'),
  in: keyOr(namespaceName, 'the namespace that the port is published in', 'host'),
})

export const topologySchema = v.strictObject({
  name: key(
    text('name', explainTopologyName, 'bridge'),
    'the name of the topology; the name of the file when left out, without its number and ending',
  ),
  isolated: keyOr(v.boolean(), '`host` is a fresh namespace too: nothing on this machine changes', false),
  host: key(v.nullable(v.strictObject(inside)), 'the namespace that hardway runs in'),
  namespaces: key(v.record(namespaceName, namespaceBody), 'the namespaces by name'),
  bridges: key(v.record(device, bridgeBody), 'the bridges by name'),
  links: key(v.array(link), 'veth pairs, each by its two ends'),
  networks: key(
    v.record(networkName, networkBody),
    'the short form: a bridge, its links, addresses and default routes in one',
  ),
  masquerade: key(v.array(masquerade), 'whose packets leave under the address of the interface they leave by'),
  forward: key(
    v.union([v.literal('accept'), v.array(network)]),
    "hold FORWARD open in the machine's own tables: `accept` for this topology's own subnets, or a list of networks",
  ),
  publish: key(v.array(publish), 'ports of this namespace that lead to a service in another'),
  expect: key(
    v.array(v.string()),
    'what must be true when it is up: `ping A -> B`, `tcp A -> B:PORT`, `udp A -> B:PORT` (anything answers), `http A -> B:PORT[/path] [status N] [contains "text"]`, `dns A -> B[:PORT] NAME [is ADDRESS]` (asks the server B), `mtu A -> B at least BYTES`; each with `within 5ms` behind it, or `fails` before it and then `because CODE` behind it',
  ),
})

/** A topology as a person writes it, for TypeScript. */
export type TopologyInput = v.InferInput<typeof topologySchema>
/** The same with the defaults filled in. */
export type Topology = v.InferOutput<typeof topologySchema>
export type NamespaceBody = NonNullable<NonNullable<Topology['namespaces']>[string]>
export type InterfaceBody = NonNullable<NonNullable<NamespaceBody['interfaces']>[string]>
export type RouteBody = NonNullable<NamespaceBody['routes']>[number]
