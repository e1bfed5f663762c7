/** What a bridge says of itself (IFLA_BR_*) and of its ports (IFLA_BRPORT_*); linux/if_link.h, ip-link(8), bridge(8). */
import { attrs, be16, type Codec, codec, flag, ip, mac, named, u8, u16, u32, u64 } from '../netlink/index.ts'

/** struct ifla_bridge_id: priority, then MAC; written `8000.06:96:1e:62:50:e7` as everywhere in spanning tree. */
const bridgeId: Codec<string> = codec(
  (value, to) => {
    const [priority = '', address = ''] = value.split('.')
    to.u16(Number.parseInt(priority, 16), false)
    mac.encode(address, to)
  },
  (from) => `${from.u16(0, false).toString(16).padStart(4, '0')}.${mac.decode(from.slice(2))}`,
)

/** struct br_boolopt_multi: a bit set in `mask` is an option that the message speaks of, its bit in `on` the value. */
const booleanOptions = { noLinkLocalLearn: 1, multicastVlanSnooping: 2, mst: 4, mdbOffloadFailNotification: 8 } as const
type BooleanOptions = { [N in keyof typeof booleanOptions]?: boolean }
const multiBoolean: Codec<BooleanOptions> = codec(
  (value, to) => {
    const sum = (test: (v: boolean) => boolean): number =>
      Object.entries(booleanOptions).reduce((all, [name, bit]) => {
        const option = value[name as keyof BooleanOptions]
        return option !== undefined && test(option) ? all | bit : all
      }, 0)
    to.u32(sum((on) => on))
    to.u32(sum(() => true))
  },
  (from) => {
    const [on, mask] = [from.u32(0), from.u32(4)]
    const known = Object.entries(booleanOptions).filter(([, bit]) => mask & bit)
    return Object.fromEntries(known.map(([name, bit]) => [name, (on & bit) !== 0]))
  },
)

const querierState = attrs({
  ip: [1, ip],
  port: [2, u32],
  otherTimer: [3, u64],
  ip6: [5, ip],
  port6: [6, u32],
  otherTimer6: [7, u64],
})

/** Times are in hundredths of a second (USER_HZ). */
export const bridge = attrs({
  forwardDelay: [1, u32],
  helloTime: [2, u32],
  maxAge: [3, u32],
  ageingTime: [4, u32],
  stpState: [5, u32],
  priority: [6, u16],
  vlanFiltering: [7, u8],
  vlanProtocol: [8, be16],
  groupFwdMask: [9, u16],
  rootId: [10, bridgeId],
  bridgeId: [11, bridgeId],
  rootPort: [12, u16],
  rootPathCost: [13, u32],
  topologyChange: [14, u8],
  topologyChangeDetected: [15, u8],
  helloTimer: [16, u64],
  tcnTimer: [17, u64],
  topologyChangeTimer: [18, u64],
  gcTimer: [19, u64],
  groupAddress: [20, mac],
  fdbFlush: [21, flag],
  multicastRouter: [22, u8],
  multicastSnooping: [23, u8],
  multicastQueryUseIfaddr: [24, u8],
  multicastQuerier: [25, u8],
  multicastHashElasticity: [26, u32],
  multicastHashMax: [27, u32],
  multicastLastMemberCount: [28, u32],
  multicastStartupQueryCount: [29, u32],
  multicastLastMemberInterval: [30, u64],
  multicastMembershipInterval: [31, u64],
  multicastQuerierInterval: [32, u64],
  multicastQueryInterval: [33, u64],
  multicastQueryResponseInterval: [34, u64],
  multicastStartupQueryInterval: [35, u64],
  nfCallIptables: [36, u8],
  nfCallIp6tables: [37, u8],
  nfCallArptables: [38, u8],
  vlanDefaultPvid: [39, u16],
  vlanStatsEnabled: [41, u8],
  multicastStatsEnabled: [42, u8],
  multicastIgmpVersion: [43, u8],
  multicastMldVersion: [44, u8],
  vlanStatsPerPort: [45, u8],
  options: [46, multiBoolean],
  multicastQuerierState: [47, querierState],
  fdbLearned: [48, u32],
  fdbMaxLearned: [49, u32],
})

/** Options of a bridge port. Timers are in hundredths of a second. */
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
  learningSync: [11, u8],
  proxyArpWifi: [12, u8],
  rootId: [13, bridgeId],
  bridgeId: [14, bridgeId],
  designatedPort: [15, u16],
  designatedCost: [16, u16],
  id: [17, u16],
  number: [18, u16],
  topologyChangeAck: [19, u8],
  configPending: [20, u8],
  messageAgeTimer: [21, u64],
  forwardDelayTimer: [22, u64],
  holdTimer: [23, u64],
  fdbFlush: [24, flag],
  multicastRouter: [25, u8],
  multicastFlood: [27, u8],
  multicastToUnicast: [28, u8],
  vlanTunnel: [29, u8],
  broadcastFlood: [30, u8],
  groupFwdMask: [31, u16],
  neighbourSuppress: [32, u8],
  isolated: [33, u8],
  backupPort: [34, u32],
  multicastEhtHostsLimit: [37, u32],
  multicastEhtHostsCount: [38, u32],
  locked: [39, u8],
  macAuthBypass: [40, u8],
  multicastGroups: [41, u32],
  multicastMaxGroups: [42, u32],
  neighbourVlanSuppress: [43, u8],
  backupNexthopId: [44, u32],
})
