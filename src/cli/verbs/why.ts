/** `why`: whether a packet arrives, hop by hop, and what stops it. */
import {
  type Explanation,
  explain,
  explainLive,
  type Hop,
  type Live,
  NoSuchPlace,
  type Question,
} from '../../why/index.ts'
import { UsageError } from '../failure.ts'
import { bold, dim, green, print, printJson, red } from '../output.ts'

export interface WhyOptions {
  readonly json?: boolean
  readonly size?: string
  readonly sport?: string
  readonly ipv6?: boolean
  readonly live?: boolean
}

const PROTOCOLS = ['tcp', 'udp', 'icmp', 'sctp'] as const

/** `netns1`, `TOPOLOGY/host`, `10.0.1.101:80/tcp`, `[fd00::1]:53/udp`; a port without a protocol is tcp. */
function readTarget(text: string): Pick<Question, 'to' | 'protocol' | 'port'> {
  const parts = /^(?:\[([^\]]+)\]|([^[\]:]+?))(?::(\d+))?(?:\/(tcp|udp|icmp|sctp))?$/.exec(text)
  const isBareIpv6 = (text.match(/:/g)?.length ?? 0) > 1 && !text.startsWith('[')
  const [, bracketed, plain, port, word] = (isBareIpv6 ? /^()(\S+?)()(?:\/(\w+))?$/.exec(text) : parts) ?? []
  const to = bracketed || plain
  const protocol = PROTOCOLS.find((p) => p === (word ?? (port ? 'tcp' : 'icmp')))
  const number = port ? Number(port) : undefined
  if (!to || !protocol || (number !== undefined && (number < 1 || number > 65535))) {
    throw new UsageError(
      `"${text}" is no target`,
      'a namespace or an address, with :PORT and /tcp or /udp: 10.0.1.101:80/tcp',
    )
  }
  if (number === undefined && protocol !== 'icmp') {
    throw new UsageError(`${protocol} wants a port`, `${to}:80/${protocol}`)
  }
  return { to, protocol, ...(number === undefined ? {} : { port: number }) }
}

function wholeNumber(option: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isInteger(value) && value > 0 && value <= most) return value
  throw new UsageError(`--${option} ${text} is no number from 1 to ${most}`)
}

/** Exit status 0: it arrives, 1: it does not, 3: unknown. */
export async function runWhy(from: string, target: string, options: WhyOptions): Promise<number> {
  const [size, sourcePort] = [wholeNumber('size', options.size, 65535), wholeNumber('sport', options.sport, 65535)]
  const question: Question = {
    from,
    ...readTarget(target),
    ...(size === undefined ? {} : { size }),
    ...(sourcePort === undefined ? {} : { sourcePort }),
    ...(options.ipv6 ? { family: 6 } : {}),
  }
  const explanation = await ask(question, options.live === true)
  if (options.json) printJson(explanation)
  else print(render(explanation))
  return explanation.reachable === null ? 3 : explanation.reachable ? 0 : 1
}

async function ask(question: Question, isLive: boolean): Promise<Explanation> {
  try {
    return isLive ? await explainLive(question) : explain(question)
  } catch (error) {
    if (!(error instanceof NoSuchPlace)) throw error
    const there = error.there.slice(0, 12).join(', ')
    throw new UsageError(error.message, error.near ? `did you mean ${error.near}?` : `there are: ${there}`)
  }
}

const SIGNS: Readonly<Record<Hop['verdict'], string>> = {
  pass: green('ok'),
  stop: red('✗ '),
  unknown: red('? '),
  note: dim('· '),
}

function render({ from, to, reachable, code, hops, remedy, live }: Explanation): string {
  const width = Math.min(24, Math.max(...hops.map((hop) => hop.where.length)))
  const lines = hops.map((hop, i) => {
    const turn = hop.way === 'answer' && hops[i - 1]?.way === 'request' ? [dim('the answer')] : []
    return [...turn, `${SIGNS[hop.verdict]} ${hop.where.padEnd(width)}  ${hop.kind.padEnd(9)}  ${hop.text}`].join('\n')
  })
  const verdict =
    reachable === null
      ? red(`${from} -> ${to}: unknown`)
      : reachable
        ? green(`${from} -> ${to}: arrives`)
        : red(`${from} -> ${to}: does not arrive`)
  const mend =
    remedy === null
      ? []
      : [
          ...(remedy.file === '' ? [] : [`${dim('in the file:')} ${remedy.file}`]),
          `${dim('now:')}         ${remedy.shell.replaceAll('\n', `\n${' '.repeat(13)}`)}`,
        ]
  return [
    ...lines,
    ...(live ? renderLive(live, width) : []),
    `${verdict}${code === null ? '' : `  ${bold(code)}`}`,
    ...mend,
  ].join('\n')
}

function renderLive({ steps, text, agrees }: Live, width: number): string[] {
  const lines = steps.map(({ where, text: what, verdict }) => `${SIGNS[verdict]} ${where.padEnd(width)}  ${what}`)
  return [dim('a real packet'), ...lines, agrees === false ? red(text) : text]
}
