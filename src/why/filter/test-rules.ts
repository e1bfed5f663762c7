/** For tests: rulesets made at random, in the words of nft and of iptables. */
import { client, routerAddresses, type Sent, server } from './test-wire.ts'

export type Random = (below: number) => number

const pick = <T>(random: Random, from: readonly T[]): T => from[random(from.length)] as T

const ports = [53, 80, 443, 8080]
const hooks = ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const
type Hook = (typeof hooks)[number]

export function randomPacket(random: Random, sourcePort: number): { from: 'a' | 'r'; packet: Sent } {
  const from = random(4) ? 'a' : 'r'
  const destination = pick(random, [server, server, '10.2.0.130', routerAddresses[0], routerAddresses[1]])
  const source = from === 'a' ? client : routerAddresses[1]
  const protocol = pick(random, ['udp', 'udp', 'tcp', 'icmp'] as const)
  return { from, packet: { protocol, source, destination, sourcePort, destinationPort: pick(random, ports) } }
}

const hasIn = (hook: Hook): boolean => hook === 'prerouting' || hook === 'input' || hook === 'forward'
const hasOut = (hook: Hook): boolean => hook === 'output' || hook === 'postrouting' || hook === 'forward'

/** One condition of a rule in a chain of the hook; regular chains may be called from anywhere. */
function condition(random: Random, hook: Hook | undefined): string {
  const port = pick(random, ports)
  const general = [
    `ip saddr ${pick(random, [client, '10.1.0.0/24', '10.2.0.0/16', '!= 10.1.0.2'])}`,
    `ip daddr ${pick(random, [server, '10.2.0.0/25', '{ 10.2.0.2, 10.2.0.128-10.2.0.140 }', '!= { 10.1.0.1, 10.2.0.1 }'])}`,
    `${pick(random, ['udp', 'tcp', 'th'])} dport ${pick(random, [port, `{ ${port}, 1000-2000 }`, `< ${port}`, `!= ${port}`, `${port}-9000`])}`,
    `udp sport ${pick(random, ['> 1024', '10000-20000', '!= 7', '{ 1, 2, 40000-65535 }'])}`,
    `meta l4proto ${pick(random, ['udp', 'tcp', 'icmp', '{ tcp, icmp }'])}`,
    `ct state ${pick(random, ['new', 'established,related', '!= invalid', 'invalid', 'untracked'])}`,
    `ct status ${pick(random, ['dnat', 'snat', '& dnat == 0'])}`,
    `ct direction ${pick(random, ['original', 'reply'])}`,
    `ct original ip daddr ${pick(random, [server, '10.2.0.130', '!= 10.2.0.0/24'])}`,
    `ct reply ip saddr ${pick(random, [server, '10.2.0.131'])}`,
    `ct mark ${pick(random, ['0', '!= 1', '& 3 == 2'])}`,
    `meta mark ${pick(random, ['0', '1', '!= 2', '& 0xf0 == 0x10', '1-0x20'])}`,
    `ip ttl ${pick(random, ['64', '63', '> 10', '< 64'])}`,
    `ip length ${pick(random, ['< 36', '32', '28-40'])}`,
    `ip protocol ${pick(random, ['udp', '!= tcp'])}`,
    `tcp flags ${pick(random, ['syn', '& (syn|ack) == syn', '& rst == rst'])}`,
    `icmp type ${pick(random, ['echo-request', 'echo-reply', '{ 3, 8 }'])}`,
    `ip dscp ${pick(random, ['0', '!= 0', 'cs1'])}`,
    `ip saddr . th dport ${pick(random, ['{ 10.1.0.2 . 53, 10.1.0.0/24 . 80-443 }', '!= { 10.1.0.2 . 53 }'])}`,
    '@th,16,16 & 0x1 == 1',
    `fib daddr type ${pick(random, ['local', 'unicast', '!= local'])}`,
    `fib saddr type ${pick(random, ['local', '!= local'])}`,
    `ip daddr & 255.255.0.255 == 10.2.0.${pick(random, [2, 1])}`,
    `meta pkttype ${pick(random, ['host', 'broadcast'])}`,
    'limit rate 1000/second',
    `ip saddr @${pick(random, ['plain', 'ranges'])}`,
    `ip daddr . th dport @pairs`,
  ]
  if (hook && hasIn(hook))
    general.push(`iifname ${pick(random, ['"r1"', '"r*"', '!= "r1"', '{ "r2", "lo" }'])}`, 'iif 20')
  if (hook && hasOut(hook)) general.push(`oifname ${pick(random, ['"r2"', '"lo"', '!= "r2"'])}`)
  if (hook === 'prerouting' || hook === 'input')
    general.push(`fib saddr . iif oif ${pick(random, ['0', '!= 0', '20'])}`)
  return pick(random, general)
}

