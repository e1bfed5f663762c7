/** What is measured, and what must be reached (the targets that the project set itself). */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { capture } from './capture.ts'
import { type Contender, median, type Row, race } from './measure.ts'
import { compiled, peer, type Result, type Setting, type Target, target } from './section.ts'
import { hostsOnABridge } from './topology.ts'

/** Earlier results by section: growth compares one with another. */
export type Section = (setting: Setting, earlier: ReadonlyMap<string, Result>) => Promise<Result>

const root = join(import.meta.dirname, '..')
const OURS = 'hardway'

export const sections: ReadonlyMap<string, Section> = new Map([
  ['start', start],
  ['small', small],
  ['hundred', hundred],
  ['thousand', thousand],
  ['capture', capture],
  ['mesh', mesh],
])

async function start({ program }: Setting): Promise<Result> {
  const rows = await race(
    [
      { name: `${OURS} --help`, up: [program, '--help'] },
      { name: 'node --version, for scale', up: ['node', '--version'] },
      { name: 'ip -V, for scale', up: ['ip', '-V'] },
    ],
    20,
  )
  const ms = up(rows, `${OURS} --help`)
  return { title: 'Start', rows, targets: [target('`hardway --help` in under 25 ms', `${ms.toFixed(1)} ms`, ms < 25)] }
}

async function small(setting: Setting): Promise<Result> {
  const lab = join(root, 'labs/03-bridge.yaml')
  const rows = await race(
    [
      hardway(setting, 3),
      tutorial(3),
      batch(3),
      limit(setting, 3),
      mininet(3),
      {
        name: `${OURS}, labs/03-bridge.yaml as it is`,
        up: [setting.program, 'up', lab, '--no-verify'],
        down: [setting.program, 'down', lab],
      },
    ],
    15,
  )
  const [ours, theirs, ip] = [up(rows, OURS), up(rows, tutorial(3).name), up(rows, batch(3).name)]
  return {
    title: '3 hosts on a bridge',
    rows,
    targets: [
      target("at least 6 times faster than the tutorial's script", times(theirs / ours), theirs >= 6 * ours),
      target('faster than `ip -batch`', `${times(ip / ours)} as fast`, ours < ip),
      nothingLeft(rows),
    ],
  }
}

async function hundred(setting: Setting): Promise<Result> {
  const all = [hardway(setting, 100), limit(setting, 100), limitLast(setting, 100)]
  const rows = await race([...all, tutorial(100), batch(100), mininet(100)], 10)
  const ratio = up(rows, OURS) / up(rows, 'limit.c')
  const [ours, theirs] = [down(rows, OURS), down(rows, tutorial(100).name)]
  return {
    title: '100 hosts on a bridge',
    rows,
    targets: [
      target('up: at most 1.3 times `limit.c`', times(ratio), ratio <= 1.3),
      target(
        "down: at most the tutorial's script",
        `${ours.toFixed(0)} ms against ${theirs.toFixed(0)} ms`,
        ours <= theirs,
      ),
      nothingLeft(rows),
    ],
  }
}

async function thousand(setting: Setting, earlier: ReadonlyMap<string, Result>): Promise<Result> {
  const peers = [limit(setting, 1000), limitLast(setting, 1000)]
  // taken away with the namespace of the run: `ip -batch` would need half a minute
  const rows = await race([hardway(setting, 1000), ...peers.map(({ name, up }) => ({ name, up }))], 3)
  const ratio = up(rows, OURS) / up(rows, 'limit.c')
  const gone = down(rows, OURS)
  const memory = rows.find(({ name }) => name === OURS)?.memory
  const before = earlier.get('hundred')
  const growth = before ? up(rows, OURS) / up(before.rows, OURS) : undefined
  return {
    title: '1,000 hosts on a bridge',
    rows,
    targets: [
      target('up: at most 0.4 times `limit.c`', times(ratio), ratio <= 0.4),
      ...(growth === undefined ? [] : [target('up: at most 25 times that of 100 hosts', times(growth), growth <= 25)]),
      target('down: under 3 s', `${(gone / 1000).toFixed(2)} s`, gone < 3000),
      target('peak memory under 150 MB', `${memory?.toFixed(0) ?? 'unknown'} MB`, memory !== undefined && memory < 150),
      nothingLeft(rows),
    ],
  }
}

/** Every pair tried by echo; building the network is not counted. */
async function mesh(setting: Setting): Promise<Result> {
  const ours = (count: number): Contender => {
    const { up, down } = hardway(setting, count)
    const name = `${OURS} verify --mesh, ${count} hosts`
    return { name, before: up, up: [setting.program, 'verify', `bench${count}`, '--mesh'], ...(down ? { down } : {}) }
  }
  const pingAll: Contender = {
    name: 'Mininet pingall, 30 hosts',
    up: [...mininet(30).up, 'pingall'],
    read: (output) => {
      const [, pinging, stopping] = /pingall ([\d.]+) .*stop ([\d.]+)/.exec(output) ?? []
      return { up: Number(pinging) * 1000, down: Number(stopping) * 1000 }
    },
  }
  const rows = await race([ours(30), pingAll, ours(100)], 5)
  const [few, theirs, many] = [up(rows, ours(30).name), up(rows, pingAll.name), up(rows, ours(100).name)]
  return {
    title: 'Every pair answers',
    rows,
    targets: [
      target('870 pairs: faster than Mininet', times(theirs / few), few < theirs),
      target('9,900 pairs in under 1 s', `${(many / 1000).toFixed(2)} s`, many < 1000),
    ],
  }
}

function hardway({ program, scratch }: Setting, count: number): Contender {
  const file = join(scratch, `bench${count}.json`)
  writeFileSync(file, JSON.stringify(hostsOnABridge(count)))
  return { name: OURS, up: [program, 'up', file, '--no-verify'], down: [program, 'down', file] }
}

const tutorial = (count: number): Contender => ({
  name: "tutorial's script",
  up: ['bash', peer('tutorial_up.sh'), String(count)],
  down: ['bash', peer('tutorial_down.sh'), String(count)],
})

const batch = (count: number): Contender => ({
  name: '`ip -batch`',
  up: ['bash', peer('batch_up.sh'), String(count)],
  down: ['bash', peer('batch_down.sh'), String(count)],
})

const limit = ({ scratch }: Setting, count: number): Contender => ({
  name: 'limit.c',
  up: [compiled(scratch, 'limit'), String(count)],
})

const limitLast = ({ scratch }: Setting, count: number): Contender => ({
  name: 'limit_last.c',
  up: [compiled(scratch, 'limit_last'), String(count)],
})

/** Does both in one process, whose own start (Python) is not counted: it prints its times in seconds. */
const mininet = (count: number): Contender => ({
  name: 'Mininet (without its start)',
  // the Debian package belongs to Debian's Python
  up: ['/usr/bin/python3', peer('mininet_hosts.py'), String(count)],
  read: (output) => {
    const [, starting, stopping] = /start ([\d.]+) .*stop ([\d.]+)/.exec(output) ?? []
    return { up: Number(starting) * 1000, down: Number(stopping) * 1000 }
  },
})

function nothingLeft(rows: readonly Row[]): Target {
  const left = rows.find(({ name }) => name === OURS)?.left ?? Number.NaN
  return target('nothing left at the moment `down` returns', `${left} links and names`, left === 0)
}

function times(ratio: number): string {
  return `${ratio.toFixed(2)} times`
}

const up = (rows: readonly Row[], name: string): number => median(rows.find((row) => row.name === name)?.up ?? [])
const down = (rows: readonly Row[], name: string): number => median(rows.find((row) => row.name === name)?.down ?? [])
