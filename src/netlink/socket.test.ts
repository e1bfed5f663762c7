/** The socket and the real kernel: dumps, batches, refusals in the kernel's words, events. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../../test/support/need.ts'
import * as sys from '../sys/index.ts'
import {
  attrs,
  decodeBody,
  ip,
  NETLINK_ROUTE,
  NetlinkError,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  openSocket,
  type Request,
  request,
  type Socket,
  shape,
  splitMessages,
  str,
  struct,
  text,
  u16,
  u32,
  Writer,
  writeRequest,
} from './index.ts'
import { inNewNetns } from './testing.ts'

// as much of rtnetlink as these tests need, by its numbers: this floor knows none
const [NEWLINK, DELLINK, GETLINK, NEWADDR, DELADDR, GETADDR] = [16, 17, 18, 20, 21, 22]
const [GROUP_LINK, GROUP_IPV4_ADDRESS] = [1, 5]

const link = shape(
  struct({ family: 'u8', _pad: 'u8', type: 'u16', index: 's32', flags: 'u32', change: 'u32' }),
  attrs({ name: [3, str], mtu: [4, u32], info: [18, attrs({ kind: [1, text] })] }),
)
const address = shape(
  struct({ family: 'u8', length: 'u8', flags: 'u8', scope: 'u8', index: 'u32' }),
  attrs({ local: [2, ip] }),
)

const newBridge = (name: string, mtu = 1500): Request =>
  request(NEWLINK, NLM_F_CREATE | NLM_F_EXCL, link, {}, { name, mtu, info: { kind: 'bridge' } })
const loopbackUp = request(NEWLINK, 0, link, { index: 1, flags: 1, change: 1 })
const addressOn = (index: number, number: number): string => `10.${index}.${number >> 8}.${number & 255}`
const changeAddress = (type: number, index: number, number: number): Request =>
  request(
    type,
    type === NEWADDR ? NLM_F_CREATE | NLM_F_EXCL : 0,
    address,
    { family: sys.AF_INET, length: 32, index },
    { local: addressOn(index, number) },
  )
const listAddresses = request(GETADDR, 0, address, { family: sys.AF_INET })

const inNetns = (body: (socket: Socket) => void): void => inNewNetns(NETLINK_ROUTE, body)

/** Loopback (1) and a bridge (2), each with as many addresses. */
function populate(socket: Socket, count: number): void {
  const setUp = [loopbackUp, newBridge('b0')]
  const addresses = [1, 2].flatMap((index) => Array.from({ length: count }, (_, i) => changeAddress(NEWADDR, index, i)))
  assert.deepEqual(socket.batch([...setUp, ...addresses]).filter(Boolean), [])
}

/**
 * Sends one request over a socket without any options, as a program would that knows nothing of them, with a buffer
 * of its own: it may be called while a dump is being read.
 */
function exchangePlainly(message: Request, each: (datagram: Uint8Array) => void = () => undefined): void {
  const fd = sys.socket(sys.AF_NETLINK, sys.SOCK_RAW, NETLINK_ROUTE)
  const buffer = new Uint8Array(64 * 1024)
  try {
    const to = new Writer()
    writeRequest(to, message, 1)
    sys.send(fd, to.bytes)
    for (;;) {
      const length = sys.recv(fd, buffer, sys.MSG_DONTWAIT)
      if (length === undefined) return
      each(buffer.subarray(0, length))
    }
  } finally {
    sys.close(fd)
  }
}

