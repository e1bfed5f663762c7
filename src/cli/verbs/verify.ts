/** `verify`: the expectations of a file, or every pair of namespaces. */
import { existsSync, writeFileSync } from 'node:fs'
import { EngineError } from '../../engine/errors.ts'
import { listTopologies, netnsExists, type TopologySummary } from '../../engine/topologies.ts'
import { isolatedHost } from '../../plan/marks.ts'
import type { Place } from '../../plan/operations.ts'
import { HOST } from '../../plan/state.ts'
import type { Model } from '../../topology/model.ts'
import { nearest } from '../../topology/names.ts'
import { membersOf, verifyMesh } from '../../verify/mesh.ts'
import { checkJson, printChecks, tryExpectations } from '../checks.ts'
import { UsageError } from '../failure.ts'
import { type FileOptions, loadTopology } from '../load.ts'
import { printMesh } from '../mesh.ts'
import { print, printJson, progressLine, writeAll } from '../output.ts'

export interface VerifyOptions extends FileOptions {
  readonly mesh?: boolean
  readonly junit?: string
  readonly json?: boolean
}

/** Exit status 1 when an expectation does not hold or a pair does not reach each other. */
export async function runVerify(argument: string, options: VerifyOptions): Promise<number> {
  if (options.mesh) {
    if (options.junit !== undefined) throw new UsageError('--mesh has no JUnit form', '--mesh --json prints data')
    return runMesh(argument, options)
  }
  if (options.junit === '-' && options.json) throw new UsageError('--json and --junit - both want standard output')
  const named = topologyNamed(argument)
  if (named) {
    throw new UsageError(
      `${argument} is up, but only its file knows what to expect`,
      `hardway verify FILE, or hardway verify ${argument} --mesh for every pair`,
    )
  }
  const model = await loadTopology(argument, options)
  if (isMade(model) && !listTopologies().some((t) => t.name === model.name)) {
    throw new EngineError(`${model.name} is not up`, { hint: `hardway up ${argument} makes it` })
  }
  const checks = await tryExpectations(model, 0)
  if (options.junit !== undefined) {
    const { formatJunit } = await import('../../verify/junit.ts')
    writeReport(options.junit, formatJunit(model.name, checks))
  }
  if (options.json) printJson(checks.map(checkJson))
  else if (options.junit !== '-') {
    if (checks.length === 0) print('the file expects nothing; add expect: [ ping a -> b ]')
    else printChecks(checks)
  }
  return checks.every((c) => c.holds) ? 0 : 1
}

/** A topology with nothing of its own in the kernel can be tried without having been made. */
function isMade(model: Model): boolean {
  return model.isolated || model.namespaces.length > 1
}

function writeReport(file: string, text: string): void {
  if (file === '-') {
    writeAll(1, text)
    return
  }
  try {
    writeFileSync(file, text)
  } catch (error) {
    throw new UsageError(`cannot write ${file}: ${(error as NodeJS.ErrnoException).code}`)
  }
}

async function runMesh(argument: string, options: VerifyOptions): Promise<number> {
  const named = topologyNamed(argument)
  const places = named ? placesOf(named) : await placesOfFile(argument, options)
  const progress = progressLine('echo')
  const mesh = await verifyMesh(places, { onProgress: progress.update })
  progress.end()
  if (options.json) printJson(mesh)
  else printMesh(mesh)
  return mesh.results.every((r) => r.outcome === 'reached') ? 0 : 1
}

/** The topology that is up by that name, unless there is a file called so. */
function topologyNamed(argument: string): TopologySummary | undefined {
  if (argument === '-' || /[/.]/.test(argument) || existsSync(argument)) return undefined
  const all = listTopologies()
  const found = all.find((t) => t.name === argument)
  if (found) return found
  const better = nearest(
    argument,
    all.map((t) => t.name),
  )
  throw new UsageError(
    `there is no file ${argument}, and no topology of that name is up`,
    better ? `did you mean ${better}?` : 'hardway ls shows what is up',
  )
}

/** The machine itself is no member: its addresses are not the topology's. */
function placesOf({ name, isolated, namespaces }: TopologySummary): Place[] {
  const host = isolatedHost(name)
  const others = namespaces.filter((netns) => netns !== host || !isolated)
  const compare = new Intl.Collator('en', { numeric: true }).compare
  const places = others.sort(compare).map((netns) => ({ name: netns, netns }))
  return isolated ? [{ name: HOST, netns: host }, ...places] : places
}

async function placesOfFile(file: string, options: FileOptions): Promise<Place[]> {
  const places = membersOf(await loadTopology(file, options))
  for (const { netns } of places) {
    if (netns === undefined || netnsExists(netns)) continue
    throw new EngineError(`namespace ${netns} is not there`, { hint: 'hardway up makes it' })
  }
  return places
}
