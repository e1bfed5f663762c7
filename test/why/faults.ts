/** One fault each, put into a scenario that works, by the programs that people use. */

import type { Code } from '../../src/why/codes.ts'
import type { Device, Random, Scenario } from './scenarios.ts'

/** What is run inside a namespace of the scenario. */
export type Inside = (ns: string, ...argv: string[]) => void

/** What an injection may do besides. */
export interface Tools {
  /** Sends one datagram. */
  readonly datagram: (ns: string, sourcePort: number, target: string, port: number) => void
}

export interface Injection {
  readonly code: Code
  /** a variant, for messages */
  readonly what: string
  /** Puts it in. */
  readonly put: (inside: Inside, tools: Tools) => void
  /** where the service is not to be, or is to be instead */
  readonly listen?: 'nowhere' | 'loopback'
  /** bytes of the packet that shows it */
  readonly size?: number
  /** port that the sender sends from */
  readonly sourcePort?: number
  /** the sender sends to its own address */
  readonly toItself?: true
}

const ipv6 = (s: Scenario): string[] => (s.family === 6 ? ['-6'] : [])
const host = (s: Scenario, address: string): string => `${address}/${s.family === 4 ? 32 : 128}`
const family = (s: Scenario): string => (s.family === 4 ? 'ip' : 'ip6')

/** A table of somebody else with one chain and one rule. */
function table(s: Scenario, at: string, hook: string, rule: string, policy = 'accept'): (inside: Inside) => void {
  return (inside) => {
    const chain = `type filter hook ${hook} priority 0; policy ${policy};`
    inside(
      at,
      'nft',
      `add table ${family(s)} other; add chain ${family(s)} other ${hook} { ${chain} }; ${rule === '' ? '' : `add rule ${family(s)} other ${hook} ${rule}`}`,
    )
  }
}

function down({ ns, dev }: Device): (inside: Inside) => void {
  return (inside) => inside(ns, 'ip', 'link', 'set', dev, 'down')
}

function* onEnds(s: Scenario): Generator<Injection> {
  const { near, far } = s
  const isRouted = s.router !== undefined
  const sendsItself = s.from === s.router?.ns
  if (!sendsItself) yield { code: 'LINK_DOWN', what: 'near end', put: down(near) }
  yield { code: 'NO_CARRIER', what: 'far end', put: down(far) }
  if (s.kind !== 'translated') {
    yield {
      code: 'NO_ADDRESS',
      what: 'far end',
      put: (inside) => inside(far.ns, 'ip', ...ipv6(s), 'address', 'del', `${far.address}/${s.length}`, 'dev', far.dev),
    }
  }
  const proto =
    s.protocol === 'icmp'
      ? s.family === 4
        ? 'icmp type echo-request'
        : 'icmpv6 type echo-request'
      : `${s.protocol} dport ${s.servicePort}`
  yield { code: 'FILTER_DROP', what: 'input of the far end', put: table(s, far.ns, 'input', `${proto} counter drop`) }
  yield {
    code: 'FILTER_REJECT',
    what: 'input of the far end',
    put: table(s, far.ns, 'input', `${proto} counter reject`),
  }
  if (!sendsItself && s.kind !== 'published') {
    yield {
      code: 'FILTER_DROP',
      what: 'output of the near end',
      put: table(s, near.ns, 'output', `${family(s)} daddr ${s.target} drop`),
    }
  }
  if (s.protocol !== 'icmp') {
    yield { code: 'NOT_LISTENING', what: 'no service', put: () => undefined, listen: 'nowhere' }
    yield { code: 'LISTENS_ON_LOOPBACK', what: 'loopback only', put: () => undefined, listen: 'loopback' }
  }
  if (s.protocol === 'icmp') {
    yield {
      code: 'MTU_TOO_SMALL',
      what: 'far end',
      put: (inside) => inside(far.ns, 'ip', 'link', 'set', far.dev, 'mtu', '1300'),
      size: 1400,
    }
    yield {
      code: 'TC_DROP',
      what: 'near end',
      put: (inside) =>
        inside(
          near.ns,
          'tc',
          'qdisc',
          'add',
          'dev',
          near.dev,
          'root',
          'tbf',
          'rate',
          '1mbit',
          'burst',
          '50',
          'latency',
          '1ms',
        ),
    }
  }
  // on its own link a sender makes do with its link-local address
  const isNeighbour = s.kind === 'bridged' || (s.kind === 'published' && near.ns.endsWith('s1'))
  if (s.family === 6 && !sendsItself && !isNeighbour) {
    yield {
      code: 'DAD_PENDING',
      what: 'near end',
      put: (inside) => tentative(s, near, inside),
    }
  }
  if (s.family === 6 && s.kind !== 'translated') {
    yield { code: 'DAD_PENDING', what: 'far end', put: (inside) => tentative(s, far, inside) }
  }
  if (!isRouted || s.kind === 'routed') {
    const hop = isRouted ? undefined : far
    if (hop) {
      yield {
        code: 'NO_NEIGHBOUR',
        what: 'arp off',
        put: (inside) => inside(far.ns, 'ip', 'link', 'set', far.dev, 'arp', 'off'),
      }
      if (s.family === 4) {
        yield {
          code: 'NO_NEIGHBOUR',
          what: 'arp_ignore',
          put: (inside) => inside(far.ns, 'sysctl', '-qw', `net.ipv4.conf.${far.dev}.arp_ignore=8`),
        }
      }
      yield {
        code: 'NEIGHBOUR_WRONG_MAC',
        what: 'permanent entry',
        put: (inside) =>
          inside(
            near.ns,
            'ip',
            ...ipv6(s),
            'neigh',
            'replace',
            far.address,
            'lladdr',
            '02:00:00:00:00:99',
            'dev',
            near.dev,
            'nud',
            'permanent',
          ),
      }
    }
  }
  if (sendsItself) return
  yield {
    code: 'ROUTE_BLACKHOLE',
    what: 'near end',
    put: (inside) => inside(near.ns, 'ip', ...ipv6(s), 'route', 'add', 'blackhole', host(s, s.target)),
  }
}

