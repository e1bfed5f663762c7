/** Expectations that were tried, as verbs print them. */
import type { Expectation, Model } from '../topology/model.ts'
import type { Code } from '../topology/why-codes.ts'
import type { CheckResult } from '../verify/index.ts'
import { green, print, red, table } from './output.ts'

/** Tries what a topology expects; `patience` in ms. */
export async function tryExpectations(model: Model, patience: number): Promise<CheckResult[]> {
  const { verify } = await import('../verify/topology.ts')
  const explain = async (expectation: Expectation): Promise<Code | null> =>
    (await import('../why/expectation.ts')).reasonOf(model, expectation)
  return verify(model, { patience, explain })
}

export function checkJson(c: CheckResult): object {
  const { expectation, ...rest } = c
  return { expectation: expectation.text, ...rest }
}

export function printChecks(checks: readonly CheckResult[]): void {
  print(
    table(
      ['', 'EXPECTED', 'FOUND'],
      checks.map((c) => [c.holds ? green('ok') : red('FAIL'), c.expectation.text, c.detail]),
    ),
  )
  const failed = checks.filter((c) => !c.holds).length
  print(
    failed === 0
      ? `${checks.length} of ${checks.length} expectations hold`
      : red(`${failed} of ${checks.length} expectations do not hold`),
  )
}
