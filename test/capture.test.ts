/** `hardway capture` as a user meets it: places, filters, lines, files, ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from './support/need.ts'
import { type RunResult, runSync } from './support/run.ts'

const program = new URL('../dist/hardway', import.meta.url).pathname
const labs = new URL('../labs', import.meta.url).pathname

/**
 * A script in a fresh network and mount namespace with an empty /run, in which the lab `bridge` is up. `capture ARGS`
 * runs in the background, and the script goes on when it listens; `stop` interrupts it and shows what it said.
 */
function inLab(script: string): RunResult {
  const prelude = `
    set -e; mount -t tmpfs hardway-test /run; ip link set lo up; cd /run
    hardway() { "$program" "$@"; }
    capture() {
      : > /run/err
      "$program" capture "$@" > /run/out 2> /run/err & pid=$!
      while ! grep -q 'capturing at' /run/err; do kill -0 $pid; sleep 0.02; done
    }
    finish() { wait $pid && status=0 || status=$?; cat /run/out; cat /run/err; echo "status $status"; }
    stop() { kill -INT $pid; finish; }
    inside() { ip netns exec "$@" > /dev/null; }
    hardway up ${labs}/03-bridge.yaml > /dev/null`
  const argv = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private']
  return runSync('unshare', [...argv, 'sh', '-c', `${prelude}\n${script}`], { timeout: 60_000, env: { program } })
}

const options = { skip: needs('root', 'ip', 'ping', 'unshare'), timeout: 120_000 }

/** Without times, which differ. */
const lines = (text: string): string[] =>
  text
    .trim()
    .split('\n')
    .map((line) =>
      line
        .replace(/^\d\d:\d\d:\d\d\.\d{6} /, '')
        .replace(/id \d+/, 'id N')
        .replace(/ +/g, ' ')
        .trim(),
    )

test('a topology: every packet at every end of every link that it passes, in order', options, () => {
  const { stdout, stderr } = inLab(`
    capture bridge icmp -c 8
    inside netns1 ping -c 1 10.0.0.102
    finish`)
  const echo = (place: string, direction: string): string =>
    `${place} ${direction} 10.0.0.101 > 10.0.0.102 ICMP echo request, id N, seq 1, 56 bytes`
  const found = lines(stdout)
  assert.deepEqual(
    found.slice(0, 4),
    [
      echo('netns1:veth1', 'out'),
      echo('bridge/host:veth0', 'in'),
      echo('bridge/host:veth2', 'out'),
      echo('netns2:veth3', 'in'),
    ],
    stdout + stderr,
  )
  assert.deepEqual(found.slice(-3), [
    'capturing at bridge',
    '8 packets captured, 0 packets dropped by the kernel',
    'status 0',
  ])
})

test('an interface, and with --both the other end of its link, wherever that is', options, () => {
  const { stdout } = inLab(`
    capture netns1:veth1 icmp -c 2; inside netns1 ping -c 1 10.0.0.1; finish
    capture netns1:veth1 --both icmp -c 4; inside netns1 ping -c 1 10.0.0.1; finish
    capture bridge/host:veth0 icmp -c 2; inside netns1 ping -c 1 10.0.0.1; finish
    ip link add h0 type veth peer name h1; ip link set h0 up; ip link set h1 up
    capture host:h0 --both -c 2; sleep 1; finish`)
  const places = stdout.split('status 0').map((part) => {
    const found = [...part.matchAll(/^[\d:.]+ (\S+) +(?:in|out) /gm)].map(([, place = '']) => place)
    return [...new Set(found)].sort()
  })
  assert.deepEqual(places.slice(0, 4), [
    ['netns1:veth1'],
    ['bridge/host:veth0', 'netns1:veth1'],
    ['bridge/host:veth0'],
    ['host:h0', 'host:h1'],
  ])
})

test('an interrupt ends it with a summary and status 0; lines come at once', options, () => {
  const { stdout } = inLab(`
    capture netns2 icmp
    inside netns1 ping -c 1 10.0.0.102
    for i in 1 2 3 4 5 6 7 8; do sleep 0.05; [ -s /run/out ] && break; done
    wc -l < /run/out
    stop`)
  const [count, ...rest] = lines(stdout)
  assert.equal(count, '2')
  assert.deepEqual(rest.slice(-3), [
    'capturing at netns2; Ctrl-C ends it',
    '2 packets captured, 0 packets dropped by the kernel',
    'status 0',
  ])
})

