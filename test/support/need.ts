/** What a test cannot do without. Tests that lack something skip themselves, and say what they lack. */
import { spawnSync } from 'node:child_process'
import { accessSync, appendFileSync, constants, existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** A program that is looked up in PATH and the sbin folders. */
export type Program =
  | 'ip'
  | 'tc'
  | 'bridge'
  | 'nft'
  | 'iptables'
  | 'iptables-legacy'
  | 'ping'
  | 'tcpdump'
  | 'tshark'
  | 'python3'
  | 'curl'
  | 'jq'
  | 'unshare'
  | 'busybox'
  | 'gcc'
  | 'strace'
  | 'docker'
  | 'dockerd'
  | 'conntrack'
  | 'podman'
  | 'bash'
  | 'zsh'
  | 'fish'

/** `module:vxlan`: a part of the kernel, built in or as a module: a kind of link, `sch_…`, or any module's name. */
export type Need = 'root' | Program | `module:${string}`

const answers = new Map<Need, string | false>()

/**
 * For the `skip` option of node:test: false when everything is there, else a sentence with what is missing.
 *
 *     test('…', { skip: needs('root', 'nft', 'module:vxlan') }, () => { … })
 */
export function needs(...what: readonly Need[]): string | false {
  const missing = what.map(lacks).filter((answer) => answer !== false)
  if (missing.length === 0) return false
  const reason = `needs ${missing.join(', ')}`
  record(reason, needs)
  return reason
}

/** For a test that finds out as it runs that it cannot: the reason for its `t.skip`, kept for the report. */
export function lacking(reason: string): string {
  record(reason, lacking)
  return reason
}

function lacks(need: Need): string | false {
  const known = answers.get(need)
  if (known !== undefined) return known
  const answer = isThere(need) ? false : describe(need)
  answers.set(need, answer)
  return answer
}

function describe(need: Need): string {
  if (need.startsWith('module:')) return `a kernel with ${need.slice('module:'.length)}`
  return need === 'docker' && findProgram(need) ? 'a running docker' : need
}

function isThere(need: Need): boolean {
  if (need === 'root') return process.getuid?.() === 0
  if (need.startsWith('module:')) return hasModule(need.slice('module:'.length))
  if (!findProgram(need)) return false
  // the program alone is no use: it talks to a daemon
  return need !== 'docker' || succeeds('docker', ['version', '--format', '{{.Server.Version}}'])
}

/** The full path of a program, or undefined. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/**
 * Whether the kernel has a part. What is built in shows in /sys/module only when it takes parameters, so the kernel is
 * asked to make one in a throwaway namespace: a link of that kind, or a queueing discipline.
 */
function hasModule(name: string): boolean {
  // rtnetlink makes no link of this kind: its device file says whether it is there
  if (name === 'tun') return existsSync('/dev/net/tun')
  if (existsSync(`/sys/module/${name.replaceAll('-', '_')}`) || isListed(name)) return true
  // some kinds rest on another device: a veth's end is there for them
  const request = name.startsWith('sch_')
    ? `tc qdisc add dev lo ${qdiscWords(name.slice('sch_'.length))}`
    : `ip link add probe0 type ${name} || { ip link add under0 type veth && ip link add link under0 probe0 type ${name}; }`
  return succeeds('unshare', ['--net', '--map-root-user', 'sh', '-c', request])
}

/** As tc takes it: some disciplines have their own place, or no default. */
function qdiscWords(kind: string): string {
  if (kind === 'ingress' || kind === 'clsact') return kind
  return kind === 'tbf' ? 'root tbf rate 1mbit burst 10000 limit 10000' : `root ${kind}`
}

function isListed(name: string): boolean {
  const folder = `/lib/modules/${readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()}`
  return ['modules.builtin', 'modules.dep'].some((file) => {
    const path = join(folder, file)
    return existsSync(path) && new RegExp(`/${name}\\.ko\\b`, 'm').test(readFileSync(path, 'utf8'))
  })
}

function succeeds(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore', timeout: 5000 }).status === 0
}

/**
 * Bun's test runner drops the reason of a skipped test, so that it is handed to `npm test` beside it, with the line
 * that asked.
 */
function record(reason: string, asked: typeof needs | typeof lacking): void {
  const file = process.env.HARDWAY_TEST_SKIPS
  if (file === undefined) return
  const trace: { stack?: string } = {}
  Error.captureStackTrace(trace, asked)
  const line = Number(/:(\d+):\d+\)?$/m.exec(trace.stack ?? '')?.[1] ?? 0)
  appendFileSync(file, `${JSON.stringify({ line, reason })}\n`)
}
