/**
 * `npm run bench -- [SECTION…] [--program FILE]`: races hardway against its peers on this machine. A run of all
 * sections writes bench/README.md; a run of some prints the same.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { median, type Row } from './measure.ts'
import type { Result } from './section.ts'
import { sections } from './sections.ts'

const root = join(import.meta.dirname, '..')

const { values, positionals } = parseArgs({ allowPositionals: true, options: { program: { type: 'string' } } })
const unknown = positionals.filter((name) => !sections.has(name))
const absent = ['ip', 'unshare', 'mount', 'gcc', 'time', 'mnexec', 'brctl', 'node', 'tcpdump'].filter(
  (name) => !Bun.which(name),
)
if (unknown.length > 0) {
  console.error(`no section ${unknown.join(', ')}: there are ${[...sections.keys()].join(', ')}`)
  process.exitCode = 2
} else if (absent.length > 0) {
  console.error(
    `missing: ${absent.join(', ')} (Debian packages iproute2, util-linux, gcc, time, mininet, bridge-utils, tcpdump)`,
  )
  process.exitCode = 1
} else await measure()

async function measure(): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'hardway-bench-'))
  const setting = { program: resolve(values.program ?? join(root, 'dist/hardway')), scratch }
  const results = new Map<string, Result>()
  try {
    for (const [name, section] of sections) {
      if (positionals.length > 0 && !positionals.includes(name)) continue
      console.error(`· ${name}`)
      results.set(name, await section(setting, results))
    }
  } finally {
    rmSync(scratch, { recursive: true })
  }
  const text = page([...results.values()])
  console.log(text)
  if (positionals.length === 0) writeFileSync(join(root, 'bench/README.md'), text)
}

function page(results: readonly Result[]): string {
  return [
    '# Benchmarks',
    '',
    'Written by `npm run bench`. Whole processes, from start to end, medians; the contenders take turns, each run in a',
    'fresh network and mount namespace. All build the same network (`bench/topology.ts`), without verification.',
    'What the peers are: [peers](peers/README.md). Memory is that of `up`, from a run of its own.',
    '',
    `${machine()}.`,
    ...results.flatMap(({ title, rows, table: own, targets }) => [
      '',
      `## ${title}`,
      '',
      ...(own ?? table(rows)),
      '',
      '| target | measured | reached |',
      '| --- | --- | --- |',
      ...targets.map(
        ({ claim, measured, isReached }) => `| ${claim} | ${measured} | ${isReached ? 'yes' : '**no**'} |`,
      ),
    ]),
    '',
  ].join('\n')
}

/** The first row is hardway; ratios are against it. */
function table(rows: readonly Row[]): string[] {
  const ours = median(rows[0]?.up ?? [])
  return [
    '| who | up, ms | lowest to highest | against the first | down, ms | peak memory, MB | runs |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...rows.map(({ name, up, down, memory }) => {
      const range = `${Math.min(...up).toFixed(1)} to ${Math.max(...up).toFixed(1)}`
      const gone = down.length > 0 ? median(down).toFixed(1) : ''
      const ratio = (median(up) / ours).toFixed(2)
      return `| ${name} | ${median(up).toFixed(1)} | ${range} | ${ratio} | ${gone} | ${memory?.toFixed(0) ?? ''} | ${up.length} |`
    }),
  ]
}

function machine(): string {
  const manifest: { version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const memory = (totalmem() / 2 ** 30).toFixed(0)
  const first = (argv: string[]): string => Bun.spawnSync(argv).stdout.toString().trim().split('\n')[0] ?? ''
  return [
    `Machine: ${cpus().length} processors (${cpus()[0]?.model}), ${memory} GB, Linux ${release()}`,
    `hardway ${manifest.version} on bun ${Bun.version}, ${first(['ip', '-V'])}, ${first(['gcc', '--version'])}`,
    `Mininet ${first(['dpkg-query', '-W', '-f', '$' + '{Version}', 'mininet'])}`,
    new Date().toISOString().slice(0, 10),
  ].join('; ')
}
