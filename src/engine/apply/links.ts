/** Operations on links, as netlink. */
import { linkGroup, mark } from '../../plan/marks.ts'
import type { OperationOf } from '../../plan/operations.ts'
import type { LinkState } from '../../plan/state.ts'
import { addLink, deleteLink, getLinkLabel, type LinkSpec, setBridgePort, setLink } from '../../rtnetlink/index.ts'
import { codeOf } from '../errors.ts'
import type { Handle, Handles } from '../handles.ts'

type VethPeer = NonNullable<OperationOf<'link.add'>['peer']>

function specOf(
  handles: Handles,
  handle: Handle,
  link: LinkState,
  peer: VethPeer | undefined,
  peerIndex: number | undefined,
  group: number,
): LinkSpec {
  const { link: kind } = link
  switch (kind.kind) {
    case 'bridge':
      return { kind: 'bridge' }
    case 'veth': {
      if (!peer) throw new Error(`the other end of ${link.name} is not in the plan`)
      const far = handles.at(peer.at)
      return {
        kind: 'veth',
        peer: {
          name: peer.link.name,
          ...(peerIndex === undefined ? {} : { index: peerIndex }),
          ...(peer.link.mac === undefined ? {} : { mac: peer.link.mac }),
          ...(peer.link.mtu === undefined ? {} : { mtu: peer.link.mtu }),
          // what is in a namespace of ours needs no mark of its own
          ...(peer.at.netns === undefined ? { group } : {}),
          netns: far.fd,
        },
      }
    }
    case 'vxlan':
      return {
        kind: 'vxlan',
        id: kind.id,
        port: kind.port,
        ...(kind.remote === undefined ? {} : { remote: kind.remote }),
        ...(kind.local === undefined ? {} : { local: kind.local }),
        ...(kind.dev === undefined ? {} : { dev: handle.index(kind.dev) }),
      }
    case 'macvlan':
      return { kind: 'macvlan', parent: handle.index(kind.parent), mode: kind.mode }
    case 'existing':
      throw new Error(`${link.name} is a device of the machine`)
    default:
      return kind satisfies never
  }
}

/** An end in the host carries the topology's name as its alias, which the kernel takes only from a second message. */
function labelled(topology: string, at: { readonly netns?: string }): { alias?: string } {
  return at.netns === undefined ? { alias: mark(topology) } : {}
}

export function applyLinkAdd(handles: Handles, topology: string, op: OperationOf<'link.add'>): void {
  const { link, peer } = op
  const handle = handles.at(op.at)
  const far = peer && handles.at(peer.at)
  const group = linkGroup(topology)
  const isHost = op.at.netns === undefined
  const make = (index?: number, peerIndex?: number): void => {
    const spec = specOf(handles, handle, link, peer, peerIndex, group)
    const messages = [
      addLink({
        name: link.name,
        ...(index === undefined ? {} : { index }),
        link: spec,
        ...(link.mac === undefined ? {} : { mac: link.mac }),
        ...(link.mtu === undefined ? {} : { mtu: link.mtu }),
        ...(link.master === undefined ? {} : { master: handle.index(link.master) }),
        ...(isHost ? { group } : {}),
        up: link.up,
      }),
      ...(isHost ? [setLink({ name: link.name }, labelled(topology, op.at))] : []),
    ]
    throwFirst(handle.route.batch(messages))
    if (index !== undefined) handle.learn(link.name, index)
    if (peer && peerIndex !== undefined) far?.learn(peer.link.name, peerIndex)
  }
  const [index, peerIndex] = [handle.freeIndex(), far?.freeIndex()]
  try {
    make(index, peerIndex)
  } catch (error) {
    // somebody else has made a device in the namespace since: the kernel chooses
    if (codeOf(error) !== 'EBUSY' || (index === undefined && peerIndex === undefined)) throw error
    make()
  }
  if (!peer) return
  const changes = { ...(peer.link.up ? { up: true } : {}), ...labelled(topology, peer.at) }
  if (Object.keys(changes).length > 0) far?.route.execute(setLink({ name: peer.link.name }, changes))
}

export function applyLinkSet(handles: Handles, op: OperationOf<'link.set'>): void {
  const handle = handles.at(op.at)
  const { up, mac, mtu, master, noMaster, hairpin } = op.changes
  const changes = {
    ...(up === undefined ? {} : { up }),
    ...(mac === undefined ? {} : { mac }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(noMaster ? { master: 0 } : master === undefined ? {} : { master: handle.index(master) }),
  }
  if (Object.keys(changes).length > 0) handle.route.execute(setLink({ name: op.name }, changes))
  if (hairpin !== undefined) handle.route.execute(setBridgePort(handle.index(op.name), { hairpin: Number(hairpin) }))
}

/** A link that is gone already is as wanted: its peer or its namespace may have taken it along. */
export function applyLinkDelete(handles: Handles, op: OperationOf<'link.delete'>): void {
  const handle = handles.at(op.at)
  handle.forget(op.link.name)
  if (getLinkLabel(handle.route, { name: op.link.name })) handle.route.execute(deleteLink({ name: op.link.name }))
}

/**
 * The whole group at once, if it holds nothing but what the plan has seen to be ours; a link that somebody else has
 * put in our group since stays.
 */
export function applyLinksDelete(handles: Handles, topology: string, op: OperationOf<'links.delete'>): void {
  const handle = handles.at(op.at)
  const group = linkGroup(topology)
  const ours = new Set(op.links)
  const inGroup = handle.labels().filter((l) => l.group === group)
  for (const name of op.links) handle.forget(name)
  if (inGroup.length === ours.size && inGroup.every((l) => ours.has(l.name))) {
    handle.route.execute(deleteLink({ group }))
    return
  }
  for (const name of op.links) {
    if (getLinkLabel(handle.route, { name })) handle.route.execute(deleteLink({ name }))
  }
}

function throwFirst(errors: readonly (Error | undefined)[]): void {
  for (const error of errors) if (error) throw error
}
