/** Packet capture: filters, rings, decoding, files. Loaded by the verbs that capture, and by no other. */
export { decodePacket } from './decode.ts'
export { FilterError, parseFilter } from './filter.ts'
export type { Layer } from './layers.ts'
export { pcap, pcapng } from './pcapng.ts'
export { createOutputFile, createRecorder, type OutputFile, type Recorder } from './recorder.ts'
export type { Packet } from './ring.ts'
export { type Capture, type CaptureSource, openCapture } from './session.ts'
export { formatPacket, packetJson, type TextOptions } from './text.ts'
