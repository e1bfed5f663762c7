// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${…} is the shell's here
/** Completion scripts for shells, from the program's own description of itself. */
import type { Command } from 'commander'

export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

interface Verb {
  readonly name: string
  readonly about: string
  readonly flags: readonly string[]
  readonly takesFile: boolean
}

function verbsOf(program: Command): Verb[] {
  return program.commands
    .filter((c) => !c.name().startsWith('_'))
    .map((c) => ({
      name: c.name(),
      about: c.description(),
      flags: c.options.map((o) => o.long ?? '').filter((flag) => flag !== ''),
      takesFile: c.registeredArguments.some((a) => a.name().includes('FILE')),
    }))
}

function bash(verbs: readonly Verb[]): string {
  const cases = verbs.map(
    (v) => `    ${v.name}) COMPREPLY=($(compgen -W '${v.flags.join(' ')}' ${v.takesFile ? '-f ' : ''}-- "$cur")) ;;`,
  )
  return [
    '_hardway() {',
    '  local cur=${COMP_WORDS[COMP_CWORD]}',
    '  if ((COMP_CWORD == 1)); then',
    `    COMPREPLY=($(compgen -W '${verbs.map((v) => v.name).join(' ')}' -- "$cur"))`,
    '    return',
    '  fi',
    '  case ${COMP_WORDS[1]} in',
    ...cases,
    '  esac',
    '}',
    'complete -o filenames -F _hardway hardway',
  ].join('\n')
}

function zsh(verbs: readonly Verb[]): string {
  const words = verbs.map((v) => `    '${v.name}:${v.about.replaceAll("'", "'\\''").replaceAll(':', '\\:')}'`)
  const cases = verbs.map((v) => `    ${v.name}) compadd -- ${v.flags.join(' ')}${v.takesFile ? '; _files' : ''} ;;`)
  return [
    '#compdef hardway',
    '_hardway() {',
    '  local -a verbs=(',
    ...words,
    '  )',
    '  if ((CURRENT == 2)); then _describe verb verbs; return; fi',
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
    .flatMap((v) => [
      `complete -c hardway -n __fish_use_subcommand ${v.takesFile ? '' : '-f '}-a ${v.name} -d ${quoted(v.about)}`,
      ...v.flags.map((f) => `complete -c hardway -n '__fish_seen_subcommand_from ${v.name}' -l ${f.slice(2)}`),
    ])
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
