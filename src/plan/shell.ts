/** Operations as the commands that a person would type: ip, sysctl and nft. Run by plain sh they give the same state. */
import { formatPrefix } from '../ip/index.ts'
import { renderOperation } from '../nftables/text.ts'
import { neighbourKey, routeKey, ruleKey } from './keys.ts'
import { linkGroup, mark, namespaceMark, PROTOCOL } from './marks.ts'
import { isNftOperation, nftOperations } from './nft-operations.ts'
import type { LinkChanges, Operation, OperationOf, Place, Plan } from './operations.ts'
import { describe } from './prose.ts'
import type { LinkState } from './state.ts'

/** A word for sh, quoted when it needs to be. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

function ip(at: Place, ...words: string[]): string {
  return ['ip', ...(at.netns === undefined ? [] : ['-n', at.netns]), ...words].map(quote).join(' ')
}

/** A program that has no option for the namespace. */
function inside(at: Place, command: string): string {
  return at.netns === undefined ? command : `ip netns exec ${quote(at.netns)} ${command}`
}

function kindWords({ link }: LinkState): string[] {
  switch (link.kind) {
    case 'vxlan':
      return [
        'type',
        'vxlan',
        'id',
        String(link.id),
        ...(link.remote === undefined ? [] : ['remote', link.remote]),
        ...(link.local === undefined ? [] : ['local', link.local]),
        ...(link.dev === undefined ? [] : ['dev', link.dev]),
        'dstport',
        String(link.port),
      ]
    case 'macvlan':
      return ['type', 'macvlan', 'mode', link.mode]
    default:
      return ['type', link.kind]
  }
}

function common({ mac, mtu }: LinkState): string[] {
  return [...(mac === undefined ? [] : ['address', mac]), ...(mtu === undefined ? [] : ['mtu', String(mtu)])]
}

function linkAdd(topology: string, { at, link, peer }: OperationOf<'link.add'>): string[] {
  const group = ['group', String(linkGroup(topology))]
  const isHost = at.netns === undefined
  const lower = link.link.kind === 'macvlan' ? ['link', link.link.parent] : []
  const near = [
    ...['link', 'add', ...lower, 'name', link.name, ...common(link)],
    ...(link.master === undefined ? [] : ['master', link.master]),
    ...(isHost ? group : []),
    ...(link.up ? ['up'] : []),
    ...kindWords(link),
  ]
  if (!peer) return [ip(at, ...near), ...(isHost ? [alias(topology, at, link.name)] : [])]
  const farGroup = peer.at.netns === undefined ? group : []
  // the host has no name that `netns` takes; the namespace of process 1 is it, where a script of ours runs
  const where = ['netns', peer.at.netns ?? '1']
  return [
    ip(at, ...near, 'peer', 'name', peer.link.name, ...common(peer.link), ...farGroup, ...where),
    ...(isHost ? [alias(topology, at, link.name)] : []),
    ...(peer.link.up ? [ip(peer.at, 'link', 'set', peer.link.name, 'up')] : []),
    ...(peer.at.netns === undefined ? [alias(topology, peer.at, peer.link.name)] : []),
  ]
}

function alias(topology: string, at: Place, name: string): string {
  return ip(at, 'link', 'set', name, 'alias', mark(topology))
}

function changeWords({ up, mac, mtu, master, noMaster }: LinkChanges): string[] {
  return [
    ...(mac === undefined ? [] : ['address', mac]),
    ...(mtu === undefined ? [] : ['mtu', String(mtu)]),
    ...(noMaster ? ['nomaster'] : master === undefined ? [] : ['master', master]),
    ...(up === undefined ? [] : [up ? 'up' : 'down']),
  ]
}

function linkSet({ at, name, changes }: OperationOf<'link.set'>): string[] {
  const { hairpin } = changes
  const words = changeWords(changes)
  const port = ['type', 'bridge_slave', 'hairpin', hairpin ? 'on' : 'off']
  return [
    ...(words.length === 0 ? [] : [ip(at, 'link', 'set', name, ...words)]),
    ...(hairpin === undefined ? [] : [ip(at, 'link', 'set', name, ...port)]),
  ]
}

const PROTO = ['proto', String(PROTOCOL)]

function familyOption(family: 4 | 6): string[] {
  return family === 6 ? ['-6'] : []
}

