/** For tests: nameless namespaces that vanish with their descriptors, built by iproute2, and servers inside them. */
import { outputOf } from '../../test/support/run.ts'
import * as sys from '../sys/index.ts'
import { encodeSocketAddress } from './sockaddr.ts'

export interface Lab extends Disposable {
  /** Runs inside the namespace of that name and comes back. */
  readonly enter: <T>(namespace: string, fn: () => T) => T
  /** Runs `ip` inside; `@name` becomes what `netns` takes for the namespace of that name. */
  readonly ip: (namespace: string, command: string) => void
  /** Runs any program inside; its standard output. */
  readonly run: (namespace: string, program: string, ...args: string[]) => string
  /** Ends with the lab. */
  readonly onEnd: (clean: () => void) => void
}

function openOwn(): number {
  return sys.open('/proc/thread-self/ns/net', sys.O_RDONLY)
}

/** New namespaces with loopback up and no duplicate address detection. */
export function createLab(...names: readonly string[]): Lab {
  const home = openOwn()
  const namespaces = new Map<string, number>()
  const cleaners: (() => void)[] = []

  const enter: Lab['enter'] = (name, fn) => {
    const fd = namespaces.get(name)
    if (fd === undefined) throw new Error(`no namespace ${name}`)
    sys.setns(fd, sys.CLONE_NEWNET)
    try {
      return fn()
    } finally {
      sys.setns(home, sys.CLONE_NEWNET)
    }
  }
  const run: Lab['run'] = (name, program, ...args) => enter(name, () => outputOf(program, args))
  const ip: Lab['ip'] = (name, command) => {
    const words = command.split(' ').map((word) => {
      const fd = word.startsWith('@') ? namespaces.get(word.slice(1)) : undefined
      return fd === undefined ? word : `/proc/${process.pid}/fd/${fd}`
    })
    run(name, 'ip', ...words)
  }

  for (const name of names) {
    try {
      sys.unshare(sys.CLONE_NEWNET)
      namespaces.set(name, openOwn())
    } finally {
      sys.setns(home, sys.CLONE_NEWNET)
    }
    ip(name, 'link set lo up')
    run(name, 'sysctl', '-qw', 'net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0')
  }
  return {
    enter,
    ip,
    run,
    onEnd: (clean) => cleaners.push(clean),
    [Symbol.dispose]: () => {
      for (const clean of cleaners) clean()
      for (const fd of namespaces.values()) sys.close(fd)
      sys.close(home)
    },
  }
}

/**
 * Waits until the kernel has worked off what the carrier of a new link brings with it (linkwatch_do_dev). Until then
 * packets vanish, and address resolution tries again only a second later.
 */
export function settle(lab: Lab, namespace: string, device: string): void {
  for (const end = performance.now() + 10_000; performance.now() < end; ) {
    const isUp = lab.run(namespace, 'ip', '-o', 'link', 'show', device).includes(' state UP ')
    // the link-local address is made only then: addrconf_notify
    if (isUp && lab.run(namespace, 'ip', '-o', 'address', 'show', device, '-tentative').includes(' fe80:')) return
  }
  throw new Error(`${device} in ${namespace} does not come up`)
}

/** `a` at 10.0.0.1 and fd00::1, `b` at 10.0.0.2 and fd00::2, a veth between them. */
export function createPair(): Lab {
  const lab = createLab('a', 'b')
  // ends with the same index in both namespaces hear of their carrier up to a second late (linkwatch_urgent_event), and
  // IPv6 is deaf until then
  const [one, two] = ['v0 index 10 address 02:00:00:00:00:01', 'v0 index 20 address 02:00:00:00:00:02']
  lab.ip('a', `link add ${one} type veth peer name ${two} netns @b`)
  for (const [name, host] of [
    ['a', 1],
    ['b', 2],
  ] as const) {
    lab.ip(name, `address add 10.0.0.${host}/24 dev v0`)
    lab.ip(name, `address add fd00::${host}/64 dev v0 nodad`)
    lab.ip(name, 'link set v0 up')
  }
  for (const name of ['a', 'b']) settle(lab, name, 'v0')
  return lab
}

/** A TCP socket that listens inside, on all addresses of both families; the kernel completes handshakes by itself. */
export function listen(lab: Lab, namespace: string, port: number): number {
  const fd = lab.enter(namespace, () => sys.socket(sys.AF_INET6, sys.SOCK_STREAM | sys.SOCK_NONBLOCK, 0))
  sys.bind(fd, encodeSocketAddress('::', port))
  sys.listen(fd, 1024)
  lab.onEnd(() => sys.close(fd))
  return fd
}

/** Answers every connection with these bytes, then closes it, from this thread's own event loop. */
export function serve(lab: Lab, namespace: string, port: number, answer: (request: string) => Uint8Array): void {
  const fd = listen(lab, namespace, port)
  const buffer = new Uint8Array(65536)
  /** what each connection has still to send; undefined before its request came */
  const waiting = new Map<number, Uint8Array | undefined>()
  const advance = (client: number, rest: Uint8Array | undefined): void => {
    if (rest === undefined) {
      const length = sys.recv(client, buffer)
      if (length !== undefined) waiting.set(client, answer(new TextDecoder().decode(buffer.subarray(0, length))))
    } else if (rest.length === 0) {
      waiting.delete(client)
      sys.close(client)
    } else if (sys.poll([{ fd: client, events: sys.POLLOUT }], 0)[0]) {
      waiting.set(client, rest.subarray(sys.send(client, rest, sys.MSG_NOSIGNAL)))
    }
  }
  const timer = setInterval(() => {
    for (let client = sys.accept(fd); client !== undefined; client = sys.accept(fd)) waiting.set(client, undefined)
    for (const [client, rest] of waiting) advance(client, rest)
  }, 1)
  lab.onEnd(() => {
    clearInterval(timer)
    for (const client of waiting.keys()) sys.close(client)
  })
}

/** Answers each datagram to a port with some others, or none, from this thread's own event loop. */
export function serveUdp(
  lab: Lab,
  namespace: string,
  port: number,
  answer: (datagram: Uint8Array) => readonly Uint8Array[],
): void {
  const fd = lab.enter(namespace, () => sys.socket(sys.AF_INET6, sys.SOCK_DGRAM | sys.SOCK_NONBLOCK, 0))
  sys.bind(fd, encodeSocketAddress('::', port))
  const buffer = new Uint8Array(65536)
  const timer = setInterval(() => {
    for (let got = sys.recvfrom(fd, buffer); got; got = sys.recvfrom(fd, buffer)) {
      for (const datagram of answer(buffer.slice(0, got.length))) sys.sendto(fd, datagram, 0, got.address)
    }
  }, 1)
  lab.onEnd(() => {
    clearInterval(timer)
    sys.close(fd)
  })
}
