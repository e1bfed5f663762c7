/** What each kind of link has of its own: IFLA_INFO_DATA and IFLA_INFO_SLAVE_DATA; linux/if_link.h. */
import {
  attrs,
  be16,
  bytes,
  type Codec,
  decodeBody,
  ip,
  list,
  mac,
  named,
  type StructValue,
  s32,
  shape,
  str,
  struct,
  tagged,
  u8,
  u16,
  u32,
} from '../netlink/index.ts'

const ifinfomsgFields = { family: 'u8', _pad: 'u8', type: 'u16', index: 's32', flags: 'u32', change: 'u32' } as const
export const ifinfomsg = struct(ifinfomsgFields)

const bridge = attrs({
  forwardDelay: [1, u32],
  helloTime: [2, u32],
  maxAge: [3, u32],
  ageingTime: [4, u32],
  stpState: [5, u32],
  priority: [6, u16],
  vlanFiltering: [7, u8],
  vlanProtocol: [8, be16],
  groupFwdMask: [9, u16],
  rootId: [10, bytes],
  bridgeId: [11, bytes],
  rootPort: [12, u16],
  rootPathCost: [13, u32],
  topologyChange: [14, u8],
  topologyChangeDetected: [15, u8],
  groupAddress: [20, mac],
  multicastRouter: [22, u8],
  multicastSnooping: [23, u8],
  multicastQueryUseIfaddr: [24, u8],
  multicastQuerier: [25, u8],
  multicastHashElasticity: [26, u32],
  multicastHashMax: [27, u32],
  nfCallIptables: [36, u8],
  nfCallIp6tables: [37, u8],
  nfCallArptables: [38, u8],
  vlanDefaultPvid: [39, u16],
  vlanStatsEnabled: [41, u8],
  multicastStatsEnabled: [42, u8],
  multicastIgmpVersion: [43, u8],
  multicastMldVersion: [44, u8],
})

const vxlan = attrs({
  id: [1, u32],
  group: [2, ip],
  link: [3, u32],
  local: [4, ip],
  ttl: [5, u8],
  tos: [6, u8],
  learning: [7, u8],
  ageing: [8, u32],
  limit: [9, u32],
  portRange: [10, bytes],
  proxy: [11, u8],
  rsc: [12, u8],
  l2miss: [13, u8],
  l3miss: [14, u8],
  port: [15, be16],
  group6: [16, ip],
  local6: [17, ip],
  udpChecksum: [18, u8],
  udpZeroChecksum6Tx: [19, u8],
  udpZeroChecksum6Rx: [20, u8],
  collectMetadata: [25, u8],
  label: [26, u32],
  ttlInherit: [28, u8],
  df: [29, u8],
})

export const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8, source: 16 } as const
const macvlan = attrs({
  mode: [1, named(u32, macvlanModes)],
  flags: [2, u16],
  macaddrMode: [3, u32],
  macaddr: [4, mac],
  macaddrData: [5, list(mac, 4)],
  macaddrCount: [6, u32],
  broadcastQueueLength: [7, u32],
  broadcastQueueLengthUsed: [8, u32],
  broadcastCutoff: [9, s32],
})

const tun = attrs({
  owner: [1, u32],
  group: [2, u32],
  type: [3, named(u8, { tun: 1, tap: 2 })],
  pi: [4, u8],
  vnetHdr: [5, u8],
  persist: [6, u8],
  multiQueue: [7, u8],
  numQueues: [8, u32],
  numDisabledQueues: [9, u32],
})

/** The peer of a veth is a link message of its own inside the attribute. */
const peerAttrs = attrs({ mac: [1, mac], ifname: [3, str], mtu: [4, u32], group: [27, u32], netnsFd: [28, u32] })
const peerShape = shape(ifinfomsg, peerAttrs)
type Peer = Partial<StructValue<typeof ifinfomsgFields>>
const peerCodec: Codec<{ header: Peer; attrs: Parameters<typeof peerAttrs.encode>[0] }> = {
  encode: (value, to) => {
    peerShape.header.encode(value.header, to)
    peerShape.table.encode(value.attrs, to)
  },
  decode: (from) => decodeBody(peerShape, from),
}
const veth = attrs({ peer: [1, peerCodec] })

export const linkInfo = tagged(
  { bridge, veth, vxlan, macvlan, tun, ifb: attrs({}), dummy: attrs({}), macvtap: macvlan },
  { kind: 1, data: 2 },
)

/** Options of a bridge port, IFLA_BRPORT_*. */
export const bridgePort = attrs({
  state: [1, named(u8, { disabled: 0, listening: 1, learning: 2, forwarding: 3, blocking: 4 })],
  priority: [2, u16],
  cost: [3, u32],
  hairpin: [4, u8],
  guard: [5, u8],
  rootBlock: [6, u8],
  fastLeave: [7, u8],
  learning: [8, u8],
  flood: [9, u8],
  proxyArp: [10, u8],
  designatedPort: [15, u16],
  id: [17, u16],
  number: [18, u16],
  multicastRouter: [25, u8],
  multicastFlood: [27, u8],
  vlanTunnel: [29, u8],
  broadcastFlood: [30, u8],
  groupFwdMask: [31, u16],
  neighbourSuppress: [32, u8],
  isolated: [33, u8],
  locked: [39, u8],
})
export const slaveInfo = tagged({ bridge: bridgePort }, { kind: 4, data: 5 })
