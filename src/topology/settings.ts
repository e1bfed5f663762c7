/** Routes, rules, neighbours, sysctls and programs of a namespace. */
import { canonicalAddress, familyOf, formatPrefix, networkOf, type Prefix, prefixContains } from '../ip/index.ts'
import { each } from './check.ts'
import { checkDevice, type Draft, type DraftNamespace, hasFamily, mayHaveOthers, placed } from './draft.ts'
import type { Route } from './model.ts'
import type { Path } from './problems.ts'
import { deviceFor, owns } from './reach.ts'
import type { RouteBody } from './schema.ts'
import { readPrefix, TABLES } from './values.ts'
import { splitWords } from './words.ts'

const canonical = (text: string): string => canonicalAddress(text) ?? text

function tableNumber(table: string | number): number {
  return typeof table === 'number' ? table : (TABLES.get(table) ?? 254)
}

function networksOf(namespace: DraftNamespace): string {
  const networks = [...namespace.interfaces.values()].flatMap((d) =>
    d.addresses.map((a) => formatPrefix(networkOf(a.prefix))),
  )
  return networks.length === 0
    ? `give an interface of ${namespace.name} an address first`
    : `its networks are ${[...new Set(networks)].slice(0, 6).join(', ')}`
}

/** Finds or checks the device of a gateway; undefined when a problem was told. */
function gatewayDevice(
  draft: Draft,
  namespace: DraftNamespace,
  via: string,
  dev: string | undefined,
  onlink: boolean,
  path: Path,
): string | undefined {
  if (dev !== undefined && !checkDevice(draft, namespace, dev, [...path, 'dev'])) return undefined
  if (owns(namespace, via)) {
    const hint = 'a gateway is the address of another namespace in the same network'
    draft.problems.add([...path, 'via'], `gateway ${via} is an address of ${namespace.name} itself`, hint)
    return undefined
  }
  const found = deviceFor(namespace, via)
  const given = dev === undefined ? undefined : namespace.interfaces.get(dev)
  const isReached =
    dev === undefined ? found !== undefined : given?.addresses.some((a) => prefixContains(a.prefix, via))
  // a device of the machine may have addresses that the file does not know
  const isUnknown = mayHaveOthers(draft, namespace) && (given === undefined || given.link.kind === 'existing')
  if (isReached) return dev ?? found?.name
  if (dev !== undefined && (onlink || isUnknown || via.startsWith('fe80:'))) return dev
  if (isUnknown && dev === undefined && mayHaveOthers(draft, namespace)) {
    draft.problems.add([...path, 'via'], `which device leads to gateway ${via} is not in the file`, 'add dev')
    return undefined
  }
  const what = `gateway ${via} is outside every subnet of ${dev === undefined ? namespace.name : `${namespace.name}:${dev}`}`
  draft.problems.add([...path, 'via'], what, `${networksOf(namespace)}; or add dev and onlink: true`)
  return undefined
}

function destination(route: RouteBody, namespace: DraftNamespace): Prefix {
  if (route.to !== 'default') return networkOf(readPrefix(route.to))
  const via = route.via ?? route.nexthops?.find((hop) => hop?.via !== undefined)?.via
  const family =
    via !== undefined ? familyOf(canonical(via)) : hasFamily(namespace, 4) || !hasFamily(namespace, 6) ? 4 : 6
  return { address: family === 4 ? '0.0.0.0' : '::', length: 0, family }
}

function readRoute(draft: Draft, namespace: DraftNamespace, route: RouteBody, path: Path): Route | undefined {
  const { problems } = draft
  const to = destination(route, namespace)
  const src = route.src === undefined ? undefined : canonical(route.src)
  const base = {
    to,
    type: route.type,
    ...(src === undefined ? {} : { src }),
    ...(route.scope === undefined ? {} : { scope: route.scope }),
    ...(route.metric === undefined ? {} : { metric: route.metric }),
    table: tableNumber(route.table),
    onlink: route.onlink,
    ...(route.mtu === undefined ? {} : { mtu: route.mtu }),
    ...placed(draft, path),
  }
  if (route.type !== 'unicast') {
    if (route.via === undefined && route.dev === undefined && !route.nexthops) return base
    problems.add(
      path,
      `a ${route.type} route leads nowhere, it has no gateway or device`,
      'leave out via, dev and nexthops',
    )
    return undefined
  }
  // an address that is wrong in the file may be the one
  const isSure = !mayHaveOthers(draft, namespace) && !problems.touches([...namespace.path, 'interfaces'])
  if (src !== undefined && isSure && !owns(namespace, src)) {
    problems.add([...path, 'src'], `${namespace.name} does not have the address ${src}`, networksOf(namespace))
    return undefined
  }
  for (const [text, at] of [
    [route.via, 'via'],
    [route.src, 'src'],
  ] as const) {
    if (text !== undefined && familyOf(canonical(text)) !== to.family) {
      problems.add(
        [...path, at],
        `${text} is IPv${familyOf(text)}, the route to ${formatPrefix(to)} is IPv${to.family}`,
        'use one family in a route',
      )
      return undefined
    }
  }
  if (route.nexthops && route.nexthops.length > 0) {
    const nexthops = []
    for (const [hop, at] of each(route.nexthops, [...path, 'nexthops'])) {
      const via = hop.via === undefined ? undefined : canonical(hop.via)
      if (via === undefined && hop.dev === undefined) {
        problems.add(at, 'a nexthop has neither via nor dev', 'add the gateway')
        return undefined
      }
      const dev = via === undefined ? hop.dev : gatewayDevice(draft, namespace, via, hop.dev, route.onlink, at)
      if (dev === undefined) return undefined
      nexthops.push({ ...(via === undefined ? {} : { via }), dev, weight: hop.weight })
    }
    return { ...base, nexthops }
  }
  if (route.via === undefined && route.dev === undefined) {
    if (!problems.touches(path))
      problems.add(path, `the route to ${route.to} has neither via nor dev`, 'add the gateway: via: …')
    return undefined
  }
  const via = route.via === undefined ? undefined : canonical(route.via)
  if (via === undefined) {
    const isThere = route.dev !== undefined && checkDevice(draft, namespace, route.dev, [...path, 'dev'])
    return isThere && route.dev !== undefined ? { ...base, dev: route.dev } : undefined
  }
  const dev = gatewayDevice(draft, namespace, via, route.dev, route.onlink, path)
  return dev === undefined ? undefined : { ...base, via, dev }
}

