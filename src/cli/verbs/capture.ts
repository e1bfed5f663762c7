/** `capture`: packets as they pass, decoded one a line, or into a file. */
import { codeOf, EngineError } from '../../engine/errors.ts'
import {
  type Capture,
  createOutputFile,
  createRecorder,
  decodePacket,
  FilterError,
  formatPacket,
  type OutputFile,
  openCapture,
  type Packet,
  packetJson,
  parseFilter,
  pcap,
  pcapng,
  type Recorder,
} from '../../packet/capture/index.ts'
import { strerror } from '../../sys/index.ts'
import { nearest } from '../../topology/names.ts'
import { findPlaces } from '../../why/places.ts'
import { openWorld } from '../../why/world.ts'
import { UsageError } from '../failure.ts'
import { printError, writeAll } from '../output.ts'

export interface CaptureOptions {
  readonly both?: boolean
  /** a file's name, `-` for standard output */
  readonly write?: string
  /** how many packets at most, as it was written */
  readonly count?: string
  readonly verbose?: boolean
  readonly json?: boolean
}

type Filter = ReturnType<typeof parseFilter>

/** What is done with packets. */
interface Sink {
  readonly put: (packets: readonly Packet[]) => void
  /** What there is to add to the summary. */
  readonly finish: () => string
}

export async function runCapture(where: string, words: readonly string[], options: CaptureOptions): Promise<number> {
  const filter = readFilter(words.join(' '))
  const most = readCount(options.count)
  const { capture, width } = open(where, filter, options)
  try {
    const sink = options.write === undefined ? lineSink(options, width) : fileSink(options.write)
    let isStopped = false
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (isStopped = true))
    printError(`capturing at ${where}${most === Number.POSITIVE_INFINITY ? '; Ctrl-C ends it' : ''}`)
    let captured = 0
    await capture.run(
      (packets) => {
        const wanted = packets.slice(0, most - captured)
        sink.put(wanted)
        captured += wanted.length
        return captured < most
      },
      () => isStopped,
    )
    const rest = sink.finish()
    printError(`${counted(captured)} captured, ${counted(capture.dropped())} dropped by the kernel${rest}`)
    return 0
  } finally {
    capture.close()
  }
}

function counted(packets: number): string {
  return packets === 1 ? '1 packet' : `${packets} packets`
}

function readCount(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY
  if (/^[1-9]\d*$/.test(text)) return Number(text)
  throw new UsageError(`-c wants a number of packets, not ${text}`, '-c 10')
}

function readFilter(text: string): Filter {
  try {
    return parseFilter(text)
  } catch (error) {
    if (!(error instanceof FilterError)) throw error
    const { filter, at, length, message, hint, candidates } = error
    const near = nearest(filter.slice(at, at + length), candidates)
    const caret = `${' '.repeat(at)}${'^'.repeat(length)}`
    throw new UsageError(
      `${message}\n  ${filter}\n  ${caret}`,
      near === undefined ? hint : `did you mean ${near}? ${hint}`,
    )
  }
}

interface Opened {
  readonly capture: Capture
  /** of the longest `netns1:veth1` */
  readonly width: number
}

/** Opens the sockets; the namespaces themselves are not needed after that. */
function open(where: string, filter: Filter, { both = false }: CaptureOptions): Opened {
  using world = openWorld()
  const places = findPlaces(world, where, { both })
  try {
    const width = Math.max(...places.flatMap((p) => p.interfaces.map((name) => `${p.name}:${name}`.length)))
    return { capture: openCapture(places, filter), width }
  } catch (error) {
    if (error instanceof RangeError) {
      throw new EngineError(error.message, { hint: 'a shorter filter, or fewer interfaces', cause: error })
    }
    if (codeOf(error) !== 'EMFILE') throw error
    const hint = 'each namespace takes some: ulimit -n 65536, or capture in fewer of them'
    throw new EngineError('this process may open no more files', { hint, code: 'EMFILE', cause: error })
  }
}

/** Lines of one call go out together: at once for a person, few writes for a program. */
function lineSink({ json = false, verbose = false }: CaptureOptions, width: number): Sink {
  const line = (packet: Packet): string => {
    const layers = decodePacket(packet.bytes, packet.hasEthernet)
    if (json) return JSON.stringify(packetJson(packet, layers))
    return formatPacket(packet, layers, width, { isVerbose: verbose })
  }
  return {
    put: (packets) => {
      if (packets.length > 0) writeAll(1, `${packets.map(line).join('\n')}\n`)
    },
    finish: () => '',
  }
}

/** `.pcap` is plain pcap, which has one kind of link: that of the first packet. Any other name is pcapng. */
function fileSink(path: string): Sink {
  const file = path === '-' ? standardOutput : openFile(path)
  let recorder: Recorder | undefined
  const record = (hasEthernet: boolean): Recorder =>
    createRecorder(path.endsWith('.pcap') ? pcap(hasEthernet) : pcapng, file.write)
  let leftOut = 0
  return {
    put: (packets) => {
      for (const packet of packets) {
        recorder ??= record(packet.hasEthernet)
        if (!recorder.add(packet.where, packet)) leftOut++
      }
      // another program may follow the file
      recorder?.flush()
    },
    finish: () => {
      recorder ??= record(true)
      recorder.flush()
      file.close()
      return leftOut === 0 ? '' : `; ${counted(leftOut)} of another kind of link left out: name the file .pcapng`
    },
  }
}

const standardOutput: OutputFile = { write: (bytes) => writeAll(1, bytes), close: () => undefined }

function openFile(path: string): OutputFile {
  const file = explained(path, () => createOutputFile(path))
  return { ...file, write: (bytes) => explained(path, () => file.write(bytes)) }
}

/** Errors of the file, in a sentence. */
function explained<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const errno = error instanceof Error && 'errno' in error ? Math.abs(Number(error.errno)) : 0
    if (errno === 0) throw error
    throw new EngineError(`cannot write ${path}: ${strerror(errno)}`, {
      hint: 'choose another place with -w; what was written before can be read',
      cause: error,
    })
  }
}
