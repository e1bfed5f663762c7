/** kill -9 at any moment: `down` leaves the host as it was, `up` heals. The executable, in namespaces of its own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from './support/need.ts'
import { runSync } from './support/run.ts'

const program = new URL('../dist/hardway', import.meta.url).pathname
const lab = new URL('../labs/03-bridge.yaml', import.meta.url).pathname

/** A shell script in a fresh network and mount namespace with an empty /run; the words are its arguments, not its text. */
function inside(script: string, ...words: string[]): ReturnType<typeof runSync> {
  const argv = [
    '--net',
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-c',
    `mount -t tmpfs hardway-test /run; ip link set lo up; ${script}`,
  ]
  return runSync('unshare', [...argv, 'sh', ...words], { timeout: 100_000 })
}

/** What could be left: links, names, rules, our routes, the table, processes, forwarding. */
const STATE =
  'state() { ip -o link | cut -d" " -f2; ls /run/netns /run/hardway 2>/dev/null; ip rule; ip route; nft list ruleset; cat /proc/sys/net/ipv4/ip_forward; }; '

// the strokes fall on system calls that change something: messages to the kernel, new namespaces, mounts, files
const KILLS = [
  ['sendto', 60],
  ['unshare', 4],
  ['mount', 4],
  ['linkat', 3],
] as const

for (const [call, most] of KILLS) {
  test(`kill -9 at every n-th ${call} of lab 3, then down leaves the host as before and up heals`, {
    skip: needs('root', 'ip', 'nft', 'strace'),
  }, () => {
    const result = inside(
      `${STATE}
      mkdir -p /run/netns /run/hardway
      state > /run/before
      n=1; killed=0
      while [ $n -le $3 ]; do
        strace -f -qq -o /dev/null -e trace=$4 -e inject=$4:signal=KILL:when=$n "$1" up "$2" --no-isolated --no-verify >/dev/null 2>&1 && break
        killed=$((killed + 1))
        # every other time it is healed instead of taken away
        if [ $((n % 2)) = 0 ]; then "$1" up "$2" --no-isolated >/run/out 2>&1 || { echo "up after $n:"; cat /run/out; exit 1; }; fi
        "$1" down "$2" >/run/out 2>&1 || { echo "down after $n:"; cat /run/out; exit 1; }
        i=0; while [ $i -lt 40 ]; do state > /run/after; cmp -s /run/before /run/after && break; sleep 0.05; i=$((i + 1)); done
        cmp -s /run/before /run/after || { echo "left after $n:"; diff /run/before /run/after; exit 1; }
        n=$((n + 1))
      done
      "$1" down "$2" >/dev/null
      echo "killed $killed times"`,
      program,
      lab,
      String(most),
      call,
    )
    assert.equal(result.status, 0, result.stdout + result.stderr)
    assert.ok(/killed [1-9]/.test(result.stdout), `nothing was killed: ${result.stdout}${result.stderr}`)
  })
}

test('two up of one file at once: one makes it, the other finds it made', { skip: needs('root', 'ip') }, () => {
  const result = inside(
    `"$1" up "$2" --no-verify >/run/a 2>&1 & a=$!; "$1" up "$2" --no-verify >/run/b 2>&1; b=$?; wait $a || exit 1; cat /run/a /run/b; [ $b = 0 ] || exit 1
    "$1" verify "$2" || exit 1; "$1" down "$2"; ls /run/netns`,
    program,
    lab,
  )
  assert.equal(result.status, 0, result.stdout + result.stderr)
  assert.match(result.stdout, /nothing to do/)
})

test('down while a process runs inside ends what exec started there', { skip: needs('root', 'ip') }, () => {
  const result = inside(
    `"$1" up "$2" --no-verify >/dev/null && { "$1" exec netns1 -- sleep 1000 & sleep 0.3; "$1" down "$2"; ls /run/netns; wait; }`,
    program,
    lab,
  )
  assert.equal(result.status, 0, result.stdout + result.stderr)
  assert.match(result.stdout, /nothing of it remains/)
})
