/** Completion as the shells themselves give it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from './support/need.ts'
import { runSync } from './support/run.ts'

const program = new URL('../dist/hardway', import.meta.url).pathname
const root = new URL('..', import.meta.url).pathname

/** Words on the command line, the last one unfinished, and what must be proposed for it. */
const cases: readonly (readonly [words: readonly string[], proposed: readonly string[]])[] = [
  [['d'], ['doctor', 'down', 'destroy']],
  [['ap'], ['apply']],
  [
    ['apply', '--'],
    ['--no-verify', '--dry-run', '--isolated', '--no-isolated', '--json'],
  ],
  [['up', 'labs/03'], ['labs/03-bridge.yaml']],
  [
    ['plan', '--as', ''],
    ['text', 'shell', 'json'],
  ],
  [
    ['completion', ''],
    ['bash', 'zsh', 'fish'],
  ],
]

const shells = {
  bash: {
    script: `eval "$("$0" completion bash)"; COMP_WORDS=(hardway "$@"); COMP_CWORD=$#; _hardway; printf '%s\\n' "\${COMPREPLY[@]}"`,
    args: [],
  },
  fish: { script: '$argv[1] completion fish | source; complete -C "hardway $argv[2..]"', args: [] },
  // without a line editor, what the function would propose is what it hands to these three
  zsh: {
    script: `compdef() {}; _describe() { print -l -- \${verbs%%:*} }; _files() { print -l -- $words[CURRENT]*(N) }
      compadd() { shift; print -l -- $@ }
      eval "$("$0" completion zsh)"; words=(hardway "$@"); CURRENT=$#words; _hardway`,
    args: ['-f'],
  },
}

for (const [shell, { script, args }] of Object.entries(shells)) {
  test(`${shell} proposes verbs, flags, files and values`, { skip: needs(shell as keyof typeof shells) }, () => {
    for (const [words, proposed] of cases) {
      const done = runSync(shell, [...args, '-c', script, program, ...words], { cwd: root })
      const last = words.at(-1) ?? ''
      const found = done.stdout.split('\n').flatMap((line) => line.split('\t')[0] || [])
      const fitting = found.filter((word) => word.startsWith(last))
      assert.deepEqual(fitting.sort(), [...proposed].sort(), `${words.join(' ')}: ${done.stderr}`)
    }
  })
}

test('there is no completion for other shells: exit status 2', () => {
  assert.equal(runSync(program, ['completion', 'tcsh']).status, 2)
})
