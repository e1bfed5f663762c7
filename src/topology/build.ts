/** From a tree to a model, or to everything that is wrong with it; the same for texts and objects. */
import { checkFormat } from './check.ts'
import type { Draft, DraftInterface, DraftNamespace } from './draft.ts'
import { readExpectations } from './expectations.ts'
import { addBridges, addInterfaces, addNamespaces, checkParents, readLinks } from './interfaces.ts'
import type { Interface, Model, Namespace } from './model.ts'
import { addNetworks } from './networks.ts'
import { readForward, readMasquerades, readPublishes, turnForwardingOn } from './outward.ts'
import type { Locate, Problem, Problems } from './problems.ts'
import type { Topology } from './schema.ts'
import { checkAddresses, checkMasters, chooseAddresses, markSegments } from './segments.ts'
import { addSettings, skipDuplicateDetection } from './settings.ts'
import type { Tree } from './tree.ts'
import { topologyNameFrom } from './values.ts'

export interface BuildOptions {
  /** its base name is the topology's name when the file has none */
  readonly file: string
  /** wins over what the file says */
  readonly isolated?: boolean
}

export type Built = { readonly model: Model } | { readonly problems: readonly Problem[] }

/** Problems are added to those that reading found already, and come in the order of the file. */
export function buildModel(tree: Tree, problems: Problems, locate: Locate, options: BuildOptions): Built {
  const input: Topology = checkFormat(tree, problems)
  const isolated = options.isolated ?? input.isolated ?? false
  const draft: Draft = {
    isolated,
    input,
    problems,
    locate,
    namespaces: new Map(),
    networks: new Map(),
    linkEnds: new Map(),
  }
  addNamespaces(draft)
  addBridges(draft)
  readLinks(draft)
  addInterfaces(draft)
  addNetworks(draft)
  checkMasters(draft)
  checkParents(draft)
  markSegments(draft)
  chooseAddresses(draft)
  checkAddresses(draft)
  addSettings(draft)
  skipDuplicateDetection(draft)
  const masquerade = readMasquerades(draft)
  const publish = readPublishes(draft)
  turnForwardingOn(draft, masquerade, publish)
  const forward = readForward(draft)
  const expect = readExpectations(draft)
  if (!problems.isEmpty) return { problems: problems.sorted() }
  const name = input.name ?? topologyNameFrom(options.file)
  const namespaces = [...draft.namespaces.values()].map(finish)
  return { model: { name, isolated, namespaces, masquerade, publish, forward, expect } }
}

function finish(n: DraftNamespace): Namespace {
  return {
    name: n.name,
    ...(n.at ? { at: n.at } : {}),
    interfaces: [...n.interfaces.values()].map(finishInterface),
    routes: n.routes,
    rules: n.rules,
    neighbours: n.neighbours,
    sysctls: [...n.sysctls.values()],
    run: n.run,
  }
}

function finishInterface(d: DraftInterface): Interface {
  return {
    name: d.name,
    ...(d.at ? { at: d.at } : {}),
    link: d.link,
    ...(d.master === undefined ? {} : { master: d.master }),
    ...(d.mac === undefined ? {} : { mac: d.mac }),
    ...(d.mtu === undefined ? {} : { mtu: d.mtu }),
    up: d.up,
    addresses: d.addresses.map((a) => a.prefix),
  }
}