function tentative(s: Scenario, { ns, dev, address }: Scenario['near'], inside: Inside): void {
  inside(ns, 'sysctl', '-qw', `net.ipv6.conf.${dev}.accept_dad=1`, `net.ipv6.conf.${dev}.dad_transmits=60`)
  inside(ns, 'ip', '-6', 'address', 'del', `${address}/${s.length}`, 'dev', dev)
  inside(ns, 'ip', '-6', 'address', 'add', `${address}/${s.length}`, 'dev', dev)
}

function* onBridge(s: Scenario): Generator<Injection> {
  const { bridge, third } = s
  if (!bridge) return
  const port =
    (...words: string[]) =>
    (inside: Inside) =>
      inside(bridge.ns, 'bridge', 'link', 'set', 'dev', ...words)
  yield {
    code: 'NO_MASTER',
    what: 'far port',
    put: (inside) => inside(bridge.ns, 'ip', 'link', 'set', bridge.farPort, 'nomaster'),
  }
  yield {
    code: 'NO_MASTER',
    what: 'near port',
    put: (inside) => inside(bridge.ns, 'ip', 'link', 'set', bridge.nearPort, 'nomaster'),
  }
  yield { code: 'BRIDGE_PORT_BLOCKED', what: 'far port', put: port(bridge.farPort, 'state', '0') }
  yield { code: 'BRIDGE_PORT_BLOCKED', what: 'near port', put: port(bridge.nearPort, 'state', '0') }
  yield {
    code: 'PORT_ISOLATED',
    what: 'both',
    put: (inside) => {
      port(bridge.nearPort, 'isolated', 'on')(inside)
      port(bridge.farPort, 'isolated', 'on')(inside)
    },
  }
  yield { code: 'LINK_DOWN', what: 'near port', put: down({ ns: bridge.ns, dev: bridge.farPort }) }
  yield { code: 'LINK_DOWN', what: 'bridge', put: down({ ns: bridge.ns, dev: bridge.name }) }
  yield {
    code: 'BRIDGE_NF_CALL',
    what: 'forward policy',
    put: (inside) => {
      inside(
        bridge.ns,
        'sysctl',
        '-qw',
        'net.bridge.bridge-nf-call-iptables=1',
        'net.bridge.bridge-nf-call-ip6tables=1',
      )
      table(s, bridge.ns, 'forward', '', 'drop')(inside)
    },
  }
  if (third) {
    yield {
      code: 'ADDRESS_DUPLICATE',
      what: 'third has it',
      put: (inside) =>
        inside(
          third.ns,
          'ip',
          ...ipv6(s),
          'address',
          'add',
          `${s.far.address}/${s.length}`,
          'dev',
          third.dev,
          ...(s.family === 6 ? ['nodad'] : []),
        ),
    }
  }
  if (s.protocol === 'icmp') {
    yield {
      code: 'LOOPBACK_DOWN',
      what: 'own address',
      put: (inside) => inside(s.near.ns, 'ip', 'link', 'set', 'lo', 'down'),
      toItself: true,
    }
  }
}

