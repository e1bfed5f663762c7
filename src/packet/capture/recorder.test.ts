/** The files of captures, read back by other programs. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { findProgram, needs } from '../../../test/support/need.ts'
import { outputOf } from '../../../test/support/run.ts'
import { pcap, pcapng, type RecordedPacket } from './pcapng.ts'
import { createOutputFile, createRecorder } from './recorder.ts'
import { ethernet, ipv4, udp } from './test-packets.ts'

function inFolder(body: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'hardway-capture-'))
  try {
    body(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const samples: RecordedPacket[] = Array.from({ length: 5 }, (_, i) => {
  const bytes = ethernet(0x0800, ipv4(17, udp(1000 + i, 9, Array<number>(20 + i).fill(7))))
  // a moment whose nanoseconds do not fit in 32 bits, and whose sum carries
  const time = { seconds: 1_800_000_000 + i, nanoseconds: 999_999_999 - i }
  return { ...time, isOutgoing: i % 2 === 1, hasEthernet: true, length: bytes.length + (i === 4 ? 100 : 0), bytes }
})

function record(
  path: string,
  format: Parameters<typeof createRecorder>[0],
  packets: readonly RecordedPacket[],
): boolean[] {
  const file = createOutputFile(path)
  const recorder = createRecorder(format, file.write)
  const taken = packets.map((packet, i) => recorder.add(i % 2 === 0 ? 'netns1:veth1' : 'topology/host:veth0', packet))
  recorder.flush()
  file.close()
  return taken
}

test('pcapng is read back by tshark with names, nanoseconds, directions and lengths', { skip: needs('tshark') }, () => {
  inFolder((folder) => {
    const path = join(folder, 'a.pcapng')
    const raw = {
      ...samples[0],
      bytes: samples[0]?.bytes.subarray(14),
      hasEthernet: false,
      length: 48,
    } as RecordedPacket
    assert.deepEqual(
      record(path, pcapng, samples),
      samples.map(() => true),
    )
    const fields = [
      'frame.time_epoch',
      'frame.interface_name',
      'frame.len',
      'frame.cap_len',
      'frame.packet_flags_direction',
      'udp.srcport',
    ]
    const read = outputOf('tshark', ['-r', path, '-T', 'fields', ...fields.flatMap((f) => ['-e', f])])
    assert.deepEqual(
      read
        .trim()
        .split('\n')
        .map((line) => line.split('\t')),
      samples.map((p, i) => [
        `${p.seconds}.${String(p.nanoseconds).padStart(9, '0')}`,
        i % 2 === 0 ? 'netns1:veth1' : 'topology/host:veth0',
        String(p.length),
        String(p.bytes.length),
        p.isOutgoing ? '0x00000002' : '0x00000001',
        String(1000 + i),
      ]),
    )
    record(path, pcapng, [raw])
    assert.match(outputOf('tshark', ['-r', path]), /10\.0\.0\.1 .* 10\.0\.0\.2 +UDP/)
    assert.match(outputOf(findProgram('capinfos') ?? 'capinfos', [path]), /Encapsulation = Raw IP/)
  })
})

test('pcapng and pcap are read back by tcpdump', { skip: needs('tcpdump') }, () => {
  inFolder((folder) => {
    const expected = samples.map(
      (p, i) => `${p.seconds}.${p.nanoseconds} IP 10.0.0.1.${1000 + i} > 10.0.0.2.9: UDP, length ${20 + i}`,
    )
    for (const [name, format] of [
      ['a.pcapng', pcapng],
      ['a.pcap', pcap(true)],
    ] as const) {
      const path = join(folder, name)
      record(path, format, samples)
      const args = ['-r', path, '-n', '-tt', '--time-stamp-precision=nano']
      assert.deepEqual(outputOf('tcpdump', args).trim().split('\n'), expected, name)
    }
  })
})

test('plain pcap takes one kind of link', () => {
  inFolder((folder) => {
    const [first] = samples
    assert.ok(first)
    const raw = { ...first, hasEthernet: false, bytes: first.bytes.subarray(14) }
    assert.deepEqual(record(join(folder, 'a.pcap'), pcap(true), [first, raw, first]), [true, false, true])
    assert.equal(statSync(join(folder, 'a.pcap')).size, 24 + 2 * (16 + first.bytes.length))
  })
})

test('packets larger than the buffer, and more of them than it holds', { skip: needs('tcpdump') }, () => {
  inFolder((folder) => {
    const path = join(folder, 'a.pcapng')
    const [first] = samples
    assert.ok(first)
    const large = { ...first, bytes: new Uint8Array(200_000).fill(1), length: 200_000 }
    record(path, pcapng, Array<RecordedPacket>(12).fill(large))
    assert.equal(outputOf('tcpdump', ['-r', path, '-n', '-t', '-q']).trim().split('\n').length, 12)
  })
})

test('a full disk is an error of write(2), and the file ends with a whole packet', {
  skip: needs('root', 'tcpdump'),
}, () => {
  inFolder((folder) => {
    outputOf('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'hardway-test', folder])
    try {
      const path = join(folder, 'a.pcapng')
      const file = createOutputFile(path)
      const recorder = createRecorder(pcapng, file.write)
      const [first] = samples
      assert.ok(first)
      assert.throws(
        () => {
          for (let i = 0; i < 5000; i++) {
            recorder.add('netns1:veth1', first)
            if (i % 100 === 99) recorder.flush()
          }
        },
        { code: 'ENOSPC' },
      )
      file.close()
      const packets = outputOf('tcpdump', ['-r', path, '-n']).trim().split('\n').length
      assert.ok(packets > 100 && packets % 100 === 0, `${packets}`)
      assert.ok(readFileSync(path).length <= 65536)
    } finally {
      outputOf('umount', ['--lazy', folder])
    }
  })
})
