/** Operations for people: one sentence each, with the reason where it is not plain. */
import { formatPrefix } from '../ip/index.ts'
import { flowKey, isEarly } from './flows.ts'
import { acceptKey, addressKey, neighbourKey, routeKey, ruleKey } from './keys.ts'
import type { ChainChange, Operation, Place } from './operations.ts'
import { HOST, type KeeperState, type LinkState } from './state.ts'

/** What an operation is about, in a few words: for tables and errors. */
export function describeObject(op: Operation): string {
  switch (op.kind) {
    case 'netns.add':
    case 'netns.delete':
      return `namespace ${op.at.netns}`
    case 'link.add':
      return op.peer
        ? `link ${end(op.at, op.link)} – ${end(op.peer.at, op.peer.link)}`
        : `${op.link.link.kind} ${end(op.at, op.link)}`
    case 'link.delete':
      return `link ${end(op.at, op.link)}`
    case 'links.delete':
      return `${op.links.length} links of ${op.at.name}`
    case 'link.set':
      return `link ${op.at.name}:${op.name}`
    case 'address.add':
    case 'address.delete':
      return `address ${addressKey(op.address)} in ${op.at.name}`
    case 'route.add':
    case 'route.delete':
      return `route ${routeKey(op.route)} in ${op.at.name}`
    case 'rule.add':
    case 'rule.delete':
      return `rule ${ruleKey(op.rule)} in ${op.at.name}`
    case 'neighbour.add':
    case 'neighbour.delete':
      return `neighbour ${neighbourKey(op.neighbour)} in ${op.at.name}`
    case 'sysctl.set':
      return `sysctl ${op.key} = ${op.value} in ${op.at.name}`
    case 'notes.set':
      return `notes of what to put back in ${op.at.name}`
    case 'ruleset.set':
      return `rules of ${op.at.name}: ${op.chains.map((c) => c.chain.name).join(', ')}`
    case 'table.delete':
      return `table in ${op.at.name}`
    case 'flows.delete':
      return `flows ${flowKey(op.flow)} in ${op.at.name}`
    case 'accept.add':
    case 'accept.delete':
      return `accept in ${acceptKey(op.accept)}`
    case 'service.start':
    case 'service.stop':
      return `service in ${op.at.name}: ${op.service.argv.join(' ')}`
    case 'keeper.start':
    case 'keeper.stop':
      return `keeper of ${op.keeper.services.length} services`
    default:
      return op satisfies never
  }
}

function end(at: Place, link: LinkState): string {
  return `${at.name}:${link.name}`
}

function linkSentence(at: Place, link: LinkState): string {
  const words = [
    link.master === undefined ? '' : `a port of ${link.master}`,
    link.mac === undefined ? '' : `with MAC ${link.mac}`,
    link.mtu === undefined ? '' : `with MTU ${link.mtu}`,
  ].filter((word) => word !== '')
  return `${end(at, link)}${words.length === 0 ? '' : ` (${words.join(', ')})`}`
}

function changesSentence(changes: readonly ChainChange[]): string {
  const count = (n: number, word: string): string => (n === 0 ? '' : `${n} ${word}`)
  return changes
    .map(({ chain, change, deleted, added }) => {
      const parts = [
        change === 'edit' ? '' : change === 'add' ? 'new' : 'removed',
        change === 'delete' ? '' : count(added.length, added.length === 1 ? 'rule more' : 'rules more'),
        change === 'edit' ? count(deleted.length, 'fewer') : '',
      ]
      return `${chain.name} (${parts.filter((p) => p !== '').join(', ')})`
    })
    .join(', ')
}

/** A full sentence without the full stop. */
export function describe(op: Operation): string {
  const where = op.at.name === HOST ? 'the host' : op.at.name
  switch (op.kind) {
    case 'netns.add':
      return `Create namespace ${op.at.netns}, its loopback up and marked as ours`
    case 'netns.delete':
      return `Delete namespace ${op.at.netns} and all in it`
    case 'link.add':
      if (op.peer)
        return `Connect ${linkSentence(op.at, op.link)} and ${linkSentence(op.peer.at, op.peer.link)} by a veth pair`
      return `Create ${op.link.link.kind} ${linkSentence(op.at, op.link)}`
    case 'link.delete':
      return `Delete link ${end(op.at, op.link)}`
    case 'links.delete':
      return `Delete all ${op.links.length} links of ours on ${where}, by their group`
    case 'link.set': {
      const { up, mac, mtu, master, noMaster, hairpin } = op.changes
      const changes = [
        up === undefined ? '' : up ? 'up' : 'down',
        mac === undefined ? '' : `MAC ${mac}`,
        mtu === undefined ? '' : `MTU ${mtu}`,
        noMaster ? 'out of its bridge' : master === undefined ? '' : `into bridge ${master}`,
        hairpin === undefined ? '' : `hairpin ${hairpin ? 'on' : 'off'}`,
      ].filter((c) => c !== '')
      return `Set ${op.at.name}:${op.name} ${changes.join(', ')}${because(op.because)}`
    }
    case 'address.add':
      return `Give ${op.at.name}:${op.address.dev} the address ${formatPrefix(op.address.address)}`
    case 'address.delete':
      return `Take the address ${formatPrefix(op.address.address)} from ${op.at.name}:${op.address.dev}`
    case 'route.add':
      return `Route ${routeKey(op.route)} in ${where}`
    case 'route.delete':
      return `Remove the route ${routeKey(op.route)} from ${where}`
    case 'rule.add':
      return `Add the routing rule ${ruleKey(op.rule)} in ${where}`
    case 'rule.delete':
      return `Remove the routing rule ${ruleKey(op.rule)} from ${where}`
    case 'neighbour.add':
      return `Tell ${where} its neighbour ${neighbourKey(op.neighbour)}`
    case 'neighbour.delete':
      return `Let ${where} forget its neighbour ${neighbourKey(op.neighbour)}`
    case 'sysctl.set':
      return `Set ${op.key} to ${op.value} in ${where}${because(op.because)}`
    case 'notes.set':
      return op.notes.length === 0
        ? `Forget what to put back in ${where}: it is done`
        : `Note in our table what to put back in ${where}: ${op.notes.join('; ')}`
    case 'ruleset.set':
      return `Set the rules of our table in ${where}: ${changesSentence(op.chains)}`
    case 'table.delete':
      return `Delete our table in ${where}`
    case 'flows.delete':
      return `Forget the flows of ${flowKey(op.flow)} in ${where}: a busy one would go on ${isEarly(op.flow) ? 'as before the rule' : 'to its old target'}`
    case 'accept.add':
      return `Accept ${op.accept.direction} ${formatPrefix(op.accept.prefix)} in ${op.accept.family} ${op.accept.table} ${op.accept.chain}, which would drop it`
    case 'accept.delete':
      return `Remove our accept of ${op.accept.direction} ${formatPrefix(op.accept.prefix)} from ${op.accept.family} ${op.accept.table} ${op.accept.chain}`
    case 'service.start':
      return `Start in ${where}: ${op.service.argv.join(' ')}`
    case 'service.stop':
      return `Stop in ${where}: ${op.service.argv.join(' ')}`
    case 'keeper.start':
      return `Start a keeper, which starts ${kept(op.keeper)} again when they end`
    case 'keeper.stop':
      return `Stop the keeper of ${kept(op.keeper)}`
    default:
      return op satisfies never
  }
}

function kept({ services }: KeeperState): string {
  return services.map((s) => `${s.namespace}:${s.argv[0]}`).join(', ')
}

function because(reason: string | undefined): string {
  return reason === undefined ? '' : `: ${reason}`
}
