/** Segments: which interfaces hear each other. On them addresses are chosen, and must differ. */
import {
  addressToInteger,
  bitsOf,
  formatPrefix,
  integerToAddress,
  isHostAddress,
  lastAddress,
  networkOf,
  type Prefix,
} from '../ip/index.ts'
import {
  type Draft,
  type DraftAddress,
  type DraftInterface,
  type DraftNamespace,
  endKey,
  mayHaveOthers,
  proposeName,
} from './draft.ts'
import type { Path } from './problems.ts'

function* devicesOf(draft: Draft): Generator<DraftInterface> {
  for (const namespace of draft.namespaces.values()) yield* namespace.interfaces.values()
}

/** Masters must be bridges of the same namespace. */
export function checkMasters(draft: Draft): void {
  for (const namespace of draft.namespaces.values()) {
    for (const device of namespace.interfaces.values()) {
      if (device.master === undefined) continue
      const bridge = namespace.interfaces.get(device.master)
      const isBridge =
        bridge?.link.kind === 'bridge' || (bridge?.link.kind === 'existing' && mayHaveOthers(draft, namespace))
      if (isBridge || (!bridge && mayHaveOthers(draft, namespace) && draft.input.bridges === undefined)) continue
      const bridges = [...namespace.interfaces.values()].filter((d) => d.link.kind === 'bridge').map((d) => d.name)
      const hint = proposeName(device.master, bridges, 'add it under bridges')
      const what = bridge
        ? `${namespace.name}:${device.master} is not a bridge`
        : `there is no bridge "${device.master}" in ${namespace.name}`
      draft.problems.add([...device.path, 'bridge'], what, hint)
    }
  }
}

/** Numbers the segments: a veth joins its ends, a bridge its ports. */
export function markSegments(draft: Draft): void {
  const find = (namespace: string, name: string): DraftInterface | undefined =>
    draft.namespaces.get(namespace)?.interfaces.get(name)
  const ports = new Map<string, DraftInterface[]>()
  for (const device of devicesOf(draft)) {
    if (device.master === undefined) continue
    const key = endKey(device.namespace, device.master)
    const known = ports.get(key)
    if (known) known.push(device)
    else ports.set(key, [device])
  }
  let count = 0
  for (const start of devicesOf(draft)) {
    if (start.segment >= 0) continue
    const segment = count++
    const waiting: (DraftInterface | undefined)[] = [start]
    for (let device = waiting.pop(); device || waiting.length > 0; device = waiting.pop()) {
      if (!device || device.segment >= 0) continue
      device.segment = segment
      if (device.link.kind === 'veth') waiting.push(find(device.link.peer.namespace, device.link.peer.interface))
      if (device.master !== undefined) waiting.push(find(device.namespace, device.master))
      for (const port of ports.get(endKey(device.namespace, device.name)) ?? []) waiting.push(port)
    }
  }
}

/** Networks of a segment with what is taken in them. */
interface Pool {
  readonly prefix: Prefix
  readonly taken: Set<string>
  next: bigint
}

function poolsOf(draft: Draft): Map<number, Pool[]> {
  const pools = new Map<number, Pool[]>()
  const add = (segment: number, prefix: Prefix): Pool => {
    const network = networkOf(prefix)
    const known = pools.get(segment) ?? []
    pools.set(segment, known)
    const same = known.find((p) => p.prefix.address === network.address && p.prefix.length === network.length)
    if (same) return same
    const pool = { prefix: network, taken: new Set<string>(), next: addressToInteger(network.address) + 1n }
    known.push(pool)
    return pool
  }
  for (const network of draft.networks.values())
    for (const { prefix } of network.subnets) add(network.bridge.segment, prefix)
  for (const device of devicesOf(draft)) {
    for (const { prefix } of device.addresses) add(device.segment, prefix).taken.add(prefix.address)
  }
  return pools
}

function takeFree(pool: Pool): Prefix | undefined {
  const end = addressToInteger(lastAddress(pool.prefix))
  const last = pool.prefix.family === 4 && pool.prefix.length < 31 ? end - 1n : end
  for (; pool.next <= last; pool.next++) {
    const address = integerToAddress(pool.next, pool.prefix.family)
    if (pool.taken.has(address)) continue
    pool.taken.add(address)
    return { ...pool.prefix, address }
  }
  return undefined
}

/** Gives `auto` interfaces the next free address of each network on their segment, in the order of the file. */
export function chooseAddresses(draft: Draft): void {
  const pools = poolsOf(draft)
  for (const device of devicesOf(draft)) {
    if (!device.isAuto) continue
    const here = pools.get(device.segment) ?? []
    if (here.length === 0) {
      draft.problems.add(
        [...device.path, 'addresses'],
        `no network is known on the segment of ${device.namespace}:${device.name}`,
        'give its peer or its bridge an address, or write one here',
      )
    }
    for (const pool of here) {
      if (device.addresses.some((a) => a.prefix.family === pool.prefix.family)) continue
      const prefix = takeFree(pool)
      if (prefix) device.addresses.push({ prefix })
      else
        draft.problems.add(
          device.path,
          `${formatPrefix(pool.prefix)} has no free address for ${device.namespace}:${device.name}`,
          'take a larger network',
          { onKey: true },
        )
    }
  }
}

