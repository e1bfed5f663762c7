/** `verify` as a user and a CI system meet it: reasons, JUnit, the mesh. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from './support/need.ts'
import { type RunResult, runSync } from './support/run.ts'

const program = new URL('../dist/hardway', import.meta.url).pathname
const skip = needs('root', 'ip', 'unshare')

/** A script in a fresh network and mount namespace with an empty /run; `$1` is the program, standard input /run/lab. */
function inside(lab: string, script: string): RunResult {
  const setUp = 'mount -t tmpfs hardway-test /run; cd /run; cat > lab.yaml; ip link set lo up'
  return runSync(
    'unshare',
    ['--net', '--mount', '--propagation', 'private', 'sh', '-c', `${setUp}; ${script}`, 'sh', program],
    {
      input: lab,
      timeout: 60_000,
    },
  )
}

const LAB = `name: lab
isolated: true
networks: { lan: { subnet: [10.0.0.0/24, 'fd00::/64'] } }
namespaces: { a: { networks: [lan] }, b: { networks: [lan] }, c: { networks: [lan] } }
expect:
  - ping a -> b within 1s
  - fails ping a -> 192.0.2.1 because NO_ROUTE
  - fails tcp a -> b:81 because NOT_LISTENING
  - mtu a -> b at least 1500
`

test('reasons are checked by the analysis; a wrong one does not hold and says which it was', { skip }, () => {
  const right = inside(LAB, '"$1" up lab.yaml && "$1" verify lab.yaml')
  assert.equal(right.status, 0, right.stdout + right.stderr)
  assert.match(right.stdout, /unreachable, because NO_ROUTE/)
  assert.match(right.stdout, /4 of 4 expectations hold/)
  const wrong = inside(LAB.replace('NOT_LISTENING', 'FILTER_DROP'), '"$1" up lab.yaml')
  assert.equal(wrong.status, 1)
  assert.match(wrong.stdout, /FAIL.*but the reason is NOT_LISTENING, not FILTER_DROP/)
  const misspelt = inside(LAB.replace('NOT_LISTENING', 'NOT_LISTENNING'), '"$1" up lab.yaml')
  assert.equal(misspelt.status, 2)
  assert.match(misspelt.stderr, /lab\.yaml:8:\d+: "NOT_LISTENNING" is not .*did you mean "NOT_LISTENING"\?/)
})

test('JUnit goes to a file or to standard output, with exit status 1 when something does not hold', { skip }, () => {
  const bad = LAB.replace('b:81 because NOT_LISTENING', 'b').replace('fails tcp', 'fails ping')
  const result = inside(bad, '"$1" up lab.yaml --no-verify >&2; "$1" verify lab.yaml --junit out.xml >&2; cat out.xml')
  assert.match(result.stdout, /<testsuite name="lab" tests="4" failures="1" errors="0" time="/)
  assert.match(
    result.stdout,
    /name="fails ping a -&gt; b" time="[0-9.]+">\n +<failure type="reached" message="reply from/,
  )
  const direct = inside(bad, '"$1" up lab.yaml --no-verify >&2; "$1" verify lab.yaml --junit -')
  assert.equal(direct.status, 1)
  assert.match(direct.stdout, /^<\?xml/)
  const data = inside(LAB, '"$1" up lab.yaml >&2; "$1" verify lab.yaml --json')
  const checks = JSON.parse(data.stdout) as { holds: boolean; why?: string }[]
  assert.deepEqual(
    checks.map(({ holds, why }) => [holds, why]),
    [
      [true, undefined],
      [true, 'NO_ROUTE'],
      [true, 'NOT_LISTENING'],
      [true, undefined],
    ],
  )
})

test('the mesh tries every pair by all addresses, by file and by name; a link that is down is seen', { skip }, () => {
  const good = inside(LAB, '"$1" up lab.yaml >&2; "$1" verify lab.yaml --mesh && "$1" verify lab --mesh --json')
  assert.equal(good.status, 0, good.stdout + good.stderr)
  const [text = '', json = ''] = good.stdout.split(/^(?=\{)/m)
  // host, a, b, c: 12 ordered pairs, two families
  assert.match(text, /^ +host +a +b +c\nhost +- +[0-9.]+ ms +[0-9.]+ ms +[0-9.]+ ms\n/)
  assert.match(text, /24 of 24 echoes answered, 4 namespaces/)
  const mesh = JSON.parse(json) as { namespaces: string[]; results: { from: string; to: string; outcome: string }[] }
  assert.deepEqual(mesh.namespaces, ['host', 'a', 'b', 'c'])
  assert.equal(new Set(mesh.results.map(({ from, to }) => `${from} ${to}`)).size, 12)
  const bad = inside(LAB, '"$1" up lab.yaml >&2; "$1" exec b -- ip link set eth0 down; "$1" verify lab --mesh')
  assert.equal(bad.status, 1)
  assert.match(bad.stdout, /^a +[0-9.]+ ms +- +FAIL/m)
  assert.match(bad.stdout, /FAIL +a -> b +10\.0\.0\.3/)
})

test('a mesh that overfills the neighbour table is tried in blocks, and leaves the table as it was', { skip }, () => {
  const names = Array.from({ length: 34 }, (_, i) => `n${i}: { networks: [lan] }`)
  const lab = `name: lab
networks: { lan: { subnet: 10.0.0.0/24 } }
namespaces: { ${names.join(', ')} }
`
  const down = 'for n in 0 1; do "$1" exec n$n -- ip link set eth0 down; done'
  const result = inside(
    lab,
    `"$1" up lab.yaml >&2; ip -n n9 neigh add 10.0.0.250 lladdr 02:00:00:00:00:01 dev eth0
    "$1" verify lab --mesh; ip -n n9 neigh; ${down}; "$1" verify lab --mesh`,
  )
  assert.match(result.stdout, /1122 of 1122 echoes answered, 34 namespaces/, result.stderr)
  assert.match(result.stdout, /^10\.0\.0\.250 dev eth0 lladdr 02:00:00:00:00:01 PERMANENT *$/m)
  assert.equal(result.stdout.match(/dev eth0/g)?.length, 1)
  // 32 namespaces still reach each other; all that is lost costs one time-out
  const [, answered, ms] = /(\d+) of 1122 echoes answered.*\((\d+) ms\)\s*$/.exec(result.stdout) ?? []
  assert.equal(Number(answered), 32 * 31)
  assert.ok(Number(ms) < 4000, `${ms} ms`)
  assert.match(result.stdout, /and 80 more; --json has all/)
})

test('a name that nothing answers to', { skip }, () => {
  const result = inside(LAB, '"$1" up lab.yaml >&2; "$1" verify lab; echo $?; "$1" verify lap --mesh; echo $?')
  assert.equal(result.stdout, '2\n2\n')
  assert.match(result.stderr, /lab is up, but only its file knows what to expect\n.*--mesh for every pair/)
  assert.match(result.stderr, /there is no file lap, and no topology of that name is up\ndid you mean lab\?/)
})
