/** The executable as a user meets it: exit statuses, messages, a host with Docker's firewall, an ordinary user. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lacking, needs } from './support/need.ts'
import { type RunResult, runSync } from './support/run.ts'

const program = new URL('../dist/hardway', import.meta.url).pathname
const labs = new URL('../labs', import.meta.url).pathname

function hardway(args: readonly string[], input = ''): RunResult {
  return runSync(program, args, { input })
}

/** A script in a fresh network and mount namespace with an empty /run; `$1` is the program, `$2` the labs. */
function inside(script: string): RunResult {
  const argv = ['--net', '--mount', '--propagation', 'private', 'sh', '-c']
  return runSync(
    'unshare',
    [...argv, `set -e; mount -t tmpfs hardway-test /run; ip link set lo up; ${script}`, 'sh', program, labs],
    { timeout: 60_000 },
  )
}

test('exit status 2 and the place for a bad file, 2 for bad usage, 0 for help', () => {
  const bad = hardway(['up', '-'], 'host:\n  interfaces: { veth0: { adresses: 10.0.0.1/24 } }\n')
  assert.equal(bad.status, 2)
  assert.match(bad.stderr, /stdin:2:26: unknown key "adresses".*did you mean "addresses"\?/)
  assert.equal(hardway(['up']).status, 2)
  assert.equal(hardway(['nonsense']).status, 2)
  assert.equal(hardway(['up', '/nonexistent.yaml']).status, 2)
  assert.equal(hardway(['--help']).status, 0)
  for (const verb of ['up', 'down', 'plan', 'ls', 'show', 'verify', 'exec', 'shell', 'capture', 'doctor', 'sandbox']) {
    assert.equal(hardway([verb, '--help']).status, 0, verb)
  }
})

test('verify of what is not up says so', { skip: needs('root', 'ip') }, () => {
  const result = inside(`set +e; "$1" verify "$2/01-veth.yaml"; echo "status $?"`)
  assert.equal(result.stdout, 'status 1\n')
  assert.match(result.stderr, /veth is not up\nhardway up \S+01-veth.yaml makes it/)
})

test('every flag is also a variable; 0 and nothing are off; what is typed wins', {
  skip: needs('root', 'ip'),
}, () => {
  const result = inside(`
    HARDWAY_UP_DRY_RUN=1 HARDWAY_UP_NO_ISOLATED=1 "$1" up "$2/01-veth.yaml"
    HARDWAY_PLAN_AS=shell HARDWAY_PLAN_DOWN=0 "$1" plan "$2/01-veth.yaml"
    HARDWAY_UP_NO_ISOLATED=1 HARDWAY_UP_NO_VERIFY=0 HARDWAY_UP_DRY_RUN= "$1" up "$2/01-veth.yaml" --isolated
    HARDWAY_LS_JSON=1 "$1" ls; HARDWAY_DOWN_ALL=1 "$1" down`)
  assert.equal(result.status, 0, result.stdout + result.stderr)
  assert.match(result.stdout, /^1 {2}Create namespace netns1/)
  assert.match(result.stdout, /^ip netns add veth-host$/m)
  assert.match(result.stdout, /3 of 3 expectations hold/)
  assert.match(result.stdout, /"isolated": true/)
})

test('up, ls, show, verify, exec and down of a lab; the file is not needed for down', {
  skip: needs('root', 'ip'),
}, () => {
  const result = inside(`
    "$1" up "$2/03-bridge.yaml" --json > /run/up.json
    "$1" ls; "$1" show bridge; "$1" verify "$2/03-bridge.yaml"
    "$1" exec netns1 -- cat /proc/net/dev
    "$1" exec bridge/host -- ls /sys/class/net
    "$1" plan "$2/03-bridge.yaml" --down
    "$1" apply - < "$2/03-bridge.yaml"
    "$1" down bridge; "$1" ls; ls /run/netns`)
  assert.equal(result.status, 0, result.stdout + result.stderr)
  assert.match(result.stdout, /bridge\s+isolated/)
  assert.match(result.stdout, /veth1\s+── host:veth0\s+10\.0\.0\.101\/24/)
  assert.match(result.stdout, /8 of 8 expectations hold/)
  assert.match(result.stdout, /br0/)
  assert.match(result.stdout, /nothing to do/)
  assert.match(result.stdout, /nothing is up/)
})

test('on a host where Docker drops FORWARD: an accept of ours in DOCKER-USER while it is up, iptables still reads it, gone after', {
  skip: needs('root', 'ip', 'iptables'),
}, () => {
  const result = inside(`
    iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A DOCKER-USER -j RETURN; iptables -I FORWARD -j DOCKER-USER
    iptables -S > /run/before
    for lab in 02-routed 03-bridge 04-publish; do
      "$1" up "$2/$lab.yaml" --no-isolated
      iptables -S DOCKER-USER | grep -c hardway
      "$1" up "$2/$lab.yaml" --no-isolated --no-verify | grep 'nothing to do'
      "$1" down "$2/$lab.yaml"
      iptables -S > /run/after; cmp /run/before /run/after
    done`)
  assert.equal(result.status, 0, result.stdout + result.stderr)
})

test('without the accept the same packets are dropped: the test above can fail', {
  skip: needs('root', 'ip', 'iptables'),
}, () => {
  const result = inside(`
    iptables -P FORWARD DROP
    sed '/^forward:/d' "$2/02-routed.yaml" > /run/lab.yaml
    set +e; "$1" up /run/lab.yaml --no-isolated; echo "status $?"; "$1" down routed`)
  assert.match(result.stdout, /status 1/)
  assert.match(result.stdout, /FAIL\s+ping netns1 -> netns2/)
})

test('an ordinary user gets a sentence and what to do, and the whole of lab 3 in a sandbox', {
  skip: needs('root', 'unshare'),
}, (t) => {
  const user = { uid: 65534, gid: 65534 }
  const as = (...args: string[]): RunResult =>
    runSync('setpriv', [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', program, ...args])
  const reachable = as('--version')
  if (reachable.status !== 0) return t.skip(lacking('needs a clone that every user may read'))
  const refused = as('up', `${labs}/01-veth.yaml`)
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /hardway needs root .*\nsudo hardway …, or as yourself: hardway sandbox -- /)
  const lab = as('sandbox', 'up', `${labs}/03-bridge.yaml`)
  assert.equal(lab.status, 0, lab.stdout + lab.stderr)
  assert.match(lab.stdout, /8 of 8 expectations hold/)
  const script = '"$0" up "$1" --no-verify && "$0" ls && "$0" exec netns1 -- sh -c "id -u; ls /sys/class/net"'
  const several = as('sandbox', 'sh', '-c', script, program, `${labs}/01-veth.yaml`)
  assert.equal(several.status, 0, several.stdout + several.stderr)
  assert.match(several.stdout, /\n0\nlo\nveth1\n$/)
})

test('a topology that is not up: show says so, down has nothing to do', { skip: needs('root', 'ip') }, () => {
  const result = inside(`"$1" down nothing-of-the-kind; set +e; "$1" show nothing-of-the-kind; echo "status $?"`)
  assert.match(result.stdout, /is not up; nothing to do/)
  assert.match(result.stdout, /status 2/)
})
