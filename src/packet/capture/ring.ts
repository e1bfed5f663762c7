/**
 * A packet socket with memory shared with the kernel: packet(7), Documentation/networking/packet_mmap.rst, TPACKET_V3.
 * The kernel fills blocks with packets and hands each over when it is full or old; nothing is copied by a call.
 */
import * as sys from '../../sys/index.ts'
import { interfaceName } from '../sockaddr.ts'
import { attachFilter, type Instruction } from './bpf.ts'
import { HARDWARE_ETHERNET, HARDWARE_LOOPBACK, nothing, OUTGOING } from './filter-compile.ts'
import { withVlanTag } from './vlan.ts'

const SOL_PACKET = 263
const PACKET_RX_RING = 5
const PACKET_STATISTICS = 6
const PACKET_VERSION = 10
const TPACKET_V3 = 2
const ETH_P_ALL = 3

/** struct tpacket_block_desc */
const BLOCK_STATUS = 8
const BLOCK_PACKETS = 12
const BLOCK_FIRST = 16
const STATUS_KERNEL = 0
const STATUS_USER = 1

/** struct tpacket3_hdr, and the struct sockaddr_ll behind it */
const NEXT = 0
const SECONDS = 4
const NANOSECONDS = 8
const CAPTURED = 12
const LENGTH = 16
const STATUS = 20
const MAC = 24
const NET = 26
const VLAN_TCI = 32
const VLAN_TPID = 36
const ADDRESS = 48
const STATUS_VLAN_VALID = 1 << 4
const STATUS_VLAN_TPID_VALID = 1 << 6
const ETH_P_8021Q = 0x8100

/** A block that is not full is handed over after so many ms. */
export const RETIRE_AFTER = 40

export interface RingOptions {
  /** name of the namespace */
  readonly namespace: string
  /** index of the one interface to listen on; all of the namespace when left out */
  readonly device?: number
  readonly program: readonly Instruction[]
  /** bytes of a block, a power of two of pages */
  readonly blockSize: number
  readonly blocks: number
}

export interface Packet {
  /** namespace and interface: `netns1:veth1` */
  readonly where: string
  /** Unix time */
  readonly seconds: number
  readonly nanoseconds: number
  readonly isOutgoing: boolean
  readonly hasEthernet: boolean
  /** bytes on the wire */
  readonly length: number
  /** the packet, or its beginning; shared with the kernel, and gone with the next `release` */
  readonly bytes: Uint8Array
}

export interface Ring {
  readonly fd: number
  /** Adds what has come up to that Unix time (ms) to the list; false when there is more that came later. */
  readonly collect: (until: number, into: Packet[]) => boolean
  /** Gives the kernel back the blocks whose packets have all been collected. */
  readonly release: () => void
  /** Blocks that wait to be collected, of all. */
  readonly fill: () => number
  /** Packets that the kernel had no room for, since the last time that it was asked. */
  readonly drops: () => number
  /** From here on nothing passes; what is there can still be collected. */
  readonly stop: () => void
  readonly close: () => void
}

/** Opens the ring in the thread's present network namespace. Throws SysError. */
export function openRing(options: RingOptions): Ring {
  // with protocol 0 it gets nothing: the filter is there before the first packet is
  const fd = sys.socket(sys.AF_PACKET, sys.SOCK_RAW, 0)
  try {
    attachFilter(fd, options.program)
    sys.setsockopt(fd, SOL_PACKET, PACKET_VERSION, TPACKET_V3)
    sys.setsockopt(fd, SOL_PACKET, PACKET_RX_RING, ringRequest(options))
    const mapping = sys.mmap(fd, options.blockSize * options.blocks)
    sys.bind(fd, linkAddress(options.device ?? 0))
    return createRing(fd, mapping, options)
  } catch (error) {
    sys.close(fd)
    throw error
  }
}

/** struct tpacket_req3 */
function ringRequest({ blockSize, blocks }: RingOptions): Uint8Array {
  const FRAME = 2048 // counts for nothing in this version, but must divide the block
  return new Uint8Array(
    Uint32Array.of(blockSize, blocks, FRAME, (blockSize / FRAME) * blocks, RETIRE_AFTER, 0, 0).buffer,
  )
}

