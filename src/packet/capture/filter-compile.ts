/** Filters as programs of classic BPF. Pure. */
import {
  AD_HARDWARE,
  AD_INTERFACE,
  AD_PACKET_TYPE,
  type Instruction,
  instruction,
  JUMP,
  JUMP_EQUAL,
  LD_WORD,
  MOST_INSTRUCTIONS,
  RETURN,
} from './bpf.ts'
import type { Filter } from './filter.ts'
import { type Condition, ETHERNET, lower, RAW } from './filter-lower.ts'

/** ARPHRD_ETHER and ARPHRD_LOOPBACK; linux/if_arp.h. Both have an Ethernet header. */
export const HARDWARE_ETHERNET = 1
export const HARDWARE_LOOPBACK = 772
/** PACKET_OUTGOING; linux/if_packet.h */
export const OUTGOING = 4
/** more than any packet has */
const WHOLE = 0x40000
/** a condition skips at most so many instructions */
const FARTHEST_SKIP = 255

/** A place in the program, as the number of instructions from there to its end. */
type Label = number

/**
 * Writes a program from its end to its beginning, since BPF jumps forward only: then every target is known, and where
 * one is too far for the 8 bits of a condition, an unconditional jump stands in between.
 */
function createWriter() {
  const reversed: Instruction[] = []
  const push = (one: Instruction): Label => reversed.push(one)
  const near = (label: Label): Label =>
    // two more may be pushed before the condition itself: the other's stepping stone, and this one
    reversed.length - label > FARTHEST_SKIP - 2 ? push(instruction(JUMP, reversed.length - label)) : label
  return {
    push,
    branch: (code: number, k: number, onTrue: Label, onFalse: Label): Label => {
      const [yes, no] = [near(onTrue), near(onFalse)]
      return push(instruction(code, k, reversed.length - yes, reversed.length - no))
    },
    finish: (begin: Label): Instruction[] => {
      if (begin !== reversed.length) push(instruction(JUMP, reversed.length - begin))
      return reversed.toReversed()
    },
  }
}

type Writer = ReturnType<typeof createWriter>

/** Writes the condition; the label of its beginning. */
function write(writer: Writer, condition: Condition, onTrue: Label, onFalse: Label): Label {
  switch (condition.kind) {
    case 'and':
      return write(writer, condition.left, write(writer, condition.right, onTrue, onFalse), onFalse)
    case 'or':
      return write(writer, condition.left, onTrue, write(writer, condition.right, onTrue, onFalse))
    case 'not':
      return write(writer, condition.of, onFalse, onTrue)
    case 'never':
      return onFalse
    case 'test': {
      let label = writer.branch(condition.jump, condition.k, onTrue, onFalse)
      for (const load of condition.loads.toReversed()) label = writer.push(load)
      return label
    }
    default:
      return condition satisfies never
  }
}

/** A condition alone, for frames that begin with an Ethernet header. */
export function compileForEthernet(filter: Filter): Instruction[] {
  const writer = createWriter()
  const reject = writer.push(instruction(RETURN, 0))
  const accept = writer.push(instruction(RETURN, WHOLE))
  return writer.finish(write(writer, lower(filter, ETHERNET), accept, reject))
}

/** Nothing passes. */
export const nothing: readonly Instruction[] = [instruction(RETURN, 0)]

/**
 * The program of a capture. `devices` are indices of interfaces, undefined for all of the namespace. What loopback
 * sends it also receives: it passes once. Throws RangeError when the program is longer than the kernel takes.
 */
export function compileCapture(filter: Filter | undefined, devices?: readonly number[]): Instruction[] {
  const writer = createWriter()
  const reject = writer.push(instruction(RETURN, 0))
  const accept = writer.push(instruction(RETURN, WHOLE))
  let label = accept
  if (filter) {
    const raw = write(writer, lower(filter, RAW), accept, reject)
    const ethernet = write(writer, lower(filter, ETHERNET), accept, reject)
    label = writer.branch(JUMP_EQUAL, HARDWARE_LOOPBACK, ethernet, raw)
    label = writer.branch(JUMP_EQUAL, HARDWARE_ETHERNET, ethernet, label)
    label = writer.push(instruction(LD_WORD, AD_HARDWARE))
  }
  const wanted = label
  label = writer.branch(JUMP_EQUAL, OUTGOING, reject, wanted)
  label = writer.push(instruction(LD_WORD, AD_PACKET_TYPE))
  label = writer.branch(JUMP_EQUAL, HARDWARE_LOOPBACK, label, wanted)
  label = writer.push(instruction(LD_WORD, AD_HARDWARE))
  if (devices) {
    const chosen = label
    label = reject
    for (const device of devices) label = writer.branch(JUMP_EQUAL, device, chosen, label)
    if (devices.length > 0) label = writer.push(instruction(LD_WORD, AD_INTERFACE))
  }
  const program = writer.finish(label)
  if (program.length > MOST_INSTRUCTIONS) {
    throw new RangeError(`the filter needs ${program.length} instructions; the kernel takes ${MOST_INSTRUCTIONS}`)
  }
  return program
}
