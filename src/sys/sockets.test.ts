/** Sockets and poll of the real kernel, over loopback, through libc as each runtime calls it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as sys from './index.ts'

const SO_TYPE = 3
const SO_RCVBUF = 8

/** Opens a socket for the time of `body`. */
function withSocket<T>(type: number, body: (fd: number) => T): T {
  const fd = sys.socket(sys.AF_INET, type, 0)
  try {
    return body(fd)
  } finally {
    sys.close(fd)
  }
}

/** struct sockaddr_in of 127.0.0.1; ip(7). */
function loopback(port = 0): Uint8Array {
  const address = new Uint8Array(16)
  new DataView(address.buffer).setUint16(0, sys.AF_INET, true)
  new DataView(address.buffer).setUint16(2, port)
  address.set([127, 0, 0, 1], 4)
  return address
}

const is = (code: string, call: string) => (error: unknown) =>
  error instanceof sys.SysError && error.code === code && error.call === call

/** A UDP socket that is its own peer. */
function withEcho<T>(body: (fd: number) => T): T {
  return withSocket(sys.SOCK_DGRAM, (fd) => {
    sys.bind(fd, loopback())
    sys.connect(fd, sys.getsockname(fd))
    return body(fd)
  })
}

test('bind: the kernel chooses a port, and nobody else gets it', () => {
  withSocket(sys.SOCK_DGRAM, (fd) => {
    sys.bind(fd, loopback())
    const name = sys.getsockname(fd)
    const port = new DataView(name.buffer).getUint16(2)
    assert.equal(name.length, 16)
    assert.notEqual(port, 0)
    assert.deepEqual([...name.subarray(4, 8)], [127, 0, 0, 1])
    withSocket(sys.SOCK_DGRAM, (other) => {
      assert.throws(() => sys.bind(other, loopback(port)), is('EADDRINUSE', 'bind'))
    })
  })
})

test('setsockopt and getsockopt: what was set is read, doubled as socket(7) says', () => {
  withSocket(sys.SOCK_DGRAM, (fd) => {
    const read = (name: number): number =>
      new DataView(sys.getsockopt(fd, sys.SOL_SOCKET, name, new Uint8Array(4)).slice().buffer).getInt32(0, true)
    sys.setsockopt(fd, sys.SOL_SOCKET, SO_RCVBUF, 20_000)
    assert.equal(read(SO_RCVBUF), 40_000)
    assert.equal(read(SO_TYPE), sys.SOCK_DGRAM)
    assert.throws(() => sys.setsockopt(fd, sys.SOL_SOCKET, 9999, 1), is('ENOPROTOOPT', 'setsockopt'))
    assert.throws(() => sys.getsockopt(fd, sys.SOL_SOCKET, 9999, new Uint8Array(4)), is('ENOPROTOOPT', 'getsockopt'))
  })
})

test('recv: MSG_DONTWAIT gives undefined, MSG_PEEK leaves the datagram, MSG_TRUNC tells its whole length', () => {
  withEcho((fd) => {
    const small = new Uint8Array(4)
    assert.equal(sys.recv(fd, small, sys.MSG_DONTWAIT), undefined)
    assert.equal(sys.send(fd, Uint8Array.of(1, 2, 3, 4, 5, 6)), 6)
    assert.equal(sys.recv(fd, small, sys.MSG_PEEK), 4)
    assert.equal(sys.recv(fd, small, sys.MSG_PEEK | sys.MSG_TRUNC), 6)
    const large = new Uint8Array(64)
    assert.equal(sys.recv(fd, large), 6)
    assert.deepEqual([...large.subarray(0, 7)], [1, 2, 3, 4, 5, 6, 0])
    assert.equal(sys.recv(fd, large, sys.MSG_DONTWAIT), undefined)
  })
})

