/** For tests: input of iptables-restore made at random, which nf_tables and iptables-legacy both take. */
import type { Random } from './test-rules.ts'
import { client, routerAddresses, server } from './test-wire.ts'

const pick = <T>(random: Random, from: readonly T[]): T => from[random(from.length)] as T

const ports = [53, 80, 443, 8080]
const states = ['NEW', 'ESTABLISHED,RELATED', 'INVALID', 'UNTRACKED', 'DNAT', 'SNAT', 'NEW,DNAT']

/** Built-in chains of each table */
const tables = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
} as const
type Table = keyof typeof tables

const not = (random: Random): string => (random(3) ? '' : '! ')

function condition(random: Random, chain: string): string {
  const port = pick(random, ports)
  const general = [
    `${not(random)}-s ${pick(random, [client, '10.1.0.0/24', '10.2.0.0/16'])}`,
    `${not(random)}-d ${pick(random, [server, '10.2.0.0/25', routerAddresses[1]])}`,
    `-p udp -m udp ${not(random)}--dport ${port}:9000`,
    `-p tcp -m tcp ${not(random)}--dport ${port}`,
    `-p udp -m udp ${not(random)}--sport 1024:65535`,
    `-p tcp -m tcp ${not(random)}--tcp-flags SYN,ACK,FIN,RST SYN`,
    `-p icmp -m icmp ${not(random)}--icmp-type ${pick(random, ['8', '0', 'any'])}`,
    `${not(random)}-p ${pick(random, ['udp', 'tcp', 'icmp'])}`,
    `-p ${pick(random, ['udp', 'tcp'])} -m multiport ${not(random)}--${pick(random, ['dports', 'ports', 'sports'])} ${port},1000:2000`,
    `-m conntrack ${not(random)}--ctstate ${pick(random, states)}`,
    `-m conntrack ${not(random)}--ctorigdst ${pick(random, [server, '10.2.0.0/25'])}`,
    `-m conntrack --ctproto udp ${not(random)}--ctorigdstport ${port}`,
    `-m conntrack --ctdir ${pick(random, ['ORIGINAL', 'REPLY'])}`,
    `-m conntrack ${not(random)}--ctstatus ${pick(random, ['CONFIRMED', 'SEEN_REPLY', 'NONE'])}`,
    `-m state --state ${pick(random, ['NEW', 'ESTABLISHED'])}`,
    `-m addrtype ${not(random)}--dst-type ${pick(random, ['LOCAL', 'UNICAST', 'LOCAL,BROADCAST'])}`,
    `-m addrtype ${not(random)}--src-type LOCAL`,
    `-m mark ${not(random)}--mark ${pick(random, ['0x1', '0x0/0xf', '0x10/0x10'])}`,
    `-m connmark ${not(random)}--mark ${pick(random, ['0x1', '0x0'])}`,
    `-m iprange ${not(random)}--${pick(random, ['src', 'dst'])}-range 10.1.0.2-10.2.0.2`,
    `-m length ${not(random)}--length ${pick(random, ['32', '30:40', '100:200'])}`,
    `-m pkttype ${not(random)}--pkt-type ${pick(random, ['unicast', 'broadcast'])}`,
    `-m ttl --ttl-${pick(random, ['eq 64', 'lt 64', 'gt 10'])}`,
    `-m dscp ${not(random)}--dscp ${pick(random, ['0', '3'])}`,
    '-m limit --limit 1000/sec',
    '-m comment --comment hello',
    `-m physdev ${not(random)}--physdev-is-bridged`,
  ]
  if (/^(PRE|IN|FOR)/.test(chain)) {
    general.push(
      `${not(random)}-i ${pick(random, ['r1', 'r+', 'lo'])}`,
      `-m mac ${not(random)}--mac-source 02:00:00:00:00:01`,
    )
  }
  if (/^(OUT|POST|FOR)/.test(chain)) general.push(`${not(random)}-o ${pick(random, ['r2', 'r+', 'lo'])}`)
  if (/^(PRE|IN)/.test(chain)) general.push('-m addrtype --dst-type LOCAL --limit-iface-in')
  return pick(random, general)
}

function target(random: Random, table: Table, chain: string): string {
  const address = pick(random, [server, '10.2.0.131', routerAddresses[0]])
  const port = pick(random, ports)
  const any = ['-j ACCEPT', '-j RETURN', '-j one', '-g two', '-j LOG --log-prefix x', '']
  switch (table) {
    case 'raw':
      return pick(random, [...any, '-j CT --notrack', '-j DROP'])
    case 'mangle':
      return pick(random, [
        ...any,
        '-j DROP',
        `-j MARK --set-xmark ${pick(random, ['0x1', '0x10/0x10', '0x0/0xf'])}`,
        '-j CONNMARK --save-mark',
        '-j CONNMARK --restore-mark --nfmask 0xf --ctmask 0xff',
        '-j CONNMARK --set-xmark 0x3/0x1',
        '-j TTL --ttl-set 64',
      ])
    case 'filter':
      return pick(random, [...any, '-j ACCEPT', '-j DROP', '-j REJECT', '-p tcp -j REJECT --reject-with tcp-reset'])
    case 'nat': {
      const destination = [
        `-j DNAT --to-destination ${address}`,
        `-p udp -j DNAT --to-destination ${address}:${port}`,
        '-j DNAT --to-destination 10.2.0.130-10.2.0.131',
        `-p tcp -j REDIRECT --to-ports ${port}`,
        '-j REDIRECT',
        '-d 10.2.0.0/24 -j NETMAP --to 10.2.0.128/25',
      ]
      const source = ['-j SNAT --to-source 10.2.0.1', '-p udp -j SNAT --to-source 10.2.0.1:4321']
      if (chain === 'POSTROUTING') source.push('-j MASQUERADE', '-p udp -j MASQUERADE --to-ports 5000')
      return pick(random, [...any, ...(/^(PRE|OUT)/.test(chain) ? destination : source)])
    }
    default:
      return table satisfies never
  }
}

/** What iptables takes once only, `-p` above all, stands once. */
function rule(random: Random, table: Table, chain: string): string {
  const parts = [...Array.from({ length: random(3) }, () => condition(random, chain)), target(random, table, chain)]
  const words = new Set<string>()
  const kept = parts.filter((part) => {
    const options = part.match(/(?<=^|\s)(-[psdio]|-m \w+)(?=\s)/g) ?? []
    const isNew = options.every((word) => !words.has(word)) && !(words.has('-p') && part.includes('-p '))
    for (const word of options) words.add(word)
    return isNew
  })
  return `-A ${chain} ${kept.join(' ')}`
}

/** All tables, each with two chains of its own. */
export function randomRestore(random: Random): string {
  return (Object.keys(tables) as Table[])
    .map((table) => {
      const heads = tables[table].map(
        (chain) => `:${chain} ${table === 'filter' && !random(5) ? 'DROP' : 'ACCEPT'} [0:0]`,
      )
      const own = ['one', 'two'].flatMap((chain) =>
        Array.from(
          { length: random(3) },
          () => `-A ${chain} ${condition(random, chain)} ${pick(random, ['-j RETURN', '-j ACCEPT', ''])}`,
        ),
      )
      const rules = tables[table].flatMap((chain) =>
        Array.from({ length: random(3) }, () => rule(random, table, chain)),
      )
      return [`*${table}`, ...heads, ':one - [0:0]', ':two - [0:0]', ...own, ...rules, 'COMMIT'].join('\n')
    })
    .join('\n')
    .concat('\n')
}