function* onRouter(s: Scenario): Generator<Injection> {
  const { router, near, far } = s
  if (!router) return
  const sendsItself = s.from === router.ns
  const forwards = !sendsItself && s.near.ns !== `${s.model.name}s1`
  const key = s.family === 4 ? 'net.ipv4.ip_forward' : 'net.ipv6.conf.all.forwarding'
  if (!sendsItself && s.kind !== 'published') {
    yield {
      code: 'NO_ROUTE',
      what: 'near end',
      put: (inside) => inside(near.ns, 'ip', ...ipv6(s), 'route', 'del', 'default'),
    }
    yield {
      code: 'RULE_WRONG_TABLE',
      what: 'near end',
      put: (inside) => {
        inside(near.ns, 'ip', ...ipv6(s), 'route', 'add', 'unreachable', 'default', 'table', '100')
        inside(near.ns, 'ip', ...ipv6(s), 'rule', 'add', 'to', host(s, s.target), 'table', '100', 'priority', '100')
      },
    }
  }
  if (forwards) {
    yield { code: 'FORWARDING_OFF', what: 'router', put: (inside) => inside(router.ns, 'sysctl', '-qw', `${key}=0`) }
    const inner = s.kind === 'published' ? far.address : s.target
    yield {
      code: 'ROUTE_BLACKHOLE',
      what: 'router',
      put: (inside) => inside(router.ns, 'ip', ...ipv6(s), 'route', 'add', 'unreachable', host(s, inner)),
    }
    yield {
      code: 'ROUTE_WRONG_DEV',
      what: 'router',
      put: (inside) => inside(router.ns, 'ip', ...ipv6(s), 'route', 'add', host(s, inner), 'dev', router.toNear),
    }
    yield {
      code: 'FILTER_DROP',
      what: 'forward',
      put: table(s, router.ns, 'forward', `${family(s)} daddr ${inner} counter drop`),
    }
    yield {
      code: 'FILTER_REJECT',
      what: 'forward',
      put: table(s, router.ns, 'forward', `${family(s)} daddr ${inner} reject`),
    }
    yield { code: 'FOREIGN_FORWARD_DROP', what: 'policy', put: table(s, router.ns, 'forward', '', 'drop') }
    if (s.family === 4 && s.kind === 'routed') {
      yield {
        code: 'RP_FILTER',
        what: 'router',
        put: (inside) => {
          inside(router.ns, 'sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=1')
          inside(router.ns, 'ip', 'route', 'add', host(s, near.address), 'dev', router.toFar)
        },
      }
    }
  }
  if (s.kind === 'routed') {
    yield {
      code: 'NO_RETURN_ROUTE',
      what: 'far end',
      put: (inside) => inside(far.ns, 'ip', ...ipv6(s), 'route', 'del', 'default'),
    }
  }
  if (s.kind === 'translated') {
    yield {
      code: 'NO_MASQUERADE',
      what: 'rule gone',
      put: (inside) => inside(router.ns, 'nft', `flush chain inet hardway-${s.model.name} postrouting`),
    }
  }
  if (s.kind === 'published') yield* onPublished(s, router.ns, forwards)
}

function* onPublished(s: Scenario, router: string, isOutside: boolean): Generator<Injection> {
  const own = `inet hardway-${s.model.name}`
  const flush = (chain: string) => (inside: Inside) => inside(router, 'nft', `flush chain ${own} ${chain}`)
  const nobody = s.family === 4 ? '10.9.0.99:8080' : '[fd00:9:0::99]:8080'
  const chain = s.from === router ? 'output' : 'prerouting'
  if (s.from === router) yield { code: 'NO_OUTPUT_DNAT', what: 'output', put: flush('output') }
  else yield { code: 'DNAT_MISSING', what: 'prerouting', put: flush('prerouting') }
  yield {
    code: 'DNAT_TO_NOWHERE',
    what: 'wrong target',
    put: (inside) => {
      flush(chain)(inside)
      inside(
        router,
        'nft',
        `add rule ${own} ${chain} ${family(s)} daddr ${s.target} ${s.protocol} dport 80 dnat ${family(s)} to ${nobody}`,
      )
    },
  }
  if (isOutside && s.protocol === 'udp') {
    yield {
      code: 'STALE_CONNTRACK',
      what: 'published later',
      put: (inside, { datagram }) => {
        // a flow from before the port was published: it goes on to the router itself
        flush('prerouting')(inside)
        datagram(s.from, 40_000, s.target, 80)
        const to = s.family === 4 ? `${s.far.address}:8080` : `[${s.far.address}]:8080`
        inside(
          router,
          'nft',
          `add rule ${own} prerouting ${family(s)} daddr ${s.target} udp dport 80 dnat ${family(s)} to ${to}`,
        )
      },
      sourcePort: 40_000,
    }
  }
  if (s.target === '127.0.0.1') {
    yield {
      code: 'ROUTE_LOCALNET_OFF',
      what: 'towards the service',
      put: (inside) => inside(router, 'sysctl', '-qw', 'net.ipv4.conf.br0.route_localnet=0'),
    }
  }
  if (!isOutside && s.from !== router)
    yield {
      code: 'NO_HAIRPIN',
      what: 'neighbour',
      put: (inside) => {
        // br_netfilter would translate the answer on its way over the bridge
        inside(
          router,
          'sysctl',
          '-qwe',
          'net.bridge.bridge-nf-call-iptables=0',
          'net.bridge.bridge-nf-call-ip6tables=0',
        )
        flush('postrouting')(inside)
      },
    }
}

/** Every fault that fits the scenario. */
export function injections(s: Scenario): Injection[] {
  return [...onEnds(s), ...onBridge(s), ...onRouter(s)]
}

export function anyInjection(s: Scenario, random: Random, wanted?: string): Injection | undefined {
  const all = injections(s).filter((i) => wanted === undefined || i.code === wanted)
  // the codes have the same chance, however many ways each has
  const codes = [...new Set(all.map((i) => i.code))]
  const code = codes[random(codes.length)]
  const ways = all.filter((i) => i.code === code)
  return ways[random(ways.length)]
}
