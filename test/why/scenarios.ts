/** Random topologies for the test of `why`: routed, bridged, translated, published; IPv4 or IPv6; 3 to 12 namespaces. */
import type { Model, TopologyInput } from '../../src/index.ts'
import { defineTopology } from '../../src/index.ts'

export type Random = (below: number) => number

/** mulberry32: the same numbers for the same seed. */
export function randomFrom(seed: number): Random {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

export type Kind = 'bridged' | 'routed' | 'translated' | 'published'
export const kinds: readonly Kind[] = ['bridged', 'routed', 'translated', 'published']

/** A device by its namespace's name on this machine. */
export interface Device {
  readonly ns: string
  readonly dev: string
}

export interface Scenario {
  readonly kind: Kind
  readonly family: 4 | 6
  readonly model: Model
  /** names on this machine */
  readonly from: string
  readonly to: string
  /** device and address of both ends */
  readonly near: Device & { readonly address: string }
  readonly far: Device & { readonly address: string }
  /** what the sender sends to */
  readonly target: string
  readonly protocol: 'icmp' | 'tcp' | 'udp'
  /** where the sender sends to, and where the service listens */
  readonly port?: number
  readonly servicePort?: number
  /** the first router on the way, with its devices towards both ends */
  readonly router?: { readonly ns: string; readonly toNear: string; readonly toFar: string }
  /** the bridge between the two, with the ports towards both ends */
  readonly bridge?: { readonly ns: string; readonly name: string; readonly nearPort: string; readonly farPort: string }
  /** a third namespace on the far end's link */
  readonly third?: Device
  /** prefix length of the addresses */
  readonly length: number
}

const net = (family: 4 | 6, n: number, host: number): string =>
  family === 4 ? `10.9.${n}.${host}` : `fd00:9:${n}::${host.toString(16)}`

export function scenario(name: string, random: Random): Scenario {
  const kind = kinds[random(kinds.length)] ?? 'bridged'
  const family = random(3) === 0 ? 6 : 4
  return builders[kind](name, family, random)
}

const builders: Readonly<Record<Kind, (name: string, family: 4 | 6, random: Random) => Scenario>> = {
  bridged,
  routed,
  translated,
  published,
}

const lengthOf = (family: 4 | 6): number => (family === 4 ? 24 : 64)

function anyProtocol(random: Random): { protocol: Scenario['protocol']; port?: number; servicePort?: number } {
  const protocol = (['icmp', 'tcp', 'udp'] as const)[random(3)] ?? 'icmp'
  return protocol === 'icmp' ? { protocol } : { protocol, port: 8080, servicePort: 8080 }
}

function define(name: string, topology: TopologyInput): Model {
  return defineTopology({ ...topology, name, isolated: true }, { file: name })
}

function bridged(name: string, family: 4 | 6, random: Random): Scenario {
  const count = 3 + random(8)
  const length = lengthOf(family)
  const ns = (i: number): string => `${name}h${i}`
  const hub = `${name}b`
  const numbers = Array.from({ length: count }, (_, i) => i)
  const model = define(name, {
    namespaces: {
      [hub]: { interfaces: Object.fromEntries(numbers.map((i) => [`p${i}`, { bridge: 'br0' }])) },
      ...Object.fromEntries(
        numbers.map((i) => [ns(i), { interfaces: { e0: { addresses: `${net(family, 0, i + 10)}/${length}` } } }]),
      ),
    },
    bridges: { br0: { in: hub, addresses: `${net(family, 0, 1)}/${length}` } },
    links: numbers.map((i) => [`${hub}:p${i}`, `${ns(i)}:e0`] as [string, string]),
  })
  return {
    kind: 'bridged',
    family,
    model,
    from: ns(0),
    to: ns(1),
    near: { ns: ns(0), dev: 'e0', address: net(family, 0, 10) },
    far: { ns: ns(1), dev: 'e0', address: net(family, 0, 11) },
    target: net(family, 0, 11),
    ...anyProtocol(random),
    bridge: { ns: hub, name: 'br0', nearPort: 'p0', farPort: 'p1' },
    third: { ns: ns(2), dev: 'e0' },
    length,
  }
}

/** a — r1 — … — rN — b */
function routed(name: string, family: 4 | 6, random: Random): Scenario {
  const routers = 1 + random(4)
  const length = lengthOf(family)
  const a = `${name}a`
  const b = `${name}z`
  const r = (i: number): string => `${name}r${i}`
  const all = family === 4 ? '10.9.0.0/16' : 'fd00:9::/32'
  const links: [string, string][] = [[`${a}:e0`, `${r(1)}:l0`]]
  const namespaces: NonNullable<TopologyInput['namespaces']> = {
    [a]: {
      interfaces: { e0: { addresses: `${net(family, 1, 2)}/${length}` } },
      routes: [{ to: 'default', via: net(family, 1, 1) }],
    },
    [b]: {
      interfaces: { e0: { addresses: `${net(family, routers + 1, 2)}/${length}` } },
      routes: [{ to: 'default', via: net(family, routers + 1, 1) }],
    },
  }
  const netsAfter = (i: number): number[] => Array.from({ length: routers + 1 - i }, (_, k) => i + 1 + k)
  const netsBefore = (i: number): number[] => Array.from({ length: i }, (_, k) => k + 1)
  for (let i = 1; i <= routers; i++) {
    const last = i === routers
    const ahead = last
      ? []
      : netsAfter(i)
          .slice(1)
          .map((n) => ({ to: subnet(family, n, length), via: net(family, i + 1, 3) }))
    const behind =
      i === 1
        ? []
        : netsBefore(i)
            .slice(0, -1)
            .map((n) => ({ to: subnet(family, n, length), via: net(family, i, 1) }))
    namespaces[r(i)] = {
      interfaces: {
        l0: { addresses: `${net(family, i, i === 1 ? 1 : 3)}/${length}` },
        l1: { addresses: `${net(family, i + 1, 1)}/${length}` },
      },
      routes: [...ahead, ...behind],
    }
    links.push(last ? [`${r(i)}:l1`, `${b}:e0`] : [`${r(i)}:l1`, `${r(i + 1)}:l0`])
  }
  return {
    kind: 'routed',
    family,
    model: define(name, { namespaces, links, forward: [all] }),
    from: a,
    to: b,
    near: { ns: a, dev: 'e0', address: net(family, 1, 2) },
    far: { ns: b, dev: 'e0', address: net(family, routers + 1, 2) },
    target: net(family, routers + 1, 2),
    ...anyProtocol(random),
    router: { ns: r(1), toNear: 'l0', toFar: 'l1' },
    length,
  }
}

function subnet(family: 4 | 6, n: number, length: number): string {
  return family === 4 ? `10.9.${n}.0/${length}` : `fd00:9:${n}::/${length}`
}

/** A LAN behind a router that masquerades; outside somebody with a public address and no way back. */
function translated(name: string, family: 4 | 6, random: Random): Scenario {
  const count = 1 + random(5)
  const length = lengthOf(family)
  const router = `${name}r`
  const world = `${name}w`
  const ns = (i: number): string => `${name}n${i}`
  const numbers = Array.from({ length: count }, (_, i) => i)
  const out = family === 4 ? ['203.0.113.2', '203.0.113.1'] : ['2001:db8:1::2', '2001:db8:1::1']
  const public_ = family === 4 ? '1.1.1.1' : '2001:db8:ffff::1'
  const model = define(name, {
    namespaces: {
      [router]: {
        interfaces: {
          ...Object.fromEntries(numbers.map((i) => [`p${i}`, { bridge: 'br0' }])),
          up0: { addresses: `${out[0]}/${length}` },
        },
        routes: [{ to: 'default', via: out[1] ?? '' }],
      },
      [world]: {
        interfaces: {
          e0: { addresses: `${out[1]}/${length}` },
          lo: { addresses: `${public_}/${family === 4 ? 32 : 128}` },
        },
      },
      ...Object.fromEntries(
        numbers.map((i) => [
          ns(i),
          {
            interfaces: { e0: { addresses: `${net(family, 0, i + 10)}/${length}` } },
            routes: [{ to: 'default', via: net(family, 0, 1) }],
          },
        ]),
      ),
    },
    bridges: { br0: { in: router, addresses: `${net(family, 0, 1)}/${length}` } },
    links: [
      ...numbers.map((i) => [`${router}:p${i}`, `${ns(i)}:e0`] as [string, string]),
      [`${router}:up0`, `${world}:e0`] as [string, string],
    ],
    masquerade: [{ from: subnet(family, 0, length), out: 'up0', in: router }],
  })
  return {
    kind: 'translated',
    family,
    model,
    from: ns(0),
    to: world,
    near: { ns: ns(0), dev: 'e0', address: net(family, 0, 10) },
    far: { ns: world, dev: 'e0', address: public_ },
    target: public_,
    ...anyProtocol(random),
    router: { ns: router, toNear: 'br0', toFar: 'up0' },
    length,
  }
}

/** A service on a LAN, published by the router; the sender is outside, on the router, or a neighbour of the service. */
function published(name: string, family: 4 | 6, random: Random): Scenario {
  const length = lengthOf(family)
  const router = `${name}r`
  const outside = `${name}o`
  const ns = (i: number): string => `${name}s${i}`
  const protocol = random(3) === 0 ? 'udp' : 'tcp'
  const listen = family === 4 ? '192.168.99.12' : 'fd00:99::12'
  // the last one sends from the router to its own loopback address
  const sender = random(family === 4 ? 4 : 3)
  const published_ =
    sender === 3 ? `:80/${protocol}` : family === 4 ? `${listen}:80/${protocol}` : `[${listen}]:80/${protocol}`
  const from = sender === 0 || sender === 3 ? router : sender === 1 ? ns(1) : outside
  const model = define(name, {
    namespaces: {
      [router]: {
        interfaces: {
          p0: { bridge: 'br0' },
          p1: { bridge: 'br0' },
          up0: { addresses: `${listen}/${length}` },
        },
      },
      [outside]: { interfaces: { e0: { addresses: `${family === 4 ? '192.168.99.1' : 'fd00:99::1'}/${length}` } } },
      ...Object.fromEntries(
        [0, 1].map((i) => [
          ns(i),
          {
            interfaces: { e0: { addresses: `${net(family, 0, i + 10)}/${length}` } },
            routes: [{ to: 'default', via: net(family, 0, 1) }],
          },
        ]),
      ),
    },
    bridges: { br0: { in: router, addresses: `${net(family, 0, 1)}/${length}` } },
    links: [
      [`${router}:p0`, `${ns(0)}:e0`],
      [`${router}:p1`, `${ns(1)}:e0`],
      [`${router}:up0`, `${outside}:e0`],
    ],
    publish: [{ listen: published_, to: `${ns(0)}:8080`, in: router }],
  })
  return {
    kind: 'published',
    family,
    model,
    from,
    to: ns(0),
    near:
      sender === 0 || sender === 3
        ? { ns: router, dev: 'up0', address: listen }
        : sender === 1
          ? { ns: ns(1), dev: 'e0', address: net(family, 0, 11) }
          : { ns: outside, dev: 'e0', address: family === 4 ? '192.168.99.1' : 'fd00:99::1' },
    far: { ns: ns(0), dev: 'e0', address: net(family, 0, 10) },
    target: sender === 3 ? '127.0.0.1' : listen,
    protocol,
    port: 80,
    servicePort: 8080,
    router: { ns: router, toNear: 'up0', toFar: 'br0' },
    length,
  }
}