function statement(random: Random, hook: Hook | undefined, isNat: boolean): string {
  if (isNat && random(2)) {
    const address = pick(random, [server, '10.2.0.131', routerAddresses[0]])
    const port = pick(random, ports)
    return hook === 'prerouting' || hook === 'output'
      ? pick(random, [
          `meta l4proto { tcp, udp } dnat ip to ${address}:${port}`,
          `dnat ip to ${address}`,
          `meta l4proto udp redirect to :${port}`,
          'redirect',
          `meta l4proto udp dnat ip to 10.2.0.2-10.2.0.2:${port}`,
          `dnat ip to th dport map { 53 : 10.2.0.131, 80-443 : 10.2.0.2 }`,
        ])
      : pick(random, [
          'snat ip to 10.2.0.1',
          'masquerade',
          'meta l4proto udp snat ip to 10.2.0.1:4321',
          'snat ip to 10.1.0.9',
        ])
  }
  return pick(random, [
    'accept',
    'drop',
    'return',
    'reject',
    'counter',
    'counter accept',
    `meta mark set ${pick(random, ['1', '2', 'meta mark or 0x10', 'meta mark and 0xf', 'ct mark'])}`,
    `ct mark set ${pick(random, ['1', 'meta mark'])}`,
    `jump ${pick(random, ['one', 'two'])}`,
    `goto ${pick(random, ['one', 'two'])}`,
    `th dport vmap { 53 : drop, 80 : jump two, 443-500 : accept }`,
    `ip saddr vmap { 10.1.0.2 : continue, 10.2.0.0/24 : accept }`,
    `ip daddr vmap @verdicts`,
    ...(isNat ? [] : ['ip ttl set 20', 'ip dscp set cs1', '@th,16,16 set 80']),
    ...(!isNat && hook === 'prerouting' ? ['notrack'] : []),
  ])
}

function rule(random: Random, hook: Hook | undefined, isNat: boolean): string {
  const conditions = Array.from({ length: random(3) }, () => condition(random, hook))
  const end = statement(random, hook, isNat)
  return [...conditions, end].join(' ')
}

/** A rule that the kernel can refuse in this place: `reject` and `redirect` are not for every hook. */
function isAllowed(text: string, hook: Hook | undefined): boolean {
  if (text.endsWith('reject')) return hook === 'input' || hook === 'forward' || hook === 'output'
  return !text.includes('masquerade') || hook === 'postrouting'
}

function chain(random: Random, name: string, hook: Hook | undefined, head: string, isNat: boolean): string {
  const rules = Array.from({ length: 1 + random(4) }, () => rule(random, hook, isNat))
    .filter((text) => isAllowed(text, hook))
    .filter((text) => hook !== undefined || !/\b(jump|goto)\b/.test(text) || (name === 'one' && !text.includes('one')))
  return `chain ${name} {\n${[head, ...rules].join('\n')}\n}\n`
}

/** A table of one family with a few base chains. */
export function randomTable(random: Random, name: string): string {
  const family = pick(random, ['ip', 'inet'])
  const sets = [
    'set plain { type ipv4_addr; elements = { 10.1.0.2, 10.9.9.9 }\n }',
    'set ranges { type ipv4_addr; flags interval; elements = { 10.1.0.0/25, 10.2.0.1-10.2.0.9 }\n }',
    'set pairs { type ipv4_addr . inet_service; flags interval; elements = { 10.2.0.0/24 . 53-80, 10.2.0.130 . 443 }\n }',
    'map verdicts { type ipv4_addr : verdict; flags interval; elements = { 10.2.0.2 : accept, 10.2.0.128/25 : jump two, * : continue }\n }',
  ]
  const bases = Array.from({ length: 1 + random(3) }, (_, i) => {
    const isNat = random(3) === 0
    const hook = pick(
      random,
      hooks.filter((one) => !isNat || one !== 'forward'),
    )
    const priority = isNat ? random(300) - 150 : random(700) - 350
    const kind = isNat ? 'nat' : hook === 'output' && random(3) === 0 ? 'route' : 'filter'
    const policy = random(4) ? 'accept' : 'drop'
    return chain(random, `base${i}`, hook, `type ${kind} hook ${hook} priority ${priority}; policy ${policy};`, isNat)
  })
  const regular = [chain(random, 'two', undefined, '', false), chain(random, 'one', undefined, '', false)]
  return `table ${family} ${name} {\n${[...sets, ...regular, ...bases].join('\n')}}\n`
}