/** struct sockaddr_ll */
function linkAddress(device: number): Uint8Array {
  const bytes = new Uint8Array(20)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, sys.AF_PACKET, true)
  view.setUint16(2, ETH_P_ALL)
  view.setInt32(4, device, true)
  return bytes
}

function createRing(fd: number, mapping: sys.Mapping, { namespace, blockSize, blocks }: RingOptions): Ring {
  const { bytes } = mapping
  const view = new DataView(bytes.buffer)
  // the kernel writes the status last and reads it first: read and written so that nothing moves past it
  const words = new Int32Array(bytes.buffer)
  const statusOf = (block: number): number => (block * blockSize + BLOCK_STATUS) / 4
  const isReady = (block: number): boolean => (Atomics.load(words, statusOf(block)) & STATUS_USER) !== 0
  const places = new Map<number, string>()

  /** the block being read, and the first one that has not been given back */
  let [block, oldest] = [0, 0]
  /** blocks read to their end and not given back */
  let done = 0
  /** of the block being read: packets left, and where the next one is; -1 before the first */
  let [left, at] = [-1, 0]

  /** The interface may have gone since: then it is `if7`. */
  const placeOf = (device: number): string => {
    const place = places.get(device) ?? `${namespace}:${interfaceName(fd, device) ?? `if${device}`}`
    places.set(device, place)
    return place
  }

  const packetAt = (offset: number): Packet => {
    const mac = view.getUint16(offset + MAC, true)
    const net = view.getUint16(offset + NET, true)
    const hardware = view.getUint16(offset + ADDRESS + 8, true)
    const hasEthernet = hardware === HARDWARE_ETHERNET || hardware === HARDWARE_LOOPBACK
    // a header that is not Ethernet's is left out
    const skipped = hasEthernet ? 0 : net - mac
    const captured = Math.max(0, view.getUint32(offset + CAPTURED, true) - skipped)
    const begin = offset + mac + skipped
    const whole = bytes.subarray(begin, begin + captured)
    const status = view.getUint32(offset + STATUS, true)
    const isTagged = hasEthernet && (status & STATUS_VLAN_VALID) !== 0
    const tpid = status & STATUS_VLAN_TPID_VALID ? view.getUint16(offset + VLAN_TPID, true) : ETH_P_8021Q
    return {
      where: placeOf(view.getInt32(offset + ADDRESS + 4, true)),
      seconds: view.getUint32(offset + SECONDS, true),
      nanoseconds: view.getUint32(offset + NANOSECONDS, true),
      isOutgoing: view.getUint8(offset + ADDRESS + 10) === OUTGOING,
      hasEthernet,
      length: view.getUint32(offset + LENGTH, true) - skipped + (isTagged ? 4 : 0),
      bytes: isTagged ? withVlanTag(whole, tpid, view.getUint32(offset + VLAN_TCI, true)) : whole,
    }
  }

  const timeAt = (offset: number): number =>
    view.getUint32(offset + SECONDS, true) * 1000 + view.getUint32(offset + NANOSECONDS, true) / 1e6

  return {
    fd,
    collect: (until, into) => {
      while (done < blocks && isReady(block)) {
        const base = block * blockSize
        if (left < 0) {
          left = view.getUint32(base + BLOCK_PACKETS, true)
          at = base + view.getUint32(base + BLOCK_FIRST, true)
        }
        for (; left > 0; left--) {
          if (timeAt(at) > until) return false
          into.push(packetAt(at))
          at += view.getUint32(at + NEXT, true)
        }
        left = -1
        done++
        block = (block + 1) % blocks
      }
      return true
    },
    release: () => {
      for (; done > 0; done--) {
        Atomics.store(words, statusOf(oldest), STATUS_KERNEL)
        oldest = (oldest + 1) % blocks
      }
    },
    fill: () => {
      let ready = 0
      while (ready < blocks && isReady((oldest + ready) % blocks)) ready++
      return ready / blocks
    },
    drops: () => {
      const statistics = sys.getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, new Uint8Array(12))
      return new DataView(statistics.buffer).getUint32(4, true)
    },
    stop: () => attachFilter(fd, nothing),
    close: () => {
      mapping.unmap()
      sys.close(fd)
    },
  }
}
