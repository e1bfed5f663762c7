/** One ruleset in both languages: each rule as data and as the nft text that must mean the same. */
import { matches } from './corpus-matches.testing.ts'
import { sets } from './corpus-sets.testing.ts'
import { forward, postrouting, statements } from './corpus-statements.testing.ts'

export { sets }

const at = { family: 'inet', table: 't' } as const

export const chains = [
  { ...at, name: 'other', comment: 'chainy' },
  { ...at, name: 'pre', type: 'nat', hook: 'prerouting', priority: -100, policy: 'accept' },
  { ...at, name: 'post', type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' },
  { ...at, name: 'forwarding', type: 'filter', hook: 'prerouting', priority: -300, policy: 'drop' },
] as const

export const cases = [
  ...[...matches, ...statements].map((c) => ['pre', ...c] as const),
  ...postrouting.map((c) => ['post', ...c] as const),
  ...forward.map((c) => ['forwarding', ...c] as const),
]

/** The whole of it as a file for nft. */
export function corpusText(): string {
  const body = (chain: string): string =>
    cases
      .filter(([name]) => name === chain)
      .map(([, , text]) => `\t\t${text}\n`)
      .join('')
  return `table inet t {
\tcomment "the table"
${sets.map(([, , text]) => `\t${text}\n`).join('')}
\tchain other { comment "chainy"
\t}
\tchain pre { type nat hook prerouting priority -100; policy accept;
${body('pre')}\t}
\tchain post { type nat hook postrouting priority 100; policy accept;
${body('post')}\t}
\tchain forwarding { type filter hook prerouting priority -300; policy drop;
${body('forwarding')}\t}
}
`
}
