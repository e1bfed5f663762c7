/** `why --live`: a real packet beside the analysis; nothing of it stays, also when it is killed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from './support/need.ts'
import { runSync } from './support/run.ts'

const program = new URL('../dist/hardway', import.meta.url).pathname
const labs = new URL('../labs', import.meta.url).pathname

function inside(script: string) {
  const flags = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private']
  const setUp = 'mount -t tmpfs test /run; ip link set lo up; H=$1; LABS=$2'
  return runSync('unshare', [...flags, 'sh', '-c', `${setUp}\n${script}`, 'sh', program, labs], { timeout: 60_000 })
}

const skip = needs('root', 'ip', 'nft', 'unshare')

test('echo and TCP are seen on every device there and back, a dropped packet at the rule that drops it', {
  skip,
}, () => {
  const { stdout } = inside(`
    $H up $LABS/04-publish.yaml >/dev/null
    $H why outside 192.168.56.12:80 --live; echo "status $?"
    $H why outside 192.168.56.12 --live; echo "status $?"
    $H exec publish/host -- nft 'add table inet other; add chain inet other forward { type filter hook forward priority 0; }; add rule inet other forward tcp dport 8080 drop'
    $H why outside 192.168.56.12:80 --live; echo "status $?"
    $H exec publish/host -- nft list tables; $H down publish >/dev/null`)
  const [open = '', echo = '', dropped = '', rest = ''] = stdout.split(/status \d\n/)
  assert.match(open, /netns1 +seen on veth1, coming in/)
  assert.match(open, /outside +the answer seen on eth0, coming in/)
  assert.match(open, /it was answered, as the analysis says/)
  assert.match(echo, /it was answered, as the analysis says/)
  assert.match(dropped, /tcp dport 8080 drop → drop/)
  assert.doesNotMatch(dropped, /netns1 +seen/)
  assert.match(dropped, /no answer came, as the analysis says/)
  assert.match(dropped, /FILTER_DROP/)
  assert.doesNotMatch(rest, /trace/)
})

test('killed at any moment, it leaves no table behind', { skip }, () => {
  const { stdout } = inside(`
    $H up $LABS/03-bridge.yaml --no-verify >/dev/null
    for t in 0.02 0.04 0.06 0.1 0.2 0.4; do timeout -s KILL $t $H why netns1 10.0.0.99 --live >/dev/null 2>&1; done
    sleep 0.2 # timeout dies with its child, whose sockets are closed a moment later
    for n in netns1 bridge-host; do ip netns exec $n nft list tables; done; echo end`)
  assert.doesNotMatch(stdout, /trace/)
  assert.match(stdout, /end/)
})
