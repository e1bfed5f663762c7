/** A listed link in the words of `ip -details -json link`, to be compared with what it prints. */
import { readFileSync } from 'node:fs'
import type { Link } from './link.ts'

type Data = Readonly<Record<string, unknown>>
/** Ours → name in ip's output, and how its value is written there. */
type Words = Readonly<Record<string, readonly [name: string, write?: (value: never, names: Names) => unknown]>>
type Names = ReadonlyMap<number, string>

const isOn = (value: number): boolean => value !== 0
const hex = (value: number): string => `0x${value.toString(16)}`
/** printf's %#x: no prefix for zero */
const hexOrZero = (value: number): string => (value === 0 ? '0' : hex(value))
const seconds = (hundredths: bigint): number => Number(hundredths) / 100
const nameOf = (index: number, names: Names): string | undefined => names.get(index)
const flagIsSet = (): boolean => true
/** ip writes the bytes of a bridge's id without leading zeros */
const idOfBridge = (id: string): string => id.replaceAll(/(?<=[.:])0(?=.)/g, '')
const upper = (value: string): string => value.toUpperCase()
const vlanProtocol = (value: number): string => (value === 0x88a8 ? '802.1ad' : '802.1Q')

/** The name of a user or group of this machine. */
const entry =
  (file: string) =>
  (id: number): string =>
    new RegExp(`^([^:]+):[^:]*:${id}:`, 'm').exec(readFileSync(file, 'utf8'))?.[1] ?? String(id)

const common: Words = {
  index: ['ifindex'],
  name: ['ifname'],
  mac: ['address'],
  broadcast: ['broadcast'],
  type: ['link_type', (type: number) => ({ 1: 'ether', 772: 'loopback' })[type]],
  mtu: ['mtu'],
  operstate: ['operstate', upper],
  linkmode: ['linkmode', upper],
  master: ['master', nameOf],
  link: ['link', nameOf],
  group: ['group', (group: number) => (group === 0 ? 'default' : String(group))],
  alias: ['ifalias'],
  txqlen: ['txqlen'],
  qdisc: ['qdisc'],
  promiscuity: ['promiscuity'],
  allmulti: ['allmulti'],
  minMtu: ['min_mtu'],
  maxMtu: ['max_mtu'],
  addrGenMode: ['inet6_addr_gen_mode'],
  numTxQueues: ['num_tx_queues'],
  numRxQueues: ['num_rx_queues'],
  gsoMaxSize: ['gso_max_size'],
  gsoMaxSegs: ['gso_max_segs'],
  tsoMaxSize: ['tso_max_size'],
  tsoMaxSegs: ['tso_max_segs'],
  groMaxSize: ['gro_max_size'],
}

const bridge: Words = {
  rootId: ['root_id', idOfBridge],
  bridgeId: ['bridge_id', idOfBridge],
  vlanProtocol: ['vlan_protocol', vlanProtocol],
  groupFwdMask: ['group_fwd_mask', hexOrZero],
  groupAddress: ['group_addr'],
  helloTimer: ['hello_timer', seconds],
  tcnTimer: ['tcn_timer', seconds],
  topologyChangeTimer: ['topology_change_timer', seconds],
  gcTimer: ['gc_timer', seconds],
  multicastLastMemberInterval: ['mcast_last_member_intvl', Number],
  multicastMembershipInterval: ['mcast_membership_intvl', Number],
  multicastQuerierInterval: ['mcast_querier_intvl', Number],
  multicastQueryInterval: ['mcast_query_intvl', Number],
  multicastQueryResponseInterval: ['mcast_query_response_intvl', Number],
  multicastStartupQueryInterval: ['mcast_startup_query_intvl', Number],
  multicastLastMemberCount: ['mcast_last_member_cnt'],
  multicastStartupQueryCount: ['mcast_startup_query_cnt'],
  fdbLearned: ['fdb_n_learned'],
  noLinkLocalLearn: ['no_linklocal_learn', Number],
  multicastVlanSnooping: ['mcast_vlan_snooping', Number],
  mst: ['mst_enabled', Number],
}

