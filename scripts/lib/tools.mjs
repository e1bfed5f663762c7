/**
 * What every script shares: where things are, how a program is run, how a line is said.
 * Plain Node 20 without packages, because these files run before `npm ci` did.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, readdirSync, statSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = resolve(fileURLToPath(new URL('../..', import.meta.url)))
export const modules = join(root, 'node_modules')
export const program = join(root, 'dist', 'hardway')
export const isRoot = process.getuid?.() === 0

/** One line about what is going on, apart from the output of the work itself. @param {string} line */
export function say(line) {
  console.error(`· ${line}`)
}

/** A failure that needs no stack trace. */
export class Failure extends Error {}

/** Runs a script's main function; a Failure becomes one sentence and exit status 1. @param {() => unknown} work */
export async function main(work) {
  try {
    process.chdir(root)
    await work()
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}

/**
 * Runs a program to its end without a shell, and keeps its output.
 * @param {string} file
 * @param {readonly string[]} args
 * @param {{ env?: Record<string, string>, inherit?: boolean }} [options] inherit: the output goes straight through
 */
export function run(file, args, { env, inherit = false } = {}) {
  const result = spawnSync(file, args, {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    stdio: ['ignore', inherit ? 'inherit' : 'pipe', inherit ? 'inherit' : 'pipe'],
  })
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error ? `${result.error.message}\n` : ''}`
  return { ok: result.status === 0, status: result.status, stdout: result.stdout ?? '', output }
}

/** The full path of a program, or undefined. /usr/sbin is searched even where PATH leaves it out. @param {string} name */
export function which(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']
  return folders
    .filter(Boolean)
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/**
 * The bun executable that the npm package brought. Its own link in node_modules/.bin works only when the package's
 * install script was allowed to run; otherwise the executable still lies in the package of this platform.
 */
export function findBun() {
  const cpu = process.arch === 'arm64' ? 'aarch64' : process.arch
  const platform = join(modules, '@oven')
  const candidates = [
    join(modules, 'bun', 'bin', 'bun.exe'),
    ...list(platform)
      .filter((name) => name.startsWith(`bun-linux-${cpu}`))
      .sort()
      .map((name) => join(platform, name, 'bin', 'bun')),
  ]
  const bun = candidates.find((path) => size(path) > 1 << 20 && run(path, ['--version']).ok)
  if (bun) return bun
  throw new Failure(`no bun that runs here (linux ${process.arch}): none of\n  ${candidates.join('\n  ')}\nTry: npm ci`)
}

/** A package's command run by this Node, so that no link in node_modules/.bin is needed. @param {string} script */
export const packaged = (script) => join(modules, ...script.split('/'))
export const tsc = packaged('typescript/bin/tsc')
export const biome = packaged('@biomejs/biome/bin/biome')

/** @param {string} folder */
function list(folder) {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** @param {string} path */
function size(path) {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/**
 * The latest change in milliseconds of some files and everything below some folders; -Infinity when none is there.
 * Folders count too: a deleted file changes nothing else.
 * @param {readonly string[]} paths
 * @returns {number}
 */
export function newest(paths) {
  let latest = Number.NEGATIVE_INFINITY
  for (const path of paths) {
    const info = statSync(path, { throwIfNoEntry: false })
    if (!info) continue
    latest = Math.max(latest, info.mtimeMs)
    if (info.isDirectory()) latest = Math.max(latest, newest(list(path).map((name) => join(path, name))))
  }
  return latest
}