/** The kernel's own rules end at 32766; free priorities are taken from below it, as ip-rule(8) does. */
const LAST_PRIORITY = 32765

function addRules(draft: Draft, namespace: DraftNamespace): void {
  const path = [...namespace.path, 'rules']
  const rules = [...each(namespace.body.rules, path)]
  const taken = new Set(rules.map(([rule]) => rule.priority))
  let next = LAST_PRIORITY
  for (const [rule, at] of rules) {
    const from = rule.from === undefined ? undefined : readPrefix(rule.from)
    const to = rule.to === undefined ? undefined : readPrefix(rule.to)
    if (from && to && from.family !== to.family) {
      draft.problems.add([...at, 'to'], 'a rule has from and to of two families', 'use one family in a rule')
      continue
    }
    while (rule.priority === undefined && taken.has(next)) next--
    const priority = rule.priority ?? next
    taken.add(priority)
    namespace.rules.push({
      family: (from ?? to)?.family ?? 4,
      ...(from ? { from } : {}),
      ...(to ? { to } : {}),
      ...(rule.iif === undefined ? {} : { iif: rule.iif }),
      ...(rule.oif === undefined ? {} : { oif: rule.oif }),
      ...(rule.mark === undefined ? {} : { mark: rule.mark }),
      table: tableNumber(rule.table),
      priority,
      ...placed(draft, at),
    })
  }
}

function addNeighbours(draft: Draft, namespace: DraftNamespace): void {
  for (const [n, at] of each(namespace.body.neighbours, [...namespace.path, 'neighbours'])) {
    const ip = canonical(n.ip)
    if (n.mac === undefined && !n.proxy) {
      if (!draft.problems.touches(at))
        draft.problems.add(at, `neighbour ${ip} has no mac`, 'add mac, or proxy: true to answer for it')
      continue
    }
    if (n.dev !== undefined && !checkDevice(draft, namespace, n.dev, [...at, 'dev'])) continue
    const dev = n.dev ?? deviceFor(namespace, ip)?.name
    if (dev === undefined) {
      draft.problems.add(at, `which interface leads to neighbour ${ip} is not in the file`, 'add dev')
      continue
    }
    const mac = n.proxy || n.mac === undefined ? {} : { mac: n.mac.toLowerCase() }
    namespace.neighbours.push({ ip, ...mac, dev, proxy: n.proxy, ...placed(draft, at) })
  }
}

function addServices(draft: Draft, namespace: DraftNamespace): void {
  for (const [given, at] of each(namespace.body.run, [...namespace.path, 'run'])) {
    const argv = typeof given === 'string' ? splitWords(given) : given.filter((w) => w !== undefined)
    if (!argv) draft.problems.add(at, 'a quote is left open', 'close it, or write the words as a list')
    else if (argv.length === 0 || argv[0] === '')
      draft.problems.add(at, 'there is no program to run', 'like python3 -m http.server 8080')
    else namespace.run.push({ argv, ...placed(draft, at) })
  }
}

export function addSettings(draft: Draft): void {
  for (const namespace of draft.namespaces.values()) {
    for (const [route, path] of each(namespace.body.routes, [...namespace.path, 'routes'])) {
      const read = readRoute(draft, namespace, route, path)
      if (read) namespace.routes.push(read)
    }
    addRules(draft, namespace)
    addNeighbours(draft, namespace)
    addServices(draft, namespace)
    for (const [key, given] of Object.entries(namespace.body.sysctls ?? {})) {
      if (given === null || given === undefined) continue
      const value = typeof given === 'boolean' ? (given ? '1' : '0') : String(given)
      namespace.sysctls.set(key, { key, value, ...placed(draft, [...namespace.path, 'sysctls', key], { onKey: true }) })
    }
  }
}

const DETECTION = 'net.ipv6.conf.default.accept_dad'

/**
 * In namespaces of ours link-local addresses, too, work at once: for a second or two a router could ask for no
 * neighbour. Duplicates are looked for in the file.
 */
export function skipDuplicateDetection(draft: Draft): void {
  for (const namespace of draft.namespaces.values()) {
    if (mayHaveOthers(draft, namespace) || !hasFamily(namespace, 6) || namespace.sysctls.has(DETECTION)) continue
    const because = 'the file has no duplicate addresses, and without the search for them none has to wait'
    namespace.sysctls.set(DETECTION, { key: DETECTION, value: '0', because })
  }
}