test('--json is one object a line, -v tells more, a reader that has enough ends it', options, () => {
  const { stdout } = inLab(`
    capture netns2 icmp -c 2 --json; inside netns1 ping -c 1 10.0.0.102; wait $pid; cat /run/out
    capture netns2 icmp -c 2 -v; inside netns1 ping -c 1 10.0.0.102; wait $pid; cat /run/out
    (inside netns1 ping -c 20 -i 0.1 10.0.0.102) & hardway capture netns2 icmp 2> /dev/null | head -n 1 | wc -l`)
  const [request = '', reply = '', verbose = '', , count] = stdout.trim().split('\n')
  const packet: { where: string; direction: string; layers: { layer: string; words?: string }[] } = JSON.parse(request)
  assert.deepEqual(
    [packet.where, packet.direction, packet.layers.map(({ layer }) => layer), packet.layers[2]?.words],
    ['netns2:veth3', 'in', ['ethernet', 'ip', 'icmp'], 'echo request'],
  )
  assert.equal(JSON.parse(reply).direction, 'out')
  assert.match(
    verbose,
    /in {2}([0-9a-f:]{17}) > ([0-9a-f:]{17}) 10\.0\.0\.101 > 10\.0\.0\.102 \(ttl 64, id \d+, don't fragment\) ICMP/,
  )
  assert.equal(count, '1')
})

test('files: pcapng with the names of interfaces, plain pcap, standard output', {
  ...options,
  skip: needs('root', 'ip', 'ping', 'unshare', 'tshark', 'tcpdump'),
}, () => {
  const { stdout, stderr } = inLab(`
    capture bridge icmp -w a.pcapng; inside netns1 ping -c 1 10.0.0.102; stop
    tshark -r a.pcapng -T fields -e frame.interface_name 2> /dev/null | sort | uniq -c
    capture netns2:veth3 icmp -w a.pcap -c 2; inside netns1 ping -c 1 10.0.0.102; finish
    tcpdump -n -t -r a.pcap 2> /dev/null | wc -l
    capture netns2 icmp -c 2 -w -; inside netns1 ping -c 1 10.0.0.102; wait $pid
    tcpdump -n -t -r out 2> /dev/null | wc -l
    capture netns2 icmp -w none.pcapng; stop > /dev/null
    tcpdump -r none.pcapng 2> /dev/null | wc -l`)
  assert.equal(stderr, '')
  assert.deepEqual(lines(stdout), [
    'capturing at bridge; Ctrl-C ends it',
    '8 packets captured, 0 packets dropped by the kernel',
    'status 0',
    ...['bridge/host:veth0', 'bridge/host:veth2', 'netns1:veth1', 'netns2:veth3'].map((place) => `2 ${place}`),
    'capturing at netns2:veth3',
    '2 packets captured, 0 packets dropped by the kernel',
    'status 0',
    '2',
    '2',
    '0',
  ])
})

test('a full disk and a place that cannot be written are told in a sentence', options, () => {
  const { stdout, stderr } = inLab(`
    set +e
    hardway capture netns1 -w /nonexistent/a.pcap; echo "status $?"
    mkdir small; mount -t tmpfs -o size=64k small small
    hardway capture netns2:veth3 -w small/a.pcapng & pid=$!
    sleep 0.7; inside netns1 ping -q -c 100 -i 0.002 -s 1000 10.0.0.102; wait $pid; echo "status $?"`)
  assert.deepEqual(lines(stdout), ['status 1', 'status 1'])
  assert.match(stderr, /cannot write \/nonexistent\/a\.pcap: No such file or directory/)
  assert.match(stderr, /cannot write small\/a\.pcapng: No space left on device\nchoose another place/)
})

test('wrong names, filters and counts: what is near, where the mistake is', options, () => {
  const { stdout, stderr } = inLab(`
    set +e
    for words in nets1 bridg netns1:veth2 netns1:lo\\ --both netns1\\ --both 'netns1 prot 80' 'netns1 tcp port htpp' 'netns1 -c 0'; do
      hardway capture $words; echo "status $?"
    done`)
  assert.deepEqual(
    lines(stdout),
    [1, 1, 1, 1, 1, 2, 2, 2].map((status) => `status ${status}`),
  )
  for (const expected of [
    /no namespace and no topology nets1\ndid you mean netns1\? there are: host, bridge\/host, internet, netns1, netns2, bridge\n/,
    /no topology bridg\ndid you mean bridge\?/,
    /no interface veth2 in netns1\ndid you mean veth1\?/,
    /lo in netns1 is no veth: it has one end/,
    /--both wants an interface/,
    /prot is no word.*\n {2}prot 80\n {2}\^\^\^\^\ndid you mean port\?/,
    /a service, not htpp\n {2}tcp port htpp\n {11}\^\^\^\^\ndid you mean http\?/,
    /-c wants a number of packets, not 0/,
  ]) {
    assert.match(stderr, expected)
  }
})
