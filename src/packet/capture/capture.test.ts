/** Captures in namespaces of the real kernel. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../../test/support/need.ts'
import * as sys from '../../sys/index.ts'
import { interfaceIndex } from '../sockaddr.ts'
import { createLab, createPair, type Lab } from '../test-lab.ts'
import { attachFilter, instruction, RETURN } from './bpf.ts'
import { decodePacket } from './decode.ts'
import { parseFilter } from './filter.ts'
import { openRing, type Packet } from './ring.ts'
import { type Capture, type CaptureSource, openCapture } from './session.ts'
import { ethernet, ipv4, two, udp } from './test-packets.ts'
import { describe } from './text.ts'

const ready = needs('root', 'ip', 'ping')
const options = { skip: ready, timeout: 60_000 }

function source(lab: Lab, name: string, ...devices: string[]): CaptureSource {
  const inside: CaptureSource['inside'] = (work) => lab.enter(name, work)
  if (devices.length === 0) return { name, inside }
  return { name, inside, devices: devices.map((device) => indexOf(lab, name, device)) }
}

function indexOf(lab: Lab, name: string, device: string): number {
  const fd = lab.enter(name, () => sys.socket(sys.AF_INET, sys.SOCK_DGRAM, 0))
  try {
    return interfaceIndex(fd, device)
  } finally {
    sys.close(fd)
  }
}

interface Kept extends Packet {
  readonly text: string
}

/** A copy that outlives its ring. */
function keep(packet: Packet): Kept {
  const bytes = packet.bytes.slice()
  return { ...packet, bytes, text: describe(decodePacket(bytes, packet.hasEthernet), { isVerbose: false }) }
}

/** Everything that comes while `work` runs. */
async function during(capture: Capture, work: () => void | Promise<void>): Promise<Kept[]> {
  const found: Kept[] = []
  let isDone = false
  const running = capture.run(
    (packets) => {
      found.push(...packets.map(keep))
      return true
    },
    () => isDone,
  )
  await work()
  isDone = true
  await running
  return found
}

/** Sends frames as they are. */
function sendFrames(lab: Lab, name: string, device: string, frames: readonly Uint8Array[]): void {
  const address = new Uint8Array(20)
  new DataView(address.buffer).setUint16(0, sys.AF_PACKET, true)
  new DataView(address.buffer).setInt32(4, indexOf(lab, name, device), true)
  const fd = lab.enter(name, () => sys.socket(sys.AF_PACKET, sys.SOCK_RAW, 0))
  try {
    for (const frame of frames) sys.sendto(fd, frame, 0, address)
  } finally {
    sys.close(fd)
  }
}

test('both ends of a link: each packet twice, in order of time, with place and direction', options, async () => {
  using lab = createPair()
  const capture = openCapture([source(lab, 'b'), source(lab, 'a', 'v0')], parseFilter('icmp'))
  try {
    const found = await during(
      capture,
      () => void lab.run('a', 'ping', '-c', '2', '-i', '0.1', '-s', '100', '10.0.0.2'),
    )
    const id = /id (\d+)/.exec(found[0]?.text ?? '')?.[1]
    const line = (where: string, direction: string, kind: string, seq: number): string => {
      const ends = kind === 'request' ? '10.0.0.1 > 10.0.0.2' : '10.0.0.2 > 10.0.0.1'
      return `${where} ${direction} ${ends} ICMP echo ${kind}, id ${id}, seq ${seq}, 100 bytes`
    }
    assert.deepEqual(
      found.map(({ where, isOutgoing, text }) => `${where} ${isOutgoing ? 'out' : 'in'} ${text}`),
      [1, 2].flatMap((seq) => [
        line('a:v0', 'out', 'request', seq),
        line('b:v0', 'in', 'request', seq),
        line('b:v0', 'out', 'reply', seq),
        line('a:v0', 'in', 'reply', seq),
      ]),
    )
    const times = found.map((p) => p.seconds * 1e6 + p.nanoseconds / 1e3)
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    )
    assert.ok(Math.abs((times[0] ?? 0) / 1e3 - Date.now()) < 30_000)
    assert.equal(capture.dropped(), 0)
  } finally {
    capture.close()
  }
})

test('what loopback sends and receives is shown once', options, async () => {
  using lab = createPair()
  const capture = openCapture([source(lab, 'a')], undefined)
  try {
    const found = await during(capture, () => void lab.run('a', 'ping', '-c', '1', '127.0.0.1'))
    const onLoopback = found.filter(({ where }) => where === 'a:lo').map(({ text }) => text.replace(/id \d+/, 'id'))
    assert.deepEqual(onLoopback, [
      '127.0.0.1 > 127.0.0.1 ICMP echo request, id, seq 1, 56 bytes',
      '127.0.0.1 > 127.0.0.1 ICMP echo reply, id, seq 1, 56 bytes',
    ])
  } finally {
    capture.close()
  }
})

test(
  'packets that came before the capture ends are all there, those that the filter refuses are not',
  options,
  async () => {
    using lab = createPair()
    const frames = Array.from({ length: 3000 }, (_, i) => ethernet(0x0800, ipv4(17, udp(1000 + (i % 2), 9, two(i)))))
    const capture = openCapture([source(lab, 'b', 'v0')], parseFilter('udp src port 1000'))
    try {
      const found = await during(capture, () => sendFrames(lab, 'a', 'v0', frames))
      assert.deepEqual(
        found.map(({ bytes }) => Buffer.from(bytes).toString('hex')),
        frames.filter((_, i) => i % 2 === 0).map((frame) => Buffer.from(frame).toString('hex')),
      )
    } finally {
      capture.close()
    }
  },
)

