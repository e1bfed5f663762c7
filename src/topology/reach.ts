/** Which interface of a namespace leads to an address, without asking each of them. For when all addresses are known. */
import { addressToInteger, bitsOf, type Family, familyOf, type Prefix } from '../ip/index.ts'
import type { DraftInterface, DraftNamespace } from './draft.ts'

interface Holder {
  readonly device: DraftInterface
  readonly address: string
}

interface Length {
  readonly family: Family
  readonly length: number
  /** by the number that the network's bits make */
  readonly networks: Map<bigint, Holder>
}

interface Reach {
  /** the longest first */
  readonly lengths: readonly Length[]
  readonly own: ReadonlySet<string>
}

const known = new WeakMap<DraftNamespace, Reach>()

const networkBits = (address: string, family: Family, length: number): bigint =>
  addressToInteger(address) >> BigInt(bitsOf(family) - length)

function reachOf(namespace: DraftNamespace): Reach {
  const before = known.get(namespace)
  if (before) return before
  const lengths = new Map<string, Length>()
  const own = new Set<string>()
  for (const device of namespace.interfaces.values()) {
    for (const { prefix } of device.addresses) {
      const { address, family, length } = prefix
      own.add(address)
      const key = `${family}/${length}`
      const same = lengths.get(key) ?? { family, length, networks: new Map<bigint, Holder>() }
      lengths.set(key, same)
      const bits = networkBits(address, family, length)
      if (!same.networks.has(bits)) same.networks.set(bits, { device, address })
    }
  }
  const reach = { lengths: [...lengths.values()].sort((a, b) => b.length - a.length), own }
  known.set(namespace, reach)
  return reach
}

/** The interface whose network holds the address; the smallest network where there are several. */
export function deviceFor(namespace: DraftNamespace, address: string): DraftInterface | undefined {
  const family = familyOf(address)
  for (const { family: other, length, networks } of reachOf(namespace).lengths) {
    const holder = other === family ? networks.get(networkBits(address, family, length)) : undefined
    if (holder) return holder.device
  }
  return undefined
}

export const owns = (namespace: DraftNamespace, address: string): boolean => reachOf(namespace).own.has(address)

/** The first address that the namespace has in exactly this network. */
export function addressIn(namespace: DraftNamespace, { address, family, length }: Prefix): string | undefined {
  const same = reachOf(namespace).lengths.find((l) => l.family === family && l.length === length)
  return same?.networks.get(networkBits(address, family, length))?.address
}
