/** `ls`, `show`: what is there, from the kernel. */
import { listTopologies, showTopology, type TopologySummary } from '../../engine/topologies.ts'
import { formatPrefix } from '../../ip/index.ts'
import { renderRule } from '../../nftables/text.ts'
import { neighbourKey, routeKey, ruleKey } from '../../plan/keys.ts'
import type { NamespaceState } from '../../plan/state.ts'
import { UsageError } from '../failure.ts'
import { topologyName } from '../load.ts'
import { bold, dim, print, printJson, table } from '../output.ts'

function shorten(names: readonly string[]): string {
  return names.length <= 6 ? names.join(' ') : `${names.slice(0, 5).join(' ')} … (${names.length})`
}

export function runLs(options: { readonly json?: boolean }): number {
  const topologies = listTopologies()
  if (options.json) {
    printJson(topologies)
    return 0
  }
  if (topologies.length === 0) {
    print('nothing is up; hardway up labs/03-bridge.yaml makes something')
    return 0
  }
  print(
    table(
      ['NAME', 'HOST', 'NAMESPACES', 'LINKS ON THIS HOST', 'RUNNING'],
      topologies.map((t) => [
        bold(t.name),
        t.isolated ? 'isolated' : 'this one',
        shorten(t.namespaces),
        shorten(t.hostLinks),
        running(t),
      ]),
    ),
  )
  return 0
}

function running({ services, keeper }: TopologySummary): string {
  if (services.length === 0 && keeper === undefined) return ''
  return `${shorten(services)} ${dim(keeper === undefined ? '(nothing keeps it running)' : `(kept by ${keeper})`)}`
}

/** A namespace as a tree: links with their other ends, addresses, routes, rules. */
function draw(state: NamespaceState): string {
  const lines: string[] = []
  for (const link of state.links.values()) {
    const addresses = [...state.addresses.values()]
      .filter((a) => a.dev === link.name)
      .map((a) => formatPrefix(a.address))
    const kind =
      link.link.kind === 'veth'
        ? `── ${link.link.peer.namespace}:${link.link.peer.interface}`
        : link.link.kind === 'existing'
          ? ''
          : link.link.kind
    if (link.name === 'lo' && addresses.length === 0) continue
    const words = [
      kind,
      link.master === undefined ? '' : `in ${link.master}`,
      link.hairpin ? 'hairpin' : '',
      addresses.join(' '),
      link.up ? '' : 'DOWN',
    ]
    lines.push(`${link.name.padEnd(15)} ${words.filter((w) => w !== '').join('  ')}`)
  }
  for (const route of state.routes.values()) lines.push(`route           ${routeKey(route)}`)
  for (const rule of state.rules.values()) lines.push(`rule            ${ruleKey(rule)}`)
  for (const neighbour of state.neighbours.values()) lines.push(`neighbour       ${neighbourKey(neighbour)}`)
  for (const { key, value } of state.sysctls.values()) lines.push(`sysctl          ${key} = ${value}`)
  for (const chain of state.ruleset) {
    for (const rule of chain.rules)
      lines.push(`${chain.name.padEnd(15)} ${renderRule({ expressions: rule.expressions })}`)
  }
  for (const service of state.services.values())
    lines.push(`running         ${service.argv.join(' ')} (pid ${service.pid})`)
  for (const a of state.accepts.values())
    lines.push(`accept          ${formatPrefix(a.prefix)} in ${a.family} ${a.table} ${a.chain}`)
  for (const note of state.notes) lines.push(`put back        ${note}`)
  const title =
    state.netns === undefined ? 'this host' : state.netns === state.name ? 'namespace' : `namespace ${state.netns}`
  const head = `${bold(state.name)} ${dim(`(${title})`)}`
  return [head, ...lines.map((line, i) => `${i === lines.length - 1 ? '└─' : '├─'} ${line}`)].join('\n')
}

export async function runShow(argument: string, options: { readonly json?: boolean }): Promise<number> {
  const name = await topologyName(argument)
  const states = showTopology(name)
  if (states.length === 0) {
    const up = listTopologies().map((t) => t.name)
    throw new UsageError(`${name} is not up`, up.length === 0 ? 'nothing is up' : `up are: ${up.join(', ')}`)
  }
  if (options.json) printJson({ name, namespaces: states })
  else {
    print(states.map(draw).join('\n'))
    const keeper = listTopologies().find((t) => t.name === name)?.keeper
    if (keeper !== undefined) print(dim(`pid ${keeper} starts again what runs and ends`))
  }
  return 0
}
