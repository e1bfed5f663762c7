/** The analysis of a packet that an expectation of a file has sent. */
import { netnsOf } from '../plan/desired.ts'
import { HOST } from '../plan/state.ts'
import type { Expectation, Model, Probe } from '../topology/model.ts'
import type { Code } from './codes.ts'
import { explain, type Question } from './index.ts'

/** The first fault on its way; null when there is none or it cannot be told. Throws NoSuchPlace. */
export function reasonOf(model: Model, { from, probe }: Expectation): Code | null {
  return explain({ from: netnsOf(model, from) ?? HOST, to: probe.address, ...packetOf(probe) }).code
}

function packetOf(probe: Probe): Pick<Question, 'protocol' | 'port' | 'size'> {
  switch (probe.kind) {
    case 'ping':
      return { protocol: 'icmp' }
    case 'mtu':
      return { protocol: 'icmp', size: probe.atLeast }
    case 'tcp':
    case 'http':
      return { protocol: 'tcp', port: probe.port }
    case 'udp':
    case 'dns':
      return { protocol: 'udp', port: probe.port }
    default:
      return probe satisfies never
  }
}
