/** Writes captures: whole packets are gathered in a buffer, and the buffer goes out at once. */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import type { Format, RecordedPacket } from './pcapng.ts'

const BUFFER = 1 << 20

export interface Recorder {
  /** False when the format cannot hold it. */
  readonly add: (device: string, packet: RecordedPacket) => boolean
  /** Writes what is gathered. */
  readonly flush: () => void
}

/** `write` takes bytes that begin and end with whole packets. */
export function createRecorder(format: Format, write: (bytes: Uint8Array) => void): Recorder {
  let out = new Uint8Array(BUFFER)
  let view = new DataView(out.buffer)
  let used = 0
  const devices = new Map<string, number>()

  const flush = (): void => {
    if (used > 0) write(out.subarray(0, used))
    used = 0
  }
  /** Makes room for so many bytes. */
  const reserve = (size: number): void => {
    if (used + size <= out.length) return
    flush()
    if (size <= out.length) return
    out = new Uint8Array(size)
    view = new DataView(out.buffer)
  }
  const append = (bytes: Uint8Array): void => {
    reserve(bytes.length)
    out.set(bytes, used)
    used += bytes.length
  }
  const numberOf = (device: string, hasEthernet: boolean): number => {
    const known = devices.get(device)
    if (known !== undefined) return known
    append(format.device(device, hasEthernet))
    devices.set(device, devices.size)
    return devices.size - 1
  }

  append(format.head())
  return {
    add: (device, packet) => {
      if (!format.takes(packet.hasEthernet)) return false
      const number = numberOf(device, packet.hasEthernet)
      const size = format.size(packet.bytes.length)
      reserve(size)
      format.write(out, view, used, packet, number)
      used += size
      return true
    },
    flush,
  }
}

export interface OutputFile {
  readonly write: (bytes: Uint8Array) => void
  readonly close: () => void
}

/**
 * A new file, in place of one that is there. Where bytes do not fit, none of those of that call stay in it, so that it
 * ends with a whole packet; then `write` throws the error of write(2).
 */
export function createOutputFile(path: string): OutputFile {
  const fd = openSync(path, 'w')
  let length = 0
  return {
    write: (bytes) => {
      try {
        for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done)
        length += bytes.length
      } catch (error) {
        truncate(fd, length)
        throw error
      }
    },
    close: () => closeSync(fd),
  }
}

function truncate(fd: number, length: number): void {
  try {
    ftruncateSync(fd, length)
  } catch {
    // a pipe or a device, which cannot be cut
  }
}