/** Host addresses, no duplicates within reach, no two interfaces of a namespace in one network. */
export function checkAddresses(draft: Draft): void {
  const onSegment = new Map<string, { device: DraftInterface; address: DraftAddress }>()
  for (const namespace of draft.namespaces.values()) {
    const inNamespace = new Map<string, DraftInterface>()
    for (const device of namespace.interfaces.values()) {
      for (const address of device.addresses) {
        checkOne(draft, device, address, onSegment, inNamespace)
      }
    }
    checkOverlaps(draft, namespace)
  }
}

function checkOne(
  draft: Draft,
  device: DraftInterface,
  address: DraftAddress,
  onSegment: Map<string, { device: DraftInterface; address: DraftAddress }>,
  inNamespace: Map<string, DraftInterface>,
): void {
  const { prefix } = address
  const path = address.path ?? device.path
  const name = endKey(device.namespace, device.name)
  if (!isHostAddress(prefix)) {
    const kind = prefix.address === networkOf(prefix).address ? 'network' : 'broadcast'
    draft.problems.add(
      path,
      `${formatPrefix(prefix)} is the ${kind} address of its network`,
      'take an address between the first and the last',
    )
    return
  }
  const key = `${device.segment} ${prefix.address}`
  const other = onSegment.get(key)
  const twin = inNamespace.get(prefix.address)
  if (twin || other) {
    const holder = twin ?? other?.device
    const first = other?.address.path ?? twin?.addresses.find((a) => a.prefix.address === prefix.address)?.path
    const at = first && draft.locate(first)
    const where = holder ? `${endKey(holder.namespace, holder.name)}${at ? ` (line ${at.line})` : ''}` : ''
    draft.problems.add(
      path,
      `duplicate address ${prefix.address} on ${name}: ${where} has it already`,
      freeHint(prefix, onSegment, device.segment),
    )
    return
  }
  onSegment.set(key, { device, address })
  inNamespace.set(prefix.address, device)
}

function freeHint(prefix: Prefix, taken: ReadonlyMap<string, unknown>, segment: number): string {
  const end = addressToInteger(lastAddress(prefix))
  for (let n = addressToInteger(prefix.address) + 1n; n < end; n++) {
    const address = integerToAddress(n, prefix.family)
    if (!taken.has(`${segment} ${address}`)) return `${address}/${prefix.length} is free`
  }
  return 'choose another'
}

interface Placement {
  readonly device: DraftInterface
  readonly path: Path
  readonly network: Prefix
  readonly first: bigint
  readonly last: bigint
  readonly order: number
}

function placementsOf(namespace: DraftNamespace): Placement[] {
  const found: Placement[] = []
  for (const device of namespace.interfaces.values()) {
    for (const { prefix, path } of device.addresses) {
      const bits = bitsOf(prefix.family)
      // a host route of its own may lie anywhere
      if (prefix.length === bits) continue
      const network = networkOf(prefix)
      const first = addressToInteger(network.address)
      const last = first + (1n << BigInt(bits - prefix.length)) - 1n
      found.push({ device, path: path ?? device.path, network, first, last, order: found.length })
    }
  }
  return found
}

/** Two networks are apart, or one holds the other: in order of their first address the holders lie on a stack. */
function checkOverlaps(draft: Draft, namespace: DraftNamespace): void {
  const placements = placementsOf(namespace)
  const told = new Set<Placement>()
  for (const family of [4, 6] as const) {
    const holders: Placement[] = []
    const sorted = placements.filter((p) => p.network.family === family)
    sorted.sort((a, b) =>
      a.first < b.first ? -1 : a.first > b.first ? 1 : a.network.length - b.network.length || a.order - b.order,
    )
    for (const inner of sorted) {
      for (let top = holders.at(-1); top && top.last < inner.first; top = holders.at(-1)) holders.pop()
      const outer = holders.find((h) => h.device !== inner.device)
      // the same network many times over needs one holder only
      if (holders.at(-1)?.device !== inner.device || outer === undefined) holders.push(inner)
      if (!outer) continue
      const [early, late] = outer.order < inner.order ? [outer, inner] : [inner, outer]
      if (told.has(late)) continue
      told.add(late)
      draft.problems.add(
        late.path,
        `${namespace.name}:${late.device.name} and ${namespace.name}:${early.device.name} are in overlapping networks (${formatPrefix(late.network)})`,
        'put the two in different networks, or make both ports of one bridge',
      )
    }
  }
}
