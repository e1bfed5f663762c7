/** How hardway writes its name into kernel objects. The only place that knows the spelling. */

/** Route and rule protocol number (RTA_PROTOCOL, FRA_PROTOCOL); `h`. Not in rt_protos of iproute2. */
export const PROTOCOL = 104

const PREFIX = 'hardway:'

/** Alias of a link, and comment of a rule in somebody else's chain. */
export function mark(topology: string): string {
  return PREFIX + topology
}

/** Alias of the loopback device of a namespace, which says which namespace of the file it is. */
export function namespaceMark(topology: string, namespace: string): string {
  return `${PREFIX}${topology}:${namespace}`
}

export function readMark(text: string | undefined): { topology: string; namespace?: string } | undefined {
  if (!text?.startsWith(PREFIX)) return undefined
  const [topology = '', namespace] = text.slice(PREFIX.length).trim().split(':')
  return namespace === undefined ? { topology } : { topology, namespace }
}

/**
 * Link group of a topology. Unlike the alias it can be given in the message that makes a link, so there is no moment
 * in which a link of ours is unmarked, and one message deletes them all. A positive number, 24 bits of it a hash
 * (FNV-1a) of the name.
 */
export function linkGroup(topology: string): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(topology)) hash = Math.imul(hash ^ byte, 0x01000193)
  return 0x68000000 | (((hash >>> 24) ^ hash) & 0xffffff)
}

/** The topology's table, in family inet. */
export function tableName(topology: string): string {
  return `hardway-${topology}`
}

export function readTableName(name: string): string | undefined {
  return name.startsWith('hardway-') ? name.slice('hardway-'.length) : undefined
}

/** File name under /run/netns of the namespace that stands for the host of an isolated topology. */
export function isolatedHost(topology: string): string {
  return `${topology}-host`
}
