/** The words of tcpdump's filter language; pcap-filter(7). */

/** What a filter is wrong about, with the place in it. */
export class FilterError extends Error {
  override readonly name = 'FilterError'
  /** the whole filter */
  readonly filter: string
  /** where the word at fault begins, and how long it is */
  readonly at: number
  readonly length: number
  /** what would be right, in a sentence */
  readonly hint: string
  /** words that could stand there instead */
  readonly candidates: readonly string[]

  constructor(
    message: string,
    place: { readonly filter: string; readonly at: number; readonly length: number },
    hint: string,
    candidates: readonly string[] = [],
  ) {
    super(message)
    this.filter = place.filter
    this.at = place.at
    this.length = place.length
    this.hint = hint
    this.candidates = candidates
  }
}

export interface Word {
  readonly text: string
  readonly at: number
}

const PATTERN = /\s+|&&|\|\||[()!]|[^\s()!&|]+|[&|]/g
const SIGNS: Readonly<Record<string, string>> = { '&&': 'and', '||': 'or', '!': 'not' }

/** Splits a filter; `&&`, `||` and `!` become words. */
export function splitWords(filter: string): Word[] {
  return [...filter.matchAll(PATTERN)]
    .map(([text], i, all) => ({ text: SIGNS[text] ?? text, at: all[i]?.index ?? 0 }))
    .filter(({ text }) => text.trim() !== '')
}

/** EtherTypes, as `ether proto` takes them too. */
export const etherTypes = { ip: 0x0800, arp: 0x0806, rarp: 0x8035, ip6: 0x86dd } as const

/** Protocols over IP; the numbers of IANA. */
export const ipProtocols: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  gre: 47,
  esp: 50,
  ah: 51,
  icmp6: 58,
  ospf: 89,
  pim: 103,
  vrrp: 112,
  sctp: 132,
}

/** Services that people filter for by name; /etc/services has them so. */
export const services: Readonly<Record<string, number>> = {
  'ftp-data': 20,
  ftp: 21,
  ssh: 22,
  telnet: 23,
  smtp: 25,
  domain: 53,
  bootps: 67,
  bootpc: 68,
  tftp: 69,
  http: 80,
  ntp: 123,
  snmp: 161,
  bgp: 179,
  ldap: 389,
  https: 443,
  syslog: 514,
  mysql: 3306,
  postgresql: 5432,
}

/** Words that may say which protocol a primitive is about. */
export const protocolWords = ['ether', ...Object.keys(etherTypes), ...Object.keys(ipProtocols)]
export const typeWords = ['host', 'net', 'port', 'portrange', 'proto']
export const otherWords = ['src', 'dst', 'less', 'greater', 'broadcast', 'multicast', 'and', 'or', 'not']

/** Words of the language that hardway does not know, and what to write instead. */
export const unsupported: Readonly<Record<string, string>> = {
  vlan: 'tags are shown in each line; filter for what is inside',
  gateway: 'write ether host MAC and not host ADDRESS',
  protochain: 'proto looks at the first header after IP',
  len: 'write less 100 or greater 100',
  inbound: 'each line says in or out',
  outbound: 'each line says in or out',
  mpls: 'it has no counterpart here',
  pppoes: 'it has no counterpart here',
}
