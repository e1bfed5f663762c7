/** The verbs and their flags. What a verb does is loaded when it is called: start-up is paid on every call. */
import { Argument, Command, Option, type OutputConfiguration } from 'commander'
import { KEEP_VERB } from '../engine/program.ts'
import { isatty } from '../sys/index.ts'
import { completionScript, shells } from './completion.ts'
import { print, writeAll } from './output.ts'

export const VERSION = '0.1.0'

const forms = ['text', 'shell', 'json'] as const

type Run = (status: number) => void

/** Values of a variable with which a flag is off, as if the variable were not there. */
const OFF = /^(0|no|off|false)?$/i

/** Every flag is also a variable: `--no-verify` of `up` is HARDWAY_UP_NO_VERIFY. */
function flag(verb: string, flags: string, about: string): Option {
  const option = new Option(flags, about)
  const name = (option.long ?? '').replace(/^--/, '').replaceAll('-', '_')
  const variable = `HARDWAY_${verb}_${name}`.toUpperCase()
  const value = process.env[variable]
  // commander takes any value, `0` too, for yes
  return !option.required && value !== undefined && OFF.test(value) ? option : option.env(variable)
}

function isolation(verb: string): [Option, Option] {
  return [
    flag(verb, '--isolated', 'the host is a fresh namespace too: nothing on this machine changes'),
    flag(verb, '--no-isolated', 'the host is this machine, whatever the file says'),
  ]
}

function json(verb: string): Option {
  return flag(verb, '--json', 'print data')
}

function addOptions(command: Command, options: readonly Option[]): Command {
  for (const option of options) command.addOption(option)
  return command
}

/** The command in `exec NS -- CMD`: the dashes, which commander keeps here, are not a part of it. */
function afterDashes(command: readonly string[]): readonly string[] {
  return command[0] === '--' ? command.slice(1) : command
}

/** Help and errors go out as all else does: the runtime's own streams would cost 12 ms of every start. */
const output: OutputConfiguration = {
  writeOut: (text) => writeAll(1, text),
  writeErr: (text) => writeAll(2, text),
  getOutHelpWidth: () => (isatty(1) ? process.stdout.columns : 80),
  getErrHelpWidth: () => (isatty(2) ? process.stderr.columns : 80),
  getOutHasColors: () => false,
  getErrHasColors: () => false,
}

/** Verbs by name: each adds itself to the program. */
type AddVerb = (program: Command, done: Run) => void

