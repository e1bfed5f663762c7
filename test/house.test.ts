/** The table of docs/architecture.md, who may import whom, held against the sources; and promise 1. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'

const root = resolve(import.meta.dirname, '..')
const src = join(root, 'src')

const kernel = ['ip', 'sys', 'netlink', 'rtnetlink', 'nftables', 'netns']
const engine = [...kernel, 'packet', 'topology', 'plan', 'engine']
const capability = [...engine, 'verify', 'why']

/** Folder → folders that it may import. `nftables/(expr|objects|operation|text)` means only the files so named. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  ip: [],
  sys: [],
  netlink: ['sys', 'ip'],
  rtnetlink: ['netlink', 'ip', 'sys'],
  nftables: ['netlink', 'ip'],
  netns: ['sys', 'rtnetlink', 'netlink'],
  packet: ['sys', 'netlink', 'ip'],
  topology: ['ip'],
  plan: ['topology', 'ip', 'nftables/(expr|objects|operation|text)'],
  engine,
  verify: engine,
  why: [...engine, 'verify'],
  balancer: capability,
  cni: capability,
  docker: capability,
  map: capability,
  web: capability,
  lessons: capability,
  cli: ['*'],
  // files directly in src/: the entry of the library
  '.': ['*'],
}

interface Import {
  /** path under src/ of the importing file */
  readonly from: string
  readonly line: number
  /** as written */
  readonly to: string
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && !isTestHelper(path))
  .sort()
const imports = files.flatMap(importsOf)

/** `testing.ts` and `test-….ts` beside the tests that share them. */
function isTestHelper(path: string): boolean {
  return /(^|\/)(testing|test-[\w-]+)\.ts$/.test(path)
}

