/** The format of a topology file, every key of it in one: built, found as it says, taken away; YAML, JSON and an object. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { defineTopology, parseTopology } from '../src/index.ts'
import { needs } from './support/need.ts'
import { inNewNetns, runSync } from './support/run.ts'

const program = new URL('../dist/hardway', import.meta.url).pathname

const text = `name: whole                         # default: the file's name
isolated: true
host:
  interfaces:
    veth0: { bridge: br0 }
    up0: { addresses: [203.0.113.2/24, 192.168.56.12/24] }
  routes: [ { to: default, via: 203.0.113.1 } ]
  sysctls: { net.ipv4.ip_forward: 1 }
namespaces:
  netns1:
    interfaces: { veth1: { addresses: [10.0.0.101/24], mac: '02:00:00:00:00:01', mtu: 1500, up: true } }
    routes: [ { to: default, via: 10.0.0.1, dev: veth1 } ]
    rules: [ { to: 10.0.0.5/32, table: main, priority: 512 } ]
    neighbours: [ { ip: 10.0.0.17, mac: '06:96:1e:62:50:e7', dev: veth1 } ]
    run: [ python3 -m http.server 8080 ]
  web: { networks: [lan] }
  db: { networks: { lan: 10.0.5.9 } }
  outside: { interfaces: { eth0: { addresses: [203.0.113.1/24, 192.168.56.1/24] } } }
bridges:
  br0: { addresses: 10.0.0.1/24 }
links:
  - [host:veth0, netns1:veth1]
  - [host:up0, outside:eth0]
networks:
  lan: { subnet: 10.0.5.0/24, gateway: 10.0.5.1, masquerade: true }
masquerade:
  - { from: 10.0.0.0/24, out: default }
forward: accept
publish:
  - { listen: 192.168.56.12:80/tcp, to: netns1:8080 }
expect:
  - ping netns1 -> host
  - ping web -> db
  - ping web -> 203.0.113.1
  - http host -> netns1:8080 contains "Directory listing"
  - http outside -> 192.168.56.12:80 contains "Directory listing"
  - http host -> 192.168.56.12:80 contains "Directory listing"
  - fails ping netns1 -> 1.1.1.1
`

test('every key at once: up, shown, nothing to do for the same as JSON, down', {
  skip: needs('root', 'unshare', 'python3'),
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'hardway-format-'))
  try {
    writeFileSync(join(folder, 'whole.yaml'), text)
    writeFileSync(join(folder, 'whole.json'), JSON.stringify(parse(text)))
    const script = `set -e; mount -t tmpfs hardway-test /run
      "$1" up "$2/whole.yaml"; "$1" show whole; "$1" up "$2/whole.json" --no-verify; "$1" down whole; ls /run/netns`
    const [unshare, ...args] = inNewNetns(['sh', '-c', script, 'sh', program, folder])
    const { status, stdout, stderr } = runSync(unshare, args)
    assert.equal(status, 0, stdout + stderr)
    assert.match(stdout, /7 of 7 expectations hold/)
    for (const shown of [
      'veth1           ── host:veth0  10.0.0.101/24',
      'rule            -4 from all to 10.0.0.5/32 table 254 priority 512',
      'neighbour       10.0.0.17 lladdr 06:96:1e:62:50:e7 dev veth1',
      'postrouting     ip saddr 10.0.0.0/24 oifname "up0" counter masquerade',
      'running         python3 -m http.server 8080',
    ]) {
      assert.ok(stdout.includes(shown), `${shown}\n${stdout}`)
    }
    assert.match(stdout, /whole is as the file says; nothing to do .*\nwhole down: nothing of it remains .*\n$/)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('YAML, JSON and an object give one model', () => {
  const plain = (model: unknown): unknown =>
    JSON.parse(JSON.stringify(model, (key, value) => (key === 'at' || key === 'file' ? undefined : value)))
  const [yaml, json] = [text, JSON.stringify(parse(text))].map((source) => {
    const parsed = parseTopology(source, { file: 'whole' })
    return 'model' in parsed ? plain(parsed.model) : parsed.problems
  })
  assert.deepEqual(json, yaml)
  assert.deepEqual(plain(defineTopology(parse(text), { file: 'whole' })), yaml)
})
