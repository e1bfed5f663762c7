/**
 * The parts of this host that a network tool can change, as lines of text that are equal when nothing has changed.
 * Counters, timers, lifetimes and learned neighbours are left out.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isRoot, run, which } from './tools.mjs'

/** What it is called, and its lines. @typedef {Map<string, string[]>} Snapshot */

/** @returns {Snapshot} */
export function takeSnapshot() {
  /** @type {Snapshot} */
  const parts = new Map()
  parts.set('link', links())
  parts.set('address', addresses())
  parts.set('rule', [...ask('ip', ['-4', 'rule']), ...ask('ip', ['-6', 'rule'])])
  parts.set('route', [...routes('-4'), ...routes('-6')])
  parts.set('neighbour', [
    ...ask('ip', ['neigh', 'show', 'nud', 'permanent']),
    ...ask('ip', ['neigh', 'show', 'proxy']),
  ])
  parts.set(
    'qdisc',
    ask('tc', ['qdisc', 'show']).map((line) => line.replace(/ refcnt \d+/, '')),
  )
  parts.set(
    'network namespace',
    ['/run/netns', '/run/docker/netns'].flatMap((folder) => tree(folder)),
  )
  parts.set('file', tree('/run/hardway'))
  parts.set('mount', mounts())
  parts.set('process', ourProcesses())
  parts.set('sysctl', sysctls())
  if (isRoot) {
    // dynamic elements of sets carry the time that they have left
    parts.set(
      'nftables',
      nested(ask('nft', ['-s', 'list', 'ruleset']).map((line) => line.replace(/ expires \w+/g, ''))),
    )
    parts.set('iptables-legacy', legacyTables('iptables-legacy-save', '/proc/net/ip_tables_names'))
    parts.set('ip6tables-legacy', legacyTables('ip6tables-legacy-save', '/proc/net/ip6_tables_names'))
  }
  return parts
}

/** Output lines of a program; none when it is not there or has nothing to say. @param {string} name @param {string[]} args */
function ask(name, args) {
  const file = which(name)
  return file
    ? run(file, args)
        .stdout.split('\n')
        .map((line) => line.trimEnd())
        .filter(Boolean)
    : []
}

/** @param {string[]} args @returns {any[]} */
function askJson(args) {
  const text = ask('ip', ['-json', '-details', ...args]).join('')
  return text ? JSON.parse(text) : []
}

function links() {
  if (!which('ip')) return names('/sys/class/net')
  return askJson(['link']).map((link) => {
    const kind = link.linkinfo?.info_kind ?? link.link_type
    const flags = link.flags.filter((/** @type {string} */ flag) => !['LOWER_UP', 'NO-CARRIER'].includes(flag))
    const words = [`${link.ifindex}: ${link.ifname} ${kind} <${flags}> mtu ${link.mtu} ${link.address}`]
    if (link.master) words.push(`master ${link.master}`)
    if (link.ifalias) words.push(`alias ${link.ifalias}`)
    if (link.promiscuity) words.push(`promiscuity ${link.promiscuity}`)
    if (link.allmulti) words.push(`allmulti ${link.allmulti}`)
    return words.join(' ')
  })
}

function addresses() {
  return askJson(['address']).flatMap((link) =>
    link.addr_info
      // made by the kernel out of router advertisements, and replaced at will
      .filter((/** @type {any} */ address) => !(address.family === 'inet6' && (address.dynamic || address.temporary)))
      .map((/** @type {any} */ address) => `${link.ifname} ${address.local}/${address.prefixlen} ${address.scope}`),
  )
}

/** @param {'-4' | '-6'} family */
function routes(family) {
  return ask('ip', [family, 'route', 'show', 'table', 'all'])
    .filter((line) => !/ proto ra /.test(line))
    .map((line) => line.replace(/ expires \d+sec/, '').trimEnd())
}

/** Lines of an indented listing, each with the headings above it, so that it stands for itself. @param {string[]} lines */
function nested(lines) {
  /** @type {string[]} */
  const headings = []
  return lines.flatMap((line) => {
    const text = line.trim()
    if (text === '}') {
      headings.pop()
      return []
    }
    const full = [...headings, text].join(' ').replaceAll(' {', '')
    if (text.endsWith('{')) headings.push(text)
    return [full]
  })
}

/** @param {string} program @param {string} present a file that lists tables; without it, asking would load the modules */
function legacyTables(program, present) {
  if (!read(present)) return []
  let table = ''
  return ask(program, []).flatMap((line) => {
    if (line.startsWith('*')) table = line.slice(1)
    return /^[#*]|^COMMIT/.test(line) ? [] : [`${table} ${line.replace(/\s*\[\d+:\d+\]\s*/, '')}`]
  })
}

function mounts() {
  return (read('/proc/self/mountinfo') ?? '').split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ')
    const target = before.split(' ')[4] ?? ''
    // `ip netns` mounts the folder onto itself once and for all, whatever namespace comes first
    return line === '' || /^(\/var)?\/run\/netns$/.test(target) ? [] : [`${target} ${after.split(' ')[0]}`]
  })
}

/** Processes that hardway keeps running for a topology; they carry its name in their environment. */
function ourProcesses() {
  return names('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const topology = /(?:^|\0)HARDWAY_TOPOLOGY=([^\0]*)/.exec(read(`/proc/${pid}/environ`) ?? '')?.[1]
      if (topology === undefined) return []
      return [`${pid} of topology ${topology}: ${read(`/proc/${pid}/cmdline`)?.replaceAll('\0', ' ').trim()}`]
    })
}

/** Every sysctl of the network, apart from those that count. */
function sysctls() {
  const folders = ['net/ipv4', 'net/ipv4/conf', 'net/ipv6', 'net/ipv6/conf', 'net/bridge']
  const conf = ['net/ipv4/conf', 'net/ipv6/conf'].flatMap((path) =>
    names(`/proc/sys/${path}`).map((dev) => `${path}/${dev}`),
  )
  return [...folders, ...conf].flatMap((folder) =>
    names(`/proc/sys/${folder}`).flatMap((name) => {
      const path = `/proc/sys/${folder}/${name}`
      const value = statSync(path, { throwIfNoEntry: false })?.isFile() ? read(path) : undefined
      return value === undefined ? [] : [`${folder.replaceAll('/', '.')}.${name} = ${value.trim()}`]
    }),
  )
}

/** @param {string} folder @returns {string[]} every path below */
function tree(folder) {
  return names(folder).flatMap((name) => {
    const path = join(folder, name)
    const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
    return [path, ...(isFolder ? tree(path) : [])]
  })
}

/** @param {string} folder */
function names(folder) {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** @param {string} path */
function read(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