/** Static, type-only and dynamic imports, and re-exports. */
function importsOf(from: string): Import[] {
  const text = withoutComments(readFileSync(join(src, from), 'utf8'))
  const pattern =
    /\b(?:import|export)\s[^'"`;()]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\s*\(?\s*['"`]([^'"`]+)['"`]|\brequire\s*\(\s*['"]([^'"]+)['"]/g
  return [...text.matchAll(pattern)].map((match) => ({
    from,
    line: text.slice(0, match.index).split('\n').length,
    to: match[1] ?? match[2] ?? match[3] ?? '',
  }))
}

/** Comments become blanks of the same length, so that lines keep their numbers. Strings are stepped over. */
function withoutComments(text: string): string {
  const pattern = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|\/\*[\s\S]*?\*\/|(?<!:)\/\/[^\n]*/g
  return text.replace(pattern, (part) => (part.startsWith('/') ? part.replace(/[^\n]/g, ' ') : part))
}

const folderOf = (path: string): string => (path.includes('/') ? (path.split('/')[0] ?? '') : '.')

/** Why an import is against the table, or undefined. */
function objection({ from, to }: Import): string | undefined {
  const folder = folderOf(from)
  if (!to.startsWith('.')) {
    // package.json's own `imports`: the choice by runtime
    if (to.startsWith('#')) return folder === 'sys' ? undefined : 'only src/sys knows which runtime it is on'
    const isForeign = to === 'koffi' || to === 'bun' || to.startsWith('bun:')
    return isForeign && folder !== 'sys' ? 'only src/sys knows which runtime it is on' : undefined
  }
  const target = relative(src, resolve(src, dirname(from), to))
  if (target.startsWith('..')) {
    return /^\.\.\/(test|bench|scripts)\//.test(target) ? 'the program does not depend on its tools' : undefined
  }
  if (isTestHelper(target)) return 'the program does not depend on its tests'
  const allowed = mayImport[folder]
  if (allowed === undefined) return `src/${folder} has no line in the table of who may import whom`
  const goal = folderOf(target)
  if (goal === folder || allowed.includes('*') || allowed.includes(goal)) return undefined
  if (allowed.some((name) => name.includes('/') && new RegExp(`^${name}`).test(target))) return undefined
  return `${folder} may import ${allowed.join(', ') || 'nothing'}`
}

const complaints = (list: readonly Import[]): string[] =>
  list.flatMap((one) => {
    const reason = objection(one)
    return reason === undefined ? [] : [`src/${one.from}:${one.line} imports '${one.to}': ${reason}`]
  })

test('a lower floor never imports an upper one', () => {
  assert.ok(imports.length > 0, 'no import found in src: the search is broken')
  assert.deepEqual(complaints(imports), [])
})

test('the house test sees what it is for', () => {
  const bad: readonly (readonly [string, string])[] = [
    ['netlink/socket.ts', '../rtnetlink/index.ts'],
    ['plan/diff.ts', '../nftables/index.ts'],
    ['map/text.ts', '../web/server.ts'],
    ['netns/index.ts', 'bun:ffi'],
    ['cli/main.ts', 'koffi'],
    ['engine/apply.ts', '../../test/support/run.ts'],
    ['attic/index.ts', '../ip/index.ts'],
  ]
  const good: readonly (readonly [string, string])[] = [
    ['plan/diff.ts', '../nftables/expression.ts'],
    ['plan/diff.ts', './order.ts'],
    ['cli/up.ts', '../engine/index.ts'],
    ['sys/bun.ts', 'bun:ffi'],
  ]
  for (const [from, to] of bad) assert.equal(complaints([{ from, to, line: 1 }]).length, 1, `${from} → ${to}`)
  for (const [from, to] of good) assert.deepEqual(complaints([{ from, to, line: 1 }]), [])
})

test('the program depends only on packages that package.json names as its dependencies', () => {
  const manifest: { dependencies: Record<string, string> } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  )
  const packages = imports.filter(({ to }) => !/^(\.|#|node:|bun$|bun:)/.test(to))
  const unknown = packages.filter(({ to }) => {
    const name = to.split('/', to.startsWith('@') ? 2 : 1).join('/')
    return !(name in manifest.dependencies)
  })
  assert.deepEqual(unknown, [])
})

const banned =
  'ip|iptables(?:-\\w+)?|ip6tables(?:-\\w+)?|nft|tc|bridge|brctl|ping6?|tcpdump|arping|sysctl|conntrack|ifconfig|route'
/** A call that starts a program, up to the first word of its first string. */
const execution = new RegExp(
  `(?:\\b(?:spawn|spawnSync|exec|execSync|execFile|execFileSync|fork|execve|execvp)|\\$)\\s*(?:\\(|(?=\`))[\\s\\[{]*(?:cmd:\\s*\\[\\s*)?` +
    `(?:['"\`](?:sh|bash)['"\`]\\s*,\\s*\\[?\\s*['"\`]-\\w*c['"\`]\\s*,\\s*)?['"\`](?:[\\w/]*/)?(?:${banned})(?=['"\`\\s])`,
)

function executions(text: string): string[] {
  return text.split('\n').flatMap((_, number, lines) => {
    const window = lines.slice(number, number + 4).join('\n')
    const match = execution.exec(window)
    // only where the call begins in this very line, so that each is reported once
    return match && match.index < (lines[number]?.length ?? 0) ? [`${number + 1}: ${match[0]}`] : []
  })
}

test('A Linux kernel is all it needs: no ip, iptables, nft, brctl, ping or tcpdump is executed', () => {
  const found = files.flatMap((path) =>
    executions(withoutComments(readFileSync(join(src, path), 'utf8'))).map((hit) => `src/${path}:${hit}`),
  )
  assert.deepEqual(found, [])
})

test('the search for executed programs finds them', () => {
  for (const text of [
    "spawn('ip', ['link'])",
    "spawnSync(\n  '/usr/sbin/nft',\n  [])",
    "Bun.spawn(['ping', '-c1'])",
    "Bun.spawn({ cmd: ['iptables-legacy'] })",
    "execSync('tc qdisc show')",
    "spawn('sh', ['-c', 'ip link'])",
    'await $`ip netns add x`',
  ]) {
    assert.equal(executions(text).length, 1, text)
  }
  for (const text of [
    "say('ip link add')",
    "spawn('python3', ['ip'])",
    "re.exec('ipsum')",
    "spawn('unshare', ['ip'])",
  ]) {
    assert.deepEqual(executions(text), [], text)
  }
})