test('a dump is filtered by the kernel, because strict checking is on', { skip: needs('root') }, () => {
  inNetns((socket) => {
    populate(socket, 5)
    const ofBridge = request(GETADDR, 0, address, { family: sys.AF_INET, index: 2 })
    assert.deepEqual(
      socket.dump(ofBridge, address).map((m) => [m.header.index, m.attrs.local]),
      Array.from({ length: 5 }, (_, i) => [2, addressOn(2, i)]),
    )
    // the same bytes without the option: the kernel ignores the index and sends those of loopback too
    let sent = 0
    exchangePlainly({ ...ofBridge, flags: NLM_F_DUMP }, (datagram) => {
      sent += splitMessages(datagram).filter((m) => m.type === NEWADDR).length
    })
    assert.equal(sent, 11)
    // and a question that makes no sense is refused instead of answered with something else
    const wrong = request(GETADDR, 0, address, { family: sys.AF_INET, length: 24 })
    assert.throws(() => socket.dump(wrong, address), {
      code: 'EINVAL',
      kernelMessage: 'ipv4: Invalid values in header for address dump request',
    })
  })
})

test('a dump larger than any one datagram comes whole', { skip: needs('root') }, () => {
  inNetns((socket) => {
    populate(socket, 3000)
    const found = socket.dump(listAddresses, address).map((m) => m.attrs.local)
    assert.equal(found.length, 6001)
    assert.equal(new Set(found).size, 6001)
  })
})

/** The address shape, calling `onStart` when the first address of a dump is read: the rest is still in the kernel. */
function watched(onStart: () => void): typeof address {
  return {
    ...address,
    table: {
      ...address.table,
      decode: (from) => {
        const read = address.table.decode(from)
        if (read.local === '127.0.0.1') onStart()
        return read
      },
    },
  }
}

test('a dump during which the table changes is taken again until it is one picture', { skip: needs('root') }, () => {
  inNetns((socket) => {
    populate(socket, 2000)
    let tries = 0
    const as = watched(() => {
      tries++
      // the last address of the bridge, which this try has not come to, goes in the first three tries
      if (tries <= 3) exchangePlainly(changeAddress(DELADDR, 2, 2000 - tries))
    })
    const found = socket.dump(listAddresses, as).map((m) => m.attrs.local)
    assert.equal(tries, 4)
    assert.equal(found.length, 4001 - 3)
    assert.ok(!found.includes(addressOn(2, 1999)) && found.includes(addressOn(2, 1996)))
  })
})

test('a table that never rests is an error in the end, not half a picture', { skip: needs('root') }, () => {
  inNetns((socket) => {
    populate(socket, 2000)
    let tries = 0
    const as = watched(() => exchangePlainly(changeAddress(DELADDR, 2, 2000 - ++tries)))
    assert.throws(() => socket.dump(listAddresses, as), {
      name: 'NetlinkError',
      code: 'EBUSY',
      message: 'the table kept changing while it was read, 10 times',
    })
    assert.equal(tries, 10)
    // what was left of the last try does not reach the next
    assert.equal(socket.dump(listAddresses, address).length, 4001 - 10)
  })
})

test("a refusal carries the kernel's own sentence and the attribute at fault", { skip: needs('root') }, () => {
  // an MTU of two bytes, which the kernel's policy does not let pass
  const short = shape(link.header, attrs({ mtu: [4, u16] }))
  const kind = (name: string): Request => request(NEWLINK, NLM_F_CREATE, link, {}, { name: 'x0', info: { kind: name } })
  const length = { family: sys.AF_INET, length: 33, index: 1 }
  const refusals: readonly (readonly [Request, code: string, words: string, attribute?: string])[] = [
    [newBridge('b0', 10), 'EINVAL', 'mtu less than device minimum'],
    [request(NEWLINK, 0, short, { index: 1 }, { mtu: 1500 }), 'ERANGE', 'Attribute failed policy validation', 'mtu'],
    [newBridge('a-name-that-is-too-long'), 'ERANGE', 'Attribute failed policy validation', 'name'],
    [kind('nosuchkind'), 'EOPNOTSUPP', 'Unknown device type'],
    [request(NEWADDR, NLM_F_CREATE, address, length, { local: '10.0.0.1' }), 'EINVAL', 'ipv4: Invalid prefix length'],
    // no sentence from the kernel: the words of libc stand in its place
    [request(DELLINK, 0, link, { index: 77 }), 'ENODEV', ''],
  ]
  inNetns((socket) => {
    const [errors, wanted] = [socket.batch(refusals.map(([message]) => message)), refusals.map(([, ...rest]) => rest)]
    assert.deepEqual(
      errors.map((e) => [e?.code, e?.kernelMessage, ...(e?.attribute === undefined ? [] : [e.attribute])]),
      wanted,
    )
    assert.equal(errors[1]?.message, 'Attribute failed policy validation (mtu)')
    assert.equal(errors[5]?.message, 'No such device')
    assert.throws(() => socket.execute(newBridge('b0', 10)), NetlinkError)
    assert.throws(() => socket.get(request(GETLINK, 0, link, { index: 77 }), link), { code: 'ENODEV' })
    assert.equal(socket.get(request(GETLINK, 0, link, { index: 1 }), link).attrs.name, 'lo')
  })
})