test('a handler that has enough ends the capture', options, async () => {
  using lab = createPair()
  const capture = openCapture([source(lab, 'b', 'v0')], parseFilter('udp'))
  try {
    let calls = 0
    const running = capture.run(
      () => {
        calls++
        return false
      },
      () => false,
    )
    sendFrames(lab, 'a', 'v0', [ethernet(0x0800, ipv4(17, udp(1, 9, [])))])
    await running
    assert.equal(calls, 1)
  } finally {
    capture.close()
  }
})

test('what does not fit is counted', options, () => {
  using lab = createPair()
  const program = [instruction(RETURN, 0x40000)]
  const ring = lab.enter('b', () => openRing({ namespace: 'b', program, blockSize: 4096 * 4, blocks: 2 }))
  try {
    const frames = Array.from({ length: 500 }, (_, i) =>
      ethernet(0x0800, ipv4(17, udp(1, 9, Array(500).fill(i & 255)))),
    )
    sendFrames(lab, 'a', 'v0', frames)
    const packets: Packet[] = []
    ring.collect(Number.POSITIVE_INFINITY, packets)
    const drops = ring.drops()
    assert.ok(packets.length > 0 && drops > 100, `${packets.length} and ${drops}`)
    assert.ok(packets.length + drops >= frames.length, `${packets.length} and ${drops}`)
    // read once, it begins anew
    assert.equal(ring.drops(), 0)
  } finally {
    ring.close()
  }
})

test('a VLAN tag that the kernel took off is put back', options, async () => {
  using lab = createPair()
  const tagged = ethernet(0x8100, [...two(0x2005), ...two(0x0800), ...ipv4(17, udp(5, 6, [1]))])
  const capture = openCapture([source(lab, 'b', 'v0')], parseFilter('udp port 6'))
  try {
    const found = await during(capture, () => sendFrames(lab, 'a', 'v0', [tagged]))
    assert.deepEqual(
      found.map(({ bytes, length }) => [Buffer.from(bytes).toString('hex'), length]),
      [[Buffer.from(tagged).toString('hex'), tagged.length]],
    )
  } finally {
    capture.close()
  }
})

test('a device without a link header: packets from their IP header on', {
  ...options,
  skip: needs('root', 'ip', 'module:tun'),
}, async () => {
  using lab = createLab('a')
  lab.ip('a', 'tuntap add t0 mode tun')
  lab.ip('a', 'address add 10.5.0.1/24 dev t0')
  lab.ip('a', 'link set t0 up')
  const fd = openTun(lab, 'a', 't0')
  const filter = 'dst host 10.0.0.2 and udp port 9 and not ether host 02:00:00:00:00:01'
  const capture = openCapture([source(lab, 'a')], parseFilter(filter))
  const packet = Uint8Array.from(ipv4(17, udp(1, 9, [5])))
  try {
    const found = await during(capture, () => {
      for (const bytes of [packet, Uint8Array.from(ipv4(17, udp(1, 8, [5])))]) sys.write(fd, bytes)
    })
    assert.deepEqual(
      found.map(({ where, hasEthernet, length, bytes }) => [
        where,
        hasEthernet,
        length,
        Buffer.from(bytes).toString('hex'),
      ]),
      [['a:t0', false, packet.length, Buffer.from(packet).toString('hex')]],
    )
  } finally {
    capture.close()
    sys.close(fd)
  }
})

/** TUNSETIFF with IFF_TUN | IFF_NO_PI. */
function openTun(lab: Lab, name: string, device: string): number {
  // the device file belongs to the namespace in which it was opened
  const fd = lab.enter(name, () => sys.open('/dev/net/tun', sys.O_RDWR))
  const request = new Uint8Array(40)
  request.set(Buffer.from(device))
  new DataView(request.buffer).setUint16(16, 0x1001, true)
  sys.ioctl(fd, 0x400454ca, request)
  return fd
}

test('an interface that goes away does not end the capture, nor keep it busy', options, async () => {
  using lab = createPair()
  const capture = openCapture([source(lab, 'b', 'v0')], parseFilter('udp'))
  try {
    const before = process.cpuUsage()
    const found = await during(capture, async () => {
      sendFrames(lab, 'a', 'v0', [ethernet(0x0800, ipv4(17, udp(1, 9, [])))])
      lab.ip('a', 'link del v0')
      await new Promise((resolve) => setTimeout(resolve, 600))
    })
    assert.deepEqual(
      found.map(({ text }) => text),
      ['10.0.0.1:1 > 10.0.0.2:9 UDP, 0 bytes'],
    )
    const { user, system } = process.cpuUsage(before)
    assert.ok(user + system < 500_000, `${user + system} µs of work`)
  } finally {
    capture.close()
  }
})

test('the kernel refuses what is no program', options, () => {
  const fd = sys.socket(sys.AF_PACKET, sys.SOCK_RAW, 0)
  try {
    assert.throws(() => attachFilter(fd, [instruction(0xff, 0)]), { call: 'setsockopt', code: 'EINVAL' })
  } finally {
    sys.close(fd)
  }
})