const bridgePort: Words = {
  rootId: ['root_id', idOfBridge],
  bridgeId: ['bridge_id', idOfBridge],
  hairpin: ['hairpin', isOn],
  guard: ['guard', isOn],
  rootBlock: ['root_block', isOn],
  fastLeave: ['fastleave', isOn],
  learning: ['learning', isOn],
  flood: ['flood', isOn],
  proxyArp: ['proxy_arp', isOn],
  proxyArpWifi: ['proxy_arp_wifi', isOn],
  id: ['id', hex],
  number: ['no', hex],
  holdTimer: ['hold_timer', seconds],
  messageAgeTimer: ['message_age_timer', seconds],
  forwardDelayTimer: ['forward_delay_timer', seconds],
  multicastRouter: ['multicast_router'],
  multicastFlood: ['mcast_flood', isOn],
  multicastToUnicast: ['mcast_to_unicast', isOn],
  broadcastFlood: ['bcast_flood', isOn],
  neighbourSuppress: ['neigh_suppress', isOn],
  neighbourVlanSuppress: ['neigh_vlan_suppress', isOn],
  groupFwdMask: ['group_fwd_mask', hexOrZero],
  vlanTunnel: ['vlan_tunnel', isOn],
  isolated: ['isolated', isOn],
  locked: ['locked', isOn],
  macAuthBypass: ['mab', isOn],
  backupPort: ['backup_port', nameOf],
  multicastGroups: ['mcast_n_groups'],
}

const vxlan: Words = {
  link: ['link', nameOf],
  learning: ['learning', isOn],
  proxy: ['proxy', isOn],
  rsc: ['rsc', isOn],
  l2miss: ['l2miss', isOn],
  l3miss: ['l3miss', isOn],
  tos: ['tos', hex],
  label: ['label', hex],
  udpChecksum: ['udp_csum', isOn],
  udpZeroChecksum6Tx: ['udp_zero_csum6_tx', isOn],
  udpZeroChecksum6Rx: ['udp_zero_csum6_rx', isOn],
  gbp: ['gbp', flagIsSet],
  gpe: ['gpe', flagIsSet],
}

const macvlan: Words = {
  broadcastQueueLength: ['bcqueuelen'],
  broadcastQueueLengthUsed: ['usedbcqueuelen'],
}

const tun: Words = {
  owner: ['user', entry('/etc/passwd')],
  group: ['group', entry('/etc/group')],
  pi: ['pi', isOn],
  vnetHdr: ['vnet_hdr', isOn],
  persist: ['persist', isOn],
  multiQueue: ['multi_queue', isOn],
  numQueues: ['numqueues'],
  numDisabledQueues: ['numdisabled'],
}

const kinds: Readonly<Record<string, Words>> = { bridge, vxlan, macvlan, tun }

/** Most names differ by their case, and by `mcast` for multicast. */
function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).replace('multicast_', 'mcast_')
}

function translate(data: Data, words: Words, names: Names): Record<string, unknown> {
  const write = ([ours, value]: readonly [string, unknown]): [string, unknown] => {
    const [name = snakeCase(ours), convert] = words[ours] ?? []
    return [name, convert ? convert(value as never, names) : value]
  }
  return Object.fromEntries(Object.entries(data).map(write))
}

/** ip tells one address from a group of many by its name. */
function vxlanRemote(data: Data): Data {
  const isGroup = (address: unknown): boolean => /^(22[4-9]|23\d)\.|^ff/.test(String(address))
  const renamed = Object.entries(data).map(([name, value]) =>
    name.startsWith('group') && !isGroup(value) ? [name.replace('group', 'remote'), value] : [name, value],
  )
  return Object.fromEntries(renamed)
}

/** The link as ip shows it, with more than it shows: what it leaves out at a default stays in. */
export function inWordsOfIp({ info, slave, flags, ...rest }: Link, links: readonly Link[]): Record<string, unknown> {
  const names = new Map(links.map((link) => [link.index, link.name]))
  const infoData: Data = info && 'data' in info && info.data ? { ...info.data } : {}
  const { options, ...data } = info?.kind === 'vxlan' ? { ...vxlanRemote(infoData), options: {} } : infoData
  const port: Data = slave && 'data' in slave && slave.data ? { ...slave.data } : {}
  return {
    ...translate({ ...rest }, common, names),
    flags,
    linkinfo: {
      info_kind: info?.kind,
      info_data: translate({ ...data, ...(options as Data | undefined) }, kinds[info?.kind ?? ''] ?? {}, names),
      info_slave_kind: slave?.kind,
      info_slave_data: {
        ...translate(port, bridgePort, names),
        group_fwd_mask_str: hex(Number(port.groupFwdMask ?? 0)),
      },
    },
  }
}
