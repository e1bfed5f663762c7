/** Brings a fresh clone to the point where it can build and test. Says one line for each thing that it really does. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { biome, Failure, findBun, isRoot, modules, newest, root, run, say, tsc, which } from './tools.mjs'

/** Debian packages that the tests compare with. hardway itself needs none of them. */
const testPackages = [
  'iproute2',
  'nftables',
  'iptables',
  'iputils-ping',
  'strace',
  'tcpdump',
  'tshark',
  'python3',
  'curl',
  'jq',
  'util-linux',
  'busybox-static',
  'conntrack',
  'zsh',
  'fish',
]

/**
 * Servers that tests start by themselves. Debian starts them too, and at every boot, where an init system runs: there
 * they are left for the owner of the machine to install, and the tests that need them are skipped.
 */
const serverPackages = existsSync('/run/systemd/system') ? [] : ['docker.io']

/** @returns {readonly string[]} */
export function packagesForTests() {
  return [...testPackages, ...serverPackages]
}

/** Debian packages of the programs that the benchmarks race. */
export const benchPackages = [
  'iproute2',
  'util-linux',
  'gcc',
  'libc6-dev',
  'time',
  'mininet',
  'bridge-utils',
  'tcpdump',
  'net-tools',
]

/** npm packages, as package-lock.json has them. */
export function ensureModules() {
  const lock = newest([join(root, 'package-lock.json')])
  const installed = newest([join(modules, '.package-lock.json')])
  if (installed >= lock && newest([tsc]) > 0 && newest([biome]) > 0) return
  say('installing npm packages (npm ci)')
  // npm tells its own path to the scripts that it runs; without npm in front, the one in PATH will do
  const npm = process.env.npm_execpath
  const [file, first] = npm ? [process.execPath, [npm]] : ['npm', []]
  const done = run(file, [...first, 'ci', '--no-audit', '--no-fund', '--loglevel=error'])
  // what went wrong comes first; after it npm explains its options
  if (!done.ok) throw new Failure(`npm ci failed:\n${done.output.split('\n').slice(0, 20).join('\n')}`)
  findBun()
}

/**
 * Debian packages: installs those that are missing when this is root on a Debian-like system, and otherwise says which
 * are missing. Never fails: what still is missing makes tests skip, with that reason.
 * @param {readonly string[]} wanted
 */
export function ensurePackages(wanted) {
  if (!which('dpkg-query')) return say(`not a Debian: make sure by yourself that there is ${wanted.join(', ')}`)
  const missing = missingPackages(wanted)
  if (missing.length === 0) return
  const names = missing.join(' ')
  if (!isRoot) return say(`missing, and only root can install: apt-get install ${names}`)
  say(`installing Debian packages: ${names}`)
  if (!haveLists() || !install(missing).ok) {
    // package lists that are absent or too old for the mirror; a failure here shows in the second attempt
    run('apt-get', ['update', '-qq'])
    const again = install(missing)
    if (!again.ok) say(`apt-get could not install ${missingPackages(wanted).join(' ')}:\n${again.output.trimEnd()}`)
  }
}

/** @param {readonly string[]} wanted */
function missingPackages(wanted) {
  // a package that dpkg has never heard of is absent from the output; one that was removed is not `ii`
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const known = run('dpkg-query', ['-W', '-f', '${db:Status-Abbrev} ${Package}\n', ...wanted]).stdout
  const installed = new Set(known.split('\n').flatMap((line) => (line.startsWith('ii') ? [line.slice(3).trim()] : [])))
  return wanted.filter((name) => !installed.has(name))
}

/** @param {readonly string[]} names */
function install(names) {
  return run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], {
    env: { DEBIAN_FRONTEND: 'noninteractive' },
  })
}

function haveLists() {
  try {
    return readdirSync('/var/lib/apt/lists').some((name) => name.includes('_Packages'))
  } catch {
    return false
  }
}
