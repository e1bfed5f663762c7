/** The labs on a host where a real dockerd runs: FORWARD drops, bridges pass packets to iptables. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { lacking, needs } from './support/need.ts'
import { type RunResult, runSync } from './support/run.ts'

const program = new URL('../dist/hardway', import.meta.url).pathname
/** exit status of a script whose dockerd does not start on this machine */
const CANNOT = 69
const labs = new URL('../labs', import.meta.url).pathname

/**
 * Run in namespaces of its own, which end with it and everything in them, Docker's files too: they lie in a tmpfs that
 * only its mount namespace has, so that nothing stays when the test is killed. `$1` is the program, `$2` the labs.
 */
const HOST = `
set -e
CANNOT=${CANNOT}
mount -t sysfs test /sys; mount -t cgroup2 test /sys/fs/cgroup || true
mount -t tmpfs test /run; ip link set lo up
D=/run/docker-test; H=$1; LABS=$2; mkdir $D
# a way out, and somebody there
ip netns add world; ip link add uplink type veth peer name far netns world
ip address add 192.0.2.2/24 dev uplink; ip link set uplink up; ip route add default via 192.0.2.1
ip -n world address add 192.0.2.1/24 dev far; ip -n world link set far up

start() {
  rm -f $D/pid
  { dockerd --data-root $D/data --exec-root $D/exec --pidfile $D/pid -H unix://$D/sock --storage-driver vfs \\
    --exec-opt native.cgroupdriver=cgroupfs >>$D/log 2>&1 || touch $D/failed; } &
  for i in $(seq 150); do
    docker -H unix://$D/sock version >/dev/null 2>&1 && return
    [ -e $D/failed ] && break; sleep 0.1
  done
  tail -20 $D/log; return 1
}
state() {
  iptables-save | grep -v '^#' | sed 's/\\[[0-9:]*\\]//'; ip6tables-save | grep -v '^#' | sed 's/\\[[0-9:]*\\]//'
  # Docker draws the names of its own veths
  nft list tables; ip -br link | sed 's/@.*//' | awk '{print $1}' | sed 's/^veth[0-9a-f]\\{7\\}$/veth-of-docker/' | sort; ip route
  # a count, and devices that Docker makes anew
  sysctl -a 2>/dev/null | grep '^net\\.' | grep -v -e nf_conntrack_count -e '\\.veth[0-9a-f]\\{7\\}\\.'
}
container() {
  for to in 172.17.0.1 192.0.2.1; do docker -H unix://$D/sock exec c1 ping -c1 -W2 $to >/dev/null; done
  for to in 127.0.0.1 192.0.2.2; do timeout 2 busybox wget -q -O /dev/null http://$to:8000/; done
  ip netns exec world timeout 2 busybox wget -q -O /dev/null http://192.0.2.2:8000/
}
start || exit $CANNOT
mkdir -p $D/root/bin $D/root/www; cp "$(command -v busybox)" $D/root/bin/; echo hello >$D/root/www/index.html
for a in sh sleep ping httpd; do ln -s busybox $D/root/bin/$a; done
tar -C $D/root -c . | docker -H unix://$D/sock import - busybox:hw >/dev/null
docker -H unix://$D/sock run -d --name c1 -p 8000:80 busybox:hw httpd -f -p 80 -h /www >/dev/null
container
iptables -S FORWARD | grep -q -- '-P FORWARD DROP'
# where this kernel lets bridges do so at all
! [ -e /proc/sys/net/bridge ] || [ "$(sysctl -n net.bridge.bridge-nf-call-iptables)" = 1 ]
`

/** Undefined when the test has been skipped. */
function onDockerHost(t: TestContext, script: string): RunResult | undefined {
  const flags = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private']
  const result = runSync('unshare', [...flags, 'sh', '-c', `${HOST}${script}`, 'sh', program, labs], {
    timeout: 120_000,
  })
  if (result.status !== CANNOT) return result
  t.skip(lacking(`dockerd does not start here: ${result.stdout.trimEnd().split('\n').at(-1)}`))
  return undefined
}

const skip = needs('root', 'ip', 'iptables', 'nft', 'busybox', 'dockerd')

test('labs 1 to 4 beside Docker: every expectation holds, containers go on, all is put back', { skip }, (t) => {
  const result = onDockerHost(
    t,
    `
    state > $D/before
    for lab in 01-veth 02-routed 03-bridge 04-publish; do
      $H up $LABS/$lab.yaml --no-isolated
      $H up $LABS/$lab.yaml --no-isolated --no-verify | grep 'nothing to do'
      container
      $H down $LABS/$lab.yaml
      state > $D/after; diff $D/before $D/after
    done
    container`,
  )
  if (!result) return
  assert.equal(result.status, 0, result.stdout + result.stderr)
  assert.equal(result.stdout.match(/expectations hold/g)?.length, 4)
})

test('dockerd is started anew: up puts the accept back where it counts, down leaves nothing', { skip }, (t) => {
  const result = onDockerHost(
    t,
    `
    state > $D/before
    $H up $LABS/03-bridge.yaml --no-isolated
    iptables -S DOCKER-USER | grep -c hardway
    docker -H unix://$D/sock kill c1 >/dev/null; kill $(cat $D/pid); for i in $(seq 100); do [ -e $D/pid ] || break; sleep 0.1; done
    # what a new dockerd does to its chains; this Docker itself leaves those of the old one
    iptables -F DOCKER-USER; iptables -A DOCKER-USER -j RETURN
    start; docker -H unix://$D/sock start c1 >/dev/null
    $H verify $LABS/03-bridge.yaml --no-isolated && exit 1
    $H up $LABS/03-bridge.yaml --no-isolated
    $H down bridge
    container
    state > $D/after; diff $D/before $D/after`,
  )
  if (!result) return
  assert.equal(result.status, 0, result.stdout + result.stderr)
  assert.match(result.stdout, /8 of 8 expectations hold[\s\S]*do not hold[\s\S]*8 of 8 expectations hold/)
})
