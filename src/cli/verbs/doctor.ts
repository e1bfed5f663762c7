/** `doctor`: what this host offers and what stands in the way. */
import { examine, type Finding } from '../../engine/doctor.ts'
import { dim, green, print, printJson, red, table } from '../output.ts'

const signs: Record<Finding['state'], string> = {
  ok: green('ok'),
  missing: red('missing'),
  warning: red('!'),
  info: dim('·'),
}

export function runDoctor(options: { readonly json?: boolean }): number {
  const findings = examine()
  const isFit = findings.every((f) => f.state !== 'missing' || !f.isNeeded)
  if (options.json) printJson(findings)
  else
    print(
      table(
        ['', 'WHAT', 'FOUND', 'MEANS'],
        findings.map((f) => [signs[f.state], f.what, f.found, dim(f.means)]),
      ),
    )
  return isFit ? 0 : 1
}
