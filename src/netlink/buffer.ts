/** Bytes being written and read, in host byte order (little-endian on every machine that hardway runs on). */

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Netlink aligns headers and attributes to 4 bytes; netlink(7). */
export function align(length: number): number {
  return (length + 3) & ~3
}

/** A growing buffer. Offsets stay valid while it grows; views into it do not. */
export class Writer {
  #bytes: Uint8Array
  #view: DataView
  #length = 0

  constructor(capacity = 512) {
    this.#bytes = new Uint8Array(capacity)
    this.#view = new DataView(this.#bytes.buffer)
  }

  get length(): number {
    return this.#length
  }

  /** What was written so far; a view, valid until the next write. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #reserve(count: number): number {
    const at = this.#length
    if (at + count > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, at + count))
      grown.set(this.#bytes.subarray(0, at))
      this.#bytes = grown
      this.#view = new DataView(grown.buffer)
    }
    this.#length = at + count
    return at
  }

  u8(value: number): void {
    const at = this.#reserve(1)
    this.#view.setUint8(at, value)
  }
  u16(value: number, littleEndian = true): void {
    const at = this.#reserve(2)
    this.#view.setUint16(at, value, littleEndian)
  }
  u32(value: number, littleEndian = true): void {
    const at = this.#reserve(4)
    this.#view.setUint32(at, value, littleEndian)
  }
  s32(value: number): void {
    const at = this.#reserve(4)
    this.#view.setInt32(at, value, true)
  }
  u64(value: bigint, littleEndian = true): void {
    const at = this.#reserve(8)
    this.#view.setBigUint64(at, value, littleEndian)
  }
  raw(data: Uint8Array): void {
    // reserving may replace the buffer: the place comes first
    const at = this.#reserve(data.length)
    this.#bytes.set(data, at)
  }
  text(value: string): void {
    this.raw(encoder.encode(value))
  }
  zeros(count: number): void {
    const at = this.#reserve(count)
    this.#bytes.fill(0, at, at + count)
  }
  pad(): void {
    this.zeros(align(this.#length) - this.#length)
  }
  setU16(at: number, value: number): void {
    this.#view.setUint16(at, value, true)
  }
  setU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true)
  }
}

/** A window on received bytes. Reading past its end throws RangeError. */
export class Reader {
  readonly bytes: Uint8Array
  readonly #view: DataView

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get length(): number {
    return this.bytes.length
  }
  u8(at = 0): number {
    return this.#view.getUint8(at)
  }
  u16(at = 0, littleEndian = true): number {
    return this.#view.getUint16(at, littleEndian)
  }
  u32(at = 0, littleEndian = true): number {
    return this.#view.getUint32(at, littleEndian)
  }
  s32(at = 0): number {
    return this.#view.getInt32(at, true)
  }
  u64(at = 0, littleEndian = true): bigint {
    return this.#view.getBigUint64(at, littleEndian)
  }
  slice(start: number, end = this.length): Reader {
    if (start > end || end > this.length) throw new RangeError(`slice ${start}..${end} of ${this.length} bytes`)
    return new Reader(this.bytes.subarray(start, end))
  }
  /** Text up to the first NUL, or to the end. */
  text(): string {
    const nul = this.bytes.indexOf(0)
    return decoder.decode(nul < 0 ? this.bytes : this.bytes.subarray(0, nul))
  }
  /** A copy that outlives the receive buffer. */
  copy(): Uint8Array {
    return this.bytes.slice()
  }
}
