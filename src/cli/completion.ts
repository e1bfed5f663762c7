// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${…} is the shell's here
/** Completion scripts for shells, from the program's own description of itself. */
import type { Command } from 'commander'

export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

interface Flag {
  /** with its dashes */
  readonly name: string
  /** what it may be set to; empty for a flag that is there or not */
  readonly values: readonly string[]
}

interface Verb {
  /** its own name and its aliases */
  readonly names: readonly string[]
  readonly about: string
  readonly flags: readonly Flag[]
  readonly takes: 'nothing' | 'file' | 'words'
  /** what its argument may be, where that is a short list */
  readonly words: readonly string[]
}

function verbsOf(program: Command): Verb[] {
  return program.commands
    .filter((c) => !c.name().startsWith('_'))
    .map((c) => ({
      names: [c.name(), ...c.aliases()],
      about: c.description(),
      flags: c.options.flatMap((o) => (o.long ? [{ name: o.long, values: o.argChoices ?? [] }] : [])),
      takes: takenBy(c.registeredArguments.map((a) => a.name())),
      words: c.registeredArguments.flatMap((a) => a.argChoices ?? []),
    }))
}

function takenBy(names: readonly string[]): Verb['takes'] {
  if (names.length === 0) return 'nothing'
  return names.some((name) => name.includes('FILE')) ? 'file' : 'words'
}

/** Flags with a value: whose they are, and what it may be. */
function valued(verbs: readonly Verb[]): (Flag & { readonly of: readonly string[] })[] {
  return verbs.flatMap((v) => v.flags.filter((f) => f.values.length > 0).map((f) => ({ ...f, of: v.names })))
}

/** What may come after a verb, beside files. */
function choices(verb: Verb): string {
  return [...verb.words, ...verb.flags.map((f) => f.name)].join(' ')
}

function bash(verbs: readonly Verb[]): string {
  const values = valued(verbs).flatMap((f) =>
    f.of.map((verb) => `    ${verb}:${f.name}) COMPREPLY=($(compgen -W '${f.values.join(' ')}' -- "$cur")); return ;;`),
  )
  const cases = verbs.map(
    (v) =>
      `    ${v.names.join('|')}) COMPREPLY=($(compgen -W '${choices(v)}' ${v.takes === 'file' ? '-f ' : ''}-- "$cur")) ;;`,
  )
  return [
    '_hardway() {',
    '  local cur=${COMP_WORDS[COMP_CWORD]}',
    '  if ((COMP_CWORD == 1)); then',
    `    COMPREPLY=($(compgen -W '${verbs.flatMap((v) => v.names).join(' ')}' -- "$cur"))`,
    '    return',
    '  fi',
    '  case ${COMP_WORDS[1]}:${COMP_WORDS[COMP_CWORD-1]} in',
    ...values,
    '  esac',
    '  case ${COMP_WORDS[1]} in',
    ...cases,
    '  esac',
    '}',
    'complete -o filenames -F _hardway hardway',
  ].join('\n')
}

function zsh(verbs: readonly Verb[]): string {
  const about = (v: Verb): string => v.about.replaceAll("'", "'\\''").replaceAll(':', '\\:')
  const words = verbs.flatMap((v) => v.names.map((name) => `    '${name}:${about(v)}'`))
  const values = valued(verbs).flatMap((f) =>
    f.of.map((verb) => `    ${verb}:${f.name}) compadd -- ${f.values.join(' ')}; return ;;`),
  )
  const cases = verbs.map(
    (v) => `    ${v.names.join('|')}) compadd -- ${choices(v)}${v.takes === 'file' ? '; _files' : ''} ;;`,
  )
  return [
    '#compdef hardway',
    '_hardway() {',
    '  local -a verbs=(',
    ...words,
    '  )',
    '  if ((CURRENT == 2)); then _describe verb verbs; return; fi',
    '  case $words[2]:$words[CURRENT-1] in',
    ...values,
    '  esac',
    '  case $words[2] in',
    ...cases,
    '  esac',
    '}',
    'compdef _hardway hardway',
  ].join('\n')
}

function fish(verbs: readonly Verb[]): string {
  const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  return verbs
    .flatMap((v) => {
      const after = `complete -c hardway -n '__fish_seen_subcommand_from ${v.names.join(' ')}'`
      return [
        `complete -c hardway -n __fish_use_subcommand -f -a '${v.names.join(' ')}' -d ${quoted(v.about)}`,
        ...(v.takes === 'nothing' ? [`${after} -f`] : []),
        ...(v.words.length > 0 ? [`${after} -f -a '${v.words.join(' ')}'`] : []),
        ...v.flags.map(
          (f) => `${after} -l ${f.name.slice(2)}${f.values.length > 0 ? ` -x -a '${f.values.join(' ')}'` : ''}`,
        ),
      ]
    })
    .join('\n')
}

export function completionScript(program: Command, shell: Shell): string {
  const verbs = verbsOf(program)
  switch (shell) {
    case 'bash':
      return bash(verbs)
    case 'zsh':
      return zsh(verbs)
    case 'fish':
      return fish(verbs)
    default:
      return shell satisfies never
  }
}
