/** What a capture into a file loses and costs, beside tcpdump. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { median } from './measure.ts'
import { compiled, peer, type Result, type Setting, target } from './section.ts'

const RATE = 100_000
const COUNT = 500_000
/** bytes of data: whole frames have 42 more */
const BYTES = 64
const ROUNDS = 3

interface Run {
  /** packets a second that the sender reached */
  readonly rate: number
  readonly captured: number
  /** s of processor time, user and system */
  readonly work: number
  /** MiB */
  readonly memory: number
}

/** 100,000 packets a second into a file. */
export async function capture({ program, scratch }: Setting): Promise<Result> {
  const file = join(scratch, 'capture')
  const contenders = new Map([
    ['hardway capture -w', [program, 'capture', 'b:v0', 'udp port 9', '-w', `${file}.pcapng`]],
    ['tcpdump -w', ['ip', 'netns', 'exec', 'b', 'tcpdump', '-n', '-i', 'v0', '-w', `${file}.pcap`, 'udp port 9']],
  ])
  const flood = compiled(scratch, 'flood')
  const runs = new Map([...contenders.keys()].map((name): [string, Run[]] => [name, []]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, command] of contenders) runs.get(name)?.push(runOnce(flood, command))
  }
  for (const end of ['pcapng', 'pcap']) rmSync(`${file}.${end}`, { force: true })
  const ours = runs.get('hardway capture -w') ?? []
  const worst = Math.max(...ours.map(lost))
  const rate = Math.min(...ours.map((run) => run.rate))
  return {
    title: `Capture: ${COUNT.toLocaleString('en')} packets of ${BYTES + 42} bytes at ${RATE.toLocaleString('en')} a second into a file`,
    rows: [],
    table: [
      '| who | lost, the most of all runs | packets a second | processor time, s | peak memory, MB | runs |',
      '| --- | ---: | ---: | ---: | ---: | ---: |',
      ...[...runs].map(([name, list]) => row(name, list)),
    ],
    targets: [
      target(
        '100,000 packets a second without loss',
        `${worst} lost at ${Math.round(rate).toLocaleString('en')} a second`,
        worst === 0 && rate > 0.95 * RATE,
      ),
    ],
  }
}

const lost = ({ captured }: Run): number => COUNT - captured

function row(name: string, runs: readonly Run[]): string {
  const middle = (of: (run: Run) => number): number => median(runs.map(of))
  const cells = [
    name,
    Math.max(...runs.map(lost)),
    middle((run) => run.rate).toFixed(0),
    middle((run) => run.work).toFixed(2),
    middle((run) => run.memory).toFixed(0),
    runs.length,
  ]
  return `| ${cells.join(' | ')} |`
}

/** Both programs say in the same words how many packets they captured. */
function runOnce(flood: string, command: readonly string[]): Run {
  const script = ['bash', '-c', 'mount -t tmpfs none /run; exec "$@"', 'bash', 'bash', peer('capture.sh')]
  const args = [flood, COUNT, RATE, BYTES].map(String)
  const done = Bun.spawnSync([
    'unshare',
    '--net',
    '--mount',
    '--propagation',
    'private',
    '--',
    ...script,
    ...args,
    ...command,
  ])
  const output = done.stdout.toString()
  const number = (pattern: RegExp): number => Number(pattern.exec(output)?.[1] ?? Number.NaN)
  if (!done.success) throw new Error(`${command.join(' ')}: ${output}${done.stderr}`)
  return {
    rate: number(/^(\d+)$/m),
    captured: number(/(\d+) packets captured/),
    work: number(/([\d.]+) user/) + number(/([\d.]+) system/),
    memory: number(/(\d+) memory/) / 1024,
  }
}