test("sendto and recvfrom: the datagram comes with the sender's address", () => {
  withSocket(sys.SOCK_DGRAM, (to) => {
    sys.bind(to, loopback())
    withSocket(sys.SOCK_DGRAM, (from) => {
      assert.equal(sys.recvfrom(to, new Uint8Array(8), sys.MSG_DONTWAIT), undefined)
      sys.sendto(from, Uint8Array.of(7), 0, sys.getsockname(to))
      const buffer = new Uint8Array(8)
      const received = sys.recvfrom(to, buffer)
      assert.equal(received?.length, 1)
      assert.equal(buffer[0], 7)
      // the sender was bound to no address but by sending: only its port is known on its side
      assert.deepEqual(received?.address.subarray(2, 4), sys.getsockname(from).subarray(2, 4))
    })
  })
})

test('a refused connection is an error, and one to a queue that is full goes on in the background', () => {
  withSocket(sys.SOCK_STREAM, (listener) => {
    sys.bind(listener, loopback())
    const address = sys.getsockname(listener)
    withSocket(sys.SOCK_STREAM, (fd) => assert.throws(() => sys.connect(fd, address), is('ECONNREFUSED', 'connect')))
    // a backlog of 0 holds one connection; the kernel drops the SYN of the next
    sys.listen(listener, 0)
    withSocket(sys.SOCK_STREAM, (first) => {
      assert.equal(sys.connect(first, address), true)
      withSocket(sys.SOCK_STREAM | sys.SOCK_NONBLOCK, (second) => {
        assert.equal(sys.connect(second, address), false)
        assert.deepEqual(sys.poll([{ fd: second, events: sys.POLLOUT }], 20), [0])
      })
    })
  })
})

test('accept, and what a closed peer leaves: POLLHUP, EPIPE without a signal, SO_ERROR read once', () => {
  withSocket(sys.SOCK_STREAM | sys.SOCK_NONBLOCK, (listener) => {
    sys.bind(listener, loopback())
    sys.listen(listener, 5)
    assert.equal(sys.accept(listener), undefined)
    withSocket(sys.SOCK_STREAM, (client) => {
      sys.connect(client, sys.getsockname(listener))
      assert.deepEqual(sys.poll([{ fd: listener, events: sys.POLLIN }], 1000), [sys.POLLIN])
      const server = sys.accept(listener)
      assert.ok(server !== undefined)
      // closing with unread data resets the connection
      sys.send(client, Uint8Array.of(1))
      assert.deepEqual(sys.poll([{ fd: server, events: sys.POLLIN }], 1000), [sys.POLLIN])
      sys.close(server)
      const [events = 0] = sys.poll([{ fd: client, events: sys.POLLIN }], 1000)
      assert.equal(events & (sys.POLLHUP | sys.POLLERR), sys.POLLHUP | sys.POLLERR)
      assert.equal(sys.errnoName(sys.socketError(client)), 'ECONNRESET')
      assert.equal(sys.socketError(client), 0)
      assert.throws(() => sys.send(client, Uint8Array.of(1), sys.MSG_NOSIGNAL), is('EPIPE', 'send'))
    })
  })
})

test('poll: waits for its time-out and no longer, and answers in the order of the question', () => {
  withEcho((busy) => {
    withEcho((idle) => {
      const both = [busy, idle].map((fd) => ({ fd, events: sys.POLLIN }))
      const begin = performance.now()
      assert.deepEqual(sys.poll(both, 60), [0, 0])
      const waited = performance.now() - begin
      assert.ok(waited >= 55 && waited < 5000, `${waited} ms`)
      sys.send(busy, Uint8Array.of(1))
      assert.deepEqual(sys.poll(both, 1000), [sys.POLLIN, 0])
      assert.deepEqual(sys.poll(both.toReversed(), 1000), [0, sys.POLLIN])
      assert.deepEqual(sys.poll([{ fd: busy, events: sys.POLLIN | sys.POLLOUT }], -1), [sys.POLLIN | sys.POLLOUT])
    })
  })
})
