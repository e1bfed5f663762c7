/** UDP flows follow a published port when it is moved, and are forgotten when it goes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enterOwnHost } from '../../test/support/host.ts'
import { needs } from '../../test/support/need.ts'
import { encodeSocketAddress, listFlows, openConntrack } from '../packet/index.ts'
import { describe } from '../plan/prose.ts'
import { shellScript } from '../plan/shell.ts'
import * as sys from '../sys/index.ts'
import { type Model, parseTopology } from '../topology/index.ts'
import { enterer } from './enter.ts'
import { down, planUp, up } from './index.ts'
import { settle } from './settle.ts'

enterOwnHost()

/** Port 53 of the host is published to port 5353 of `target`; without one only another port is. */
function topology(family: 4 | 6, target?: string): Model {
  const [net, out] = family === 4 ? ['10.0.0', '192.168.56'] : ['fd00:0:0:1:', 'fd00:0:0:2:']
  const dot = family === 4 ? '.' : ':'
  const length = family === 4 ? 24 : 64
  const listen = (port: number): string => (family === 4 ? `${out}.12:${port}/udp` : `'[${out}:12]:${port}/udp'`)
  const text = `
name: flows
bridges: { br0: { addresses: '${net}${dot}1/${length}' } }
host: { interfaces: { v1: { bridge: br0 }, v2: { bridge: br0 }, up0: { addresses: '${out}${dot}12/${length}' } } }
namespaces:
  one: { interfaces: { e: { addresses: '${net}${dot}11/${length}' } }, routes: [ { to: default, via: '${net}${dot}1' } ] }
  two: { interfaces: { e: { addresses: '${net}${dot}22/${length}' } }, routes: [ { to: default, via: '${net}${dot}1' } ] }
  outside: { interfaces: { e: { addresses: '${out}${dot}1/${length}' } } }
links: [ [host:v1, one:e], [host:v2, two:e], [host:up0, outside:e] ]
publish: [ { listen: ${listen(target ? 53 : 54)}, to: ${target ?? 'one'}:5353 } ]
`
  const parsed = parseTopology(text, { file: 'flows.yaml' })
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems))
  return parsed.model
}

/** A UDP socket inside; bound to `port` when it is given. */
function open(model: Model, namespace: string, family: 4 | 6, port?: number): number {
  using spaces = enterer(model)
  const fd = spaces.enter(namespace, () => sys.socket(family === 4 ? sys.AF_INET : sys.AF_INET6, sys.SOCK_DGRAM, 0))
  if (port !== undefined) sys.bind(fd, encodeSocketAddress(family === 4 ? '0.0.0.0' : '::', port))
  return fd
}

/** What comes within a second; undefined when nothing does. */
function receive(fd: number): string | undefined {
  const buffer = new Uint8Array(64)
  if (!sys.poll([{ fd, events: sys.POLLIN }], 1000)[0]) return undefined
  const length = sys.recv(fd, buffer, sys.MSG_DONTWAIT) ?? 0
  return new TextDecoder().decode(buffer.subarray(0, length))
}

for (const family of [4, 6] as const) {
  test(`IPv${family}: the next datagram of the same socket reaches a port published since, then its new target; after down no flow is left`, {
    skip: needs('root'),
  }, async () => {
    const [without, first, second] = [topology(family), topology(family, 'one'), topology(family, 'two')]
    up(without)
    await settle(without)
    const sockets = [open(first, 'one', family, 5353), open(first, 'two', family, 5353), open(first, 'outside', family)]
    const [one = -1, two = -1, client = -1] = sockets
    try {
      const published = family === 4 ? '192.168.56.12' : 'fd00:0:0:2::12'
      const send = (text: string): void => {
        sys.sendto(client, new TextEncoder().encode(text), 0, encodeSocketAddress(published, 53))
      }
      send('too early')
      const early = up(first).operations.map(describe).join('\n')
      assert.match(early, /Forget the flows of udp (.*) to \1 in the host: a busy one would go on as before the rule/)
      send('before')
      assert.equal(receive(one), 'before')

      const plan = planUp(second)
      assert.ok(plan.operations.some((op) => op.kind === 'flows.delete'))
      assert.match(
        plan.operations.map(describe).join('\n'),
        /Forget the flows of udp .*:53 to .*:5353 in the host: .* to its old target/,
      )
      assert.match(shellScript(plan), /conntrack -D -f ipv[46] -p udp --orig-port-dst 53 --orig-dst /)
      up(second)
      send('after')
      assert.equal(receive(two), 'after')
      assert.equal(receive(one), undefined)

      using conntrack = openConntrack()
      const count = (): number =>
        listFlows(conntrack, { protocol: sys.IPPROTO_UDP }).filter((f) => f.original.destinationPort === 53).length
      assert.equal(count(), 1)
      down('flows')
      assert.equal(count(), 0)
    } finally {
      for (const fd of sockets) sys.close(fd)
      down('flows')
    }
  })
}
