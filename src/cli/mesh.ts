/** A mesh of namespaces as text: a matrix, or what failed in a large one. */
import type { Mesh, MeshResult } from '../verify/mesh.ts'
import { dim, green, print, red, table } from './output.ts'

/** A matrix of more columns does not fit a terminal. */
const LARGEST_MATRIX = 20
const MOST_FAILURES = 50

function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`
}

/** The slowest answer of all addresses, or how many of them did not answer. */
function cell(results: readonly MeshResult[] | undefined): string {
  if (!results) return dim('-')
  const failed = results.filter((r) => r.outcome !== 'reached').length
  if (failed === 0) return green(milliseconds(Math.max(...results.map((r) => r.ms ?? 0))))
  return red(results.length === 1 ? 'FAIL' : `FAIL ${failed}/${results.length}`)
}

function matrix({ namespaces, results }: Mesh): string {
  const byPair = new Map<string, MeshResult[]>()
  for (const result of results) {
    const key = `${result.from} ${result.to}`
    byPair.set(key, [...(byPair.get(key) ?? []), result])
  }
  const rows = namespaces.map((from) => [from, ...namespaces.map((to) => cell(byPair.get(`${from} ${to}`)))])
  return table(['', ...namespaces], rows)
}

function failures(failed: readonly MeshResult[]): string {
  const rows = failed.slice(0, MOST_FAILURES).map((r) => [red('FAIL'), `${r.from} -> ${r.to}`, r.address, r.detail])
  const more = failed.length - rows.length
  return [
    table(['', 'PAIR', 'ADDRESS', 'FOUND'], rows),
    ...(more > 0 ? [`and ${more} more; --json has all`] : []),
  ].join('\n')
}

function range(results: readonly MeshResult[]): string {
  const times = results.flatMap(({ ms }) => (ms === undefined ? [] : [ms])).sort((a, b) => a - b)
  const at = (part: number): string => milliseconds(times[Math.floor(part * (times.length - 1))] ?? 0)
  return times.length === 0 ? '' : `; answers in ${at(0)} to ${at(1)}, half of them in ${at(0.5)}`
}

export function printMesh(mesh: Mesh): void {
  const { namespaces, results, ms } = mesh
  const failed = results.filter((r) => r.outcome !== 'reached')
  if (namespaces.length <= LARGEST_MATRIX) print(matrix(mesh))
  if (failed.length > 0) print(failures(failed))
  const took = dim(`(${ms.toFixed(0)} ms)`)
  const reached = `${results.length - failed.length} of ${results.length} echoes answered, ${namespaces.length} namespaces`
  print(`${failed.length === 0 ? reached : red(reached)}${range(results)} ${took}`)
}