const verbs: Readonly<Record<string, AddVerb>> = {
  up: (program, done) =>
    addOptions(
      program.command('up').alias('apply').argument('<FILE>').description('make it so, verify, print a short table'),
      [
        flag('up', '--no-verify', 'do not try the expectations'),
        flag('up', '--dry-run', 'only print the plan'),
        ...isolation('up'),
        json('up'),
      ],
    ).action(async (file, options) => done(await (await import('./verbs/up.ts')).runUp(file, options))),

  down: (program, done) =>
    addOptions(program.command('down').alias('destroy').argument('[FILE|NAME]').description('nothing of it remains'), [
      flag('down', '--all', 'every topology of this host'),
      json('down'),
    ]).action(async (name, options) => done(await (await import('./verbs/up.ts')).runDown(name, options))),

  plan: (program, done) =>
    addOptions(program.command('plan').argument('<FILE>').description('what up would do'), [
      flag('plan', '--as <form>', 'how to tell it').choices(forms).default('text'),
      flag('plan', '--down', 'what down would do'),
      ...isolation('plan'),
      json('plan'),
    ]).action(async (file, options) => done(await (await import('./verbs/up.ts')).runPlan(file, options))),

  ls: (program, done) =>
    addOptions(program.command('ls').description('what is up, from the kernel'), [json('ls')]).action(async (options) =>
      done((await import('./verbs/look.ts')).runLs(options)),
    ),

  show: (program, done) =>
    addOptions(program.command('show').argument('<FILE|NAME>').description('everything a topology has, drawn'), [
      json('show'),
    ]).action(async (name, options) => done(await (await import('./verbs/look.ts')).runShow(name, options))),

  verify: (program, done) =>
    addOptions(
      program
        .command('verify')
        .argument('<FILE|NAME>')
        .description('try the expectations, or every pair, with real packets'),
      [
        flag('verify', '--mesh', 'every pair of namespaces instead, by all their addresses'),
        flag('verify', '--junit <file>', 'write JUnit XML for CI, too; - for standard output'),
        ...isolation('verify'),
        json('verify'),
      ],
    ).action(async (file, options) => done(await (await import('./verbs/verify.ts')).runVerify(file, options))),

  why: (program, done) =>
    addOptions(
      program
        .command('why')
        .argument('<FROM>')
        .argument('<TO[:PORT][/PROTO]>')
        .description('whether a packet arrives, hop by hop, and what stops it'),
      [
        flag('why', '--size <bytes>', 'of the whole packet: for links with a small MTU'),
        flag('why', '--sport <port>', 'the port that it is sent from'),
        flag('why', '--ipv6', 'by IPv6, where TO is a name'),
        flag('why', '--live', 'send a real packet, too, and follow it on devices and through rules'),
        json('why'),
      ],
    ).action(async (from, to, options) => done(await (await import('./verbs/why.ts')).runWhy(from, to, options))),

  capture: (program, done) =>
    addOptions(
      program
        .command('capture')
        .argument('<NS|NS:INTERFACE|TOPOLOGY>')
        .argument('[FILTER...]')
        .description('packets, decoded one a line, or a file of them'),
      [
        flag('capture', '-w, --write <file>', 'into a file: .pcapng, or plain .pcap; - is standard output'),
        flag('capture', '-c, --count <n>', 'end after so many packets'),
        flag('capture', '--both', 'the other end of the link too'),
        flag('capture', '-v, --verbose', 'MAC addresses, ttl and id'),
        flag('capture', '--json', 'print data, one packet a line'),
      ],
    ).action(async (where, filter, options) =>
      done(await (await import('./verbs/capture.ts')).runCapture(where, filter, options)),
    ),

  exec: (program) =>
    program
      .command('exec')
      .argument('<NS>')
      .argument('[CMD...]')
      .description('a program inside a namespace (TOPOLOGY/NS where a name alone is not enough)')
      .passThroughOptions()
      .action(async (name, command) => (await import('./verbs/inside.ts')).runExec(name, afterDashes(command))),

  shell: (program) =>
    program
      .command('shell')
      .argument('<NS>')
      .description('a shell inside a namespace')
      .action(async (name) => (await import('./verbs/inside.ts')).runShell(name)),

  doctor: (program, done) =>
    addOptions(program.command('doctor').description('what this host offers and what stands in the way'), [
      json('doctor'),
    ]).action(async (options) => done((await import('./verbs/doctor.ts')).runDoctor(options))),

  sandbox: (program, done) =>
    program
      .command('sandbox')
      .argument('[CMD...]')
      .description('the same as an ordinary user, in a throwaway user and network namespace')
      .passThroughOptions()
      .action(async (command) => {
        const names = buildProgram(done).commands.flatMap((c) => [c.name(), ...c.aliases()])
        ;(await import('./verbs/inside.ts')).runSandbox(afterDashes(command), new Set(names))
      }),

  __sandbox: (program) =>
    program
      .command('__sandbox', { hidden: true })
      .argument('[CMD...]')
      .passThroughOptions()
      .action(async (command) => (await import('./verbs/inside.ts')).runInsideSandbox(afterDashes(command))),

  [KEEP_VERB]: (program) =>
    program
      .command(KEEP_VERB, { hidden: true })
      .argument('<TOPOLOGY>')
      .action(async (topology) => (await import('../engine/keeper.ts')).keep(topology)),

  completion: (program, done) =>
    program
      .command('completion')
      .addArgument(new Argument('<SHELL>').choices(shells))
      .description('a completion script: eval "$(hardway completion bash)"')
      .action((shell) => {
        print(completionScript(buildProgram(done), shell))
        done(0)
      }),
}

/** The program. Where `called` is a verb's name, that one alone is built, which is all that a call of it needs. */
export function buildProgram(done: Run, called?: string): Command {
  const program = new Command('hardway')
    .description('Container networking for Linux that keeps nothing from you.')
    .version(VERSION)
    .configureOutput(output)
    .showHelpAfterError('(hardway --help lists the verbs, hardway VERB --help explains one)')
    .exitOverride()
    .enablePositionalOptions()
  const only = called === undefined || !Object.hasOwn(verbs, called) ? undefined : verbs[called]
  for (const add of only ? [only] : Object.values(verbs)) add(program, done)
  return program
}
