/** Traffic control on a device: queues and filters that a packet meets as it leaves or comes in. */
import type { Link, Qdisc } from '../rtnetlink/index.ts'
import { addFault, addHop, type Context, type Ended, stopped, unknown } from './context.ts'
import type { Packet } from './packet.ts'
import { deviceName, type Fault } from './segment.ts'
import type { Space } from './space.ts'

/** Queues that drop nothing of a few packets. */
const HARMLESS = ['noqueue', 'pfifo_fast', 'pfifo', 'bfifo', 'fq', 'fq_codel', 'mq', 'sfq', 'codel']
const ETHERNET_HEADER = 14

/** Undefined when it gets through. */
export function passQueue(
  context: Context,
  space: Space,
  link: Link,
  packet: Packet,
  way: 'out' | 'in',
): Ended | undefined {
  for (const qdisc of space.qdiscs().filter((q) => q.index === link.index)) {
    const isHook = qdisc.kind === 'clsact' || qdisc.kind === 'ingress'
    if (isHook) {
      if (space.filters(link.index) === 0) continue
      return doubt(context, space, link, `filters of tc on ${deviceName(space, link)} are not evaluated`)
    }
    if (way === 'in' || HARMLESS.includes(qdisc.kind)) continue
    if (qdisc.kind !== 'tbf') {
      return doubt(context, space, link, `a queue ${qdisc.kind} on ${deviceName(space, link)} is not evaluated`)
    }
    const fault = burstFault(space, link, packet, qdisc)
    if (!fault) continue
    addFault(context, 'qdisc', fault)
    return stopped(fault, packet)
  }
  return undefined
}

function doubt(context: Context, space: Space, link: Link, text: string): Ended {
  addHop(context, space, 'qdisc', deviceName(space, link), text, 'unknown')
  return unknown(text)
}

/** A token bucket drops what does not fit into it at once (tbf_enqueue). */
function burstFault(space: Space, link: Link, packet: Packet, { options }: Qdisc): Fault | undefined {
  const burst = options.tbf?.burst
  if (burst === undefined || packet.length + ETHERNET_HEADER <= burst) return undefined
  return {
    code: 'TC_DROP',
    space,
    object: `tbf on ${deviceName(space, link)}, burst ${burst}`,
    text: `the token bucket on ${deviceName(space, link)} holds ${burst} bytes and drops a frame of ${packet.length + ETHERNET_HEADER}`,
    remedy: `tc qdisc del dev ${link.name} root # or give it a burst of 1600 bytes and more`,
  }
}
