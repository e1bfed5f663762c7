/** Verdicts as numbers, NFT_* and NF_*. */
import type { ElementAttrs } from '../../nftables/attributes.ts'
import { decodeVerdict } from '../../nftables/decompile-elements.ts'
import { type Run, undecidable, type Verdict } from './run.ts'

export function decodeVerdictData(
  run: Run,
  verdict: NonNullable<NonNullable<ElementAttrs['data']>['verdict']>,
): Verdict {
  const decoded = decodeVerdict({ verdict })
  if (!decoded) return undecidable(run, `the verdict ${(verdict.code ?? 0) | 0}`)
  return decoded.kind === 'jump' || decoded.kind === 'goto'
    ? { kind: decoded.kind, chain: decoded.chain }
    : decoded.kind
}