test('many requests in few sends: each that fails is known by its place, those after it are done', {
  skip: needs('root'),
}, () => {
  inNetns((socket) => {
    populate(socket, 0)
    // three sends of 64 requests and a rest; every wrong one asks for an address that is there already
    const wrong = new Map([1, 64, 100, 199].map((place) => [place, place - 1]))
    const requests = Array.from({ length: 200 }, (_, i) => changeAddress(NEWADDR, 2, wrong.get(i) ?? i))
    const errors = socket.batch(requests)
    assert.equal(errors.length, 200)
    assert.deepEqual(
      errors.flatMap((error, i) => (error ? [[i, error.code]] : [])),
      [...wrong.keys()].map((place) => [place, 'EEXIST']),
    )
    assert.equal(socket.dump(listAddresses, address).length, 1 + 196)
    assert.deepEqual(socket.batch([]), [])
  })
})

test('events: a link that comes and an address that goes are told to who has joined, and to nobody else', {
  skip: needs('root'),
}, () => {
  inNetns((socket) => {
    using watcher = openSocket(NETLINK_ROUTE)
    watcher.execute(loopbackUp)
    watcher.subscribe(GROUP_LINK)
    watcher.subscribe(GROUP_IPV4_ADDRESS)
    assert.deepEqual(watcher.events(0), [])
    populate(socket, 1)
    socket.execute(changeAddress(DELADDR, 2, 0))
    const seen: string[] = []
    for (let events = watcher.events(1000); events.length > 0; events = watcher.events(20)) {
      for (const { type, payload } of events) {
        if (type === NEWLINK) seen.push(`new link ${decodeBody(link, payload).attrs.name}`)
        if (type === DELADDR) seen.push(`deleted address ${decodeBody(address, payload).attrs.local}`)
      }
    }
    assert.ok(seen.includes('new link b0'), seen.join(', '))
    assert.equal(seen.at(-1), `deleted address ${addressOn(2, 0)}`)
    assert.deepEqual(socket.events(0), [])
  })
})

test('events that were lost are told, not passed over', { skip: needs('root') }, () => {
  inNetns((socket) => {
    populate(socket, 0)
    using watcher = openSocket(NETLINK_ROUTE)
    watcher.subscribe(GROUP_IPV4_ADDRESS)
    sys.setsockopt(watcher.fd, sys.SOL_SOCKET, sys.SO_RCVBUFFORCE, 4096)
    socket.batch(Array.from({ length: 200 }, (_, i) => changeAddress(NEWADDR, 2, i)))
    assert.throws(() => watcher.events(1000), { name: 'SysError', code: 'ENOBUFS' })
  })
})

test('a socket stays in the namespace that it was opened in, and is closed once', { skip: needs('root') }, () => {
  inNetns((outer) => {
    populate(outer, 2)
    const count = (socket: Socket): number => socket.dump(listAddresses, address).length
    inNetns((inner) => {
      assert.equal(count(inner), 0)
      assert.equal(count(outer), 5)
    })
    const socket = openSocket(NETLINK_ROUTE)
    socket.close()
    socket.close()
    assert.throws(() => socket.execute(loopbackUp), { name: 'SysError', code: 'EBADF' })
  })
})