/** The commands of one operation. */
export function shellCommands(topology: string, op: Operation): string[] {
  const { at } = op
  if (isNftOperation(op)) {
    const text = nftOperations(topology, op).map(renderOperation)
    return [`${inside(at, 'nft -f -')} <<'EOF'\n${text.join('\n')}\nEOF`]
  }
  switch (op.kind) {
    case 'netns.add': {
      const name = at.netns ?? ''
      return [
        ip({ name: '' }, 'netns', 'add', name),
        ip(at, 'link', 'set', 'lo', 'up', 'alias', namespaceMark(topology, at.name)),
      ]
    }
    case 'netns.delete':
      return [ip({ name: '' }, 'netns', 'del', at.netns ?? '')]
    case 'link.add':
      return linkAdd(topology, op)
    case 'link.delete':
      return [ip(at, 'link', 'del', op.link.name)]
    case 'links.delete':
      return [ip(at, 'link', 'del', 'group', String(linkGroup(topology)))]
    case 'link.set':
      return linkSet(op)
    case 'address.add': {
      const { dev, address } = op.address
      const nodad = address.family === 6 ? ['nodad'] : []
      // `proto` of addresses came to iproute2 with 6.3: the address itself is all that a plan compares
      return [ip(at, 'address', 'add', formatPrefix(address), 'dev', dev, ...nodad)]
    }
    case 'address.delete':
      return [ip(at, 'address', 'del', formatPrefix(op.address.address), 'dev', op.address.dev)]
    case 'route.add':
      return [ip(at, ...familyOption(op.route.to.family), 'route', 'add', ...routeKey(op.route).split(' '), ...PROTO)]
    case 'route.delete':
      return [ip(at, ...familyOption(op.route.to.family), 'route', 'del', ...routeKey(op.route).split(' '))]
    case 'rule.add':
    case 'rule.delete': {
      const [family = '-4', ...words] = ruleKey(op.rule).split(' ')
      const isAdd = op.kind === 'rule.add'
      return [ip(at, family, 'rule', isAdd ? 'add' : 'del', ...words, ...(isAdd ? ['protocol', String(PROTOCOL)] : []))]
    }
    case 'neighbour.add':
    case 'neighbour.delete': {
      const isAdd = op.kind === 'neighbour.add'
      const permanent = isAdd && !op.neighbour.proxy ? ['nud', 'permanent'] : []
      const proto = isAdd ? ['protocol', String(PROTOCOL)] : []
      return [
        ip(at, 'neighbour', isAdd ? 'add' : 'del', ...neighbourKey(op.neighbour).split(' '), ...permanent, ...proto),
      ]
    }
    case 'sysctl.set':
      return [inside(at, `sysctl -qw ${quote(`${op.key}=${op.value}`)}`)]
    case 'flows.delete': {
      const { family, protocol, destination, port, target } = op.flow
      const words = [
        ...['conntrack', '-D', '-f', family === 4 ? 'ipv4' : 'ipv6', '-p', protocol, '--orig-port-dst', String(port)],
        ...(destination === undefined ? [] : ['--orig-dst', destination]),
        ...['--reply-src', target.address, '--reply-port-src', String(target.port)],
      ]
      // it fails when there is no such flow
      return [`${inside(at, words.map(quote).join(' '))} >/dev/null 2>&1 || true`]
    }
    case 'service.start': {
      const marks = [
        `HARDWAY_TOPOLOGY=${topology}`,
        `HARDWAY_NAMESPACE=${at.name}`,
        `HARDWAY_SERVICE=${op.service.number}`,
        `HARDWAY_ARGV=${JSON.stringify(op.service.argv)}`,
      ]
      const words = [...marks, 'setsid', ...op.service.argv].map(quote).join(' ')
      // which host it belongs to: the number of the namespace that the script runs in
      const host = 'HARDWAY_HOST="$(stat -Lc %i /proc/self/ns/net)"'
      return [`${inside(at, `env ${host} ${words}`)} </dev/null >/dev/null 2>&1 &`]
    }
    case 'service.stop':
      return op.service.pid === undefined ? [] : [`kill -- -${op.service.pid}`]
    case 'keeper.start':
      return ['# hardway runs a process of its own for this; sh has none']
    case 'keeper.stop':
      return op.keeper.pid === undefined ? [] : [`kill ${op.keeper.pid}`]
    default:
      return op satisfies never
  }
}

/** The plan as a script for sh, each step under its sentence. */
export function shellScript(plan: Plan): string {
  const steps = plan.operations.map(
    (op) => `# ${describe(op).replaceAll('\n', ' ')}\n${shellCommands(plan.topology, op).join('\n')}`,
  )
  return ['#!/bin/sh', 'set -e', ...steps, ''].join('\n')
}
