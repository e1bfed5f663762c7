/** Files, locks, namespaces, mounts and signals of the real kernel, through libc as each runtime calls it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { needs } from '../../test/support/need.ts'
import * as sys from './index.ts'

function inFolder(body: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'hardway-sys-'))
  try {
    body(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Moves this thread into a new namespace of the kind for as long as `body` runs. */
function inNew(kind: 'net' | 'mnt', body: (home: number) => void): void {
  const type = kind === 'net' ? sys.CLONE_NEWNET : sys.CLONE_NEWNS
  const home = sys.open(`/proc/thread-self/ns/${kind}`, sys.O_RDONLY)
  try {
    sys.unshare(type)
    body(home)
  } finally {
    sys.setns(home, type)
    sys.close(home)
  }
}

/** Another thread of this process: both runtimes have some. */
function anotherThread(): string {
  const own = readlinkSync('/proc/thread-self').split('/').at(-1)
  const other = readdirSync('/proc/self/task').find((thread) => thread !== own)
  assert.ok(other)
  return other
}

const namespaceOf = (kind: 'net' | 'mnt'): string => readlinkSync(`/proc/thread-self/ns/${kind}`)

test('open, write, close: what was written is there; a descriptor is closed once and not inherited', () => {
  inFolder((folder) => {
    const path = join(folder, 'file')
    const fd = sys.open(path, sys.O_WRONLY | sys.O_CREAT | sys.O_EXCL, 0o600)
    assert.equal(sys.write(fd, Buffer.from('hello')), 5)
    const flags = Number.parseInt(/flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '', 8)
    assert.ok(flags & sys.O_CLOEXEC)
    sys.close(fd)
    assert.equal(readFileSync(path, 'utf8'), 'hello')
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.throws(() => sys.write(fd, Buffer.from('x')), { code: 'EBADF' })
  })
})

test('a file that appears whole: O_TMPFILE, then linkat', () => {
  inFolder((folder) => {
    const fd = sys.open(folder, sys.O_TMPFILE | sys.O_WRONLY, 0o644)
    try {
      sys.write(fd, Buffer.from('mark'))
      const path = join(folder, 'named')
      sys.linkat(sys.AT_FDCWD, `/proc/self/fd/${fd}`, sys.AT_FDCWD, path, sys.AT_SYMLINK_FOLLOW)
      assert.equal(readFileSync(path, 'utf8'), 'mark')
    } finally {
      sys.close(fd)
    }
  })
})

test('a failed call throws SysError: the call, errno, its name, the object, the words of libc', () => {
  inFolder((folder) => {
    const missing = join(folder, 'missing')
    assert.throws(() => sys.open(missing, sys.O_RDONLY), {
      name: 'SysError',
      call: 'open',
      errno: 2,
      code: 'ENOENT',
      object: missing,
      message: `open ${missing}: No such file or directory`,
    })
    const file = join(folder, 'file')
    writeFileSync(file, '')
    const fd = sys.open(file, sys.O_RDONLY)
    const failures: readonly (readonly [string, () => unknown])[] = [
      ['EEXIST', () => sys.open(file, sys.O_WRONLY | sys.O_CREAT | sys.O_EXCL, 0o600)],
      ['ENOTDIR', () => sys.open(join(file, 'below'), sys.O_RDONLY)],
      ['EISDIR', () => sys.open(folder, sys.O_WRONLY)],
      // a folder has one name: link(2)
      ['EPERM', () => sys.linkat(sys.AT_FDCWD, folder, sys.AT_FDCWD, missing, 0)],
      ['EBADF', () => sys.close(99_999)],
      ['ENOTSOCK', () => sys.listen(fd, 1)],
      ['EAFNOSUPPORT', () => sys.socket(200, sys.SOCK_STREAM, 0)],
      ['EINVAL', () => sys.kill(process.pid, 9999)],
      ['EINVAL', () => sys.unshare(1)],
    ]
    const codes = failures.map(([, call]) => {
      try {
        call()
        return 'no error'
      } catch (error) {
        return error instanceof sys.SysError ? error.code : String(error)
      }
    })
    sys.close(fd)
    assert.deepEqual(
      codes,
      failures.map(([code]) => code),
    )
  })
})

test('an errno has the name of the manual, in both runtimes the same', () => {
  assert.deepEqual([1, 2, 11, 17, 19, 22, 95, 99, 108, 113, 524].map(sys.errnoName), [
    'EPERM',
    'ENOENT',
    'EAGAIN',
    'EEXIST',
    'ENODEV',
    'EINVAL',
    'EOPNOTSUPP',
    'EADDRNOTAVAIL',
    'ESHUTDOWN',
    'EHOSTUNREACH',
    'ENOTSUPP',
  ])
  assert.equal(sys.errnoName(4000), 'E4000')
  assert.equal(sys.strerror(1), 'Operation not permitted')
})

test('flock: one of two descriptors holds the lock, the other is told false until it is let go', () => {
  inFolder((folder) => {
    const [a = -1, b = -1] = ['a', 'b'].map(() => sys.open(join(folder, 'lock'), sys.O_RDWR | sys.O_CREAT, 0o600))
    try {
      assert.equal(sys.flock(a, sys.LOCK_EX | sys.LOCK_NB), true)
      assert.equal(sys.flock(b, sys.LOCK_EX | sys.LOCK_NB), false)
      sys.flock(a, sys.LOCK_UN)
      assert.equal(sys.flock(b, sys.LOCK_EX | sys.LOCK_NB), true)
      assert.equal(sys.flock(a, sys.LOCK_EX | sys.LOCK_NB), false)
    } finally {
      sys.close(a)
      sys.close(b)
    }
  })
})

test('mmap shares memory with a file, and says what it cannot map', () => {
  inFolder((folder) => {
    const path = join(folder, 'file')
    writeFileSync(path, 'hello world')
    const fd = sys.open(path, sys.O_RDWR)
    try {
      const mapping = sys.mmap(fd, 11)
      assert.equal(Buffer.from(mapping.bytes).toString(), 'hello world')
      mapping.bytes.set(Buffer.from('HELLO'))
      mapping.unmap()
      assert.equal(readFileSync(path, 'utf8'), 'HELLO world')
    } finally {
      sys.close(fd)
    }
    assert.throws(() => sys.mmap(fd, 11), { call: 'mmap', code: 'EBADF' })
  })
})

test('unshare and setns: this thread goes to a new network namespace and comes back', { skip: needs('root') }, () => {
  const before = namespaceOf('net')
  inNew('net', (home) => {
    const inside = namespaceOf('net')
    assert.notEqual(inside, before)
    // a new namespace has a loopback and nothing else
    assert.deepEqual(
      readFileSync('/proc/thread-self/net/dev', 'utf8')
        .match(/^ *\w+:/gm)
        ?.map((s) => s.trim()),
      ['lo:'],
    )
    assert.throws(() => sys.setns(home, sys.CLONE_NEWNS), { call: 'setns', code: 'EINVAL' })
    assert.equal(namespaceOf('net'), inside)
  })
  assert.equal(namespaceOf('net'), before)
})

test('mount and umount2: a mount is seen by the thread that left with its namespace, and by no other', {
  skip: needs('root'),
}, () => {
  inFolder((folder) => {
    const target = join(folder, 'target')
    mkdirSync(target)
    inNew('mnt', () => {
      // what the host shares with its namespaces would be shared back
      sys.mount('none', '/', '', sys.MS_REC | sys.MS_SLAVE)
      sys.mount('hardway', target, 'tmpfs', 0)
      writeFileSync(join(target, 'inside'), '')
      assert.match(readFileSync('/proc/thread-self/mounts', 'utf8'), new RegExp(`^hardway ${target} tmpfs`, 'm'))
      assert.doesNotMatch(readFileSync(`/proc/self/task/${anotherThread()}/mounts`, 'utf8'), /^hardway /m)
      sys.umount2(target, sys.MNT_DETACH)
      assert.doesNotMatch(readFileSync('/proc/thread-self/mounts', 'utf8'), /^hardway /m)
      assert.throws(() => sys.umount2(target, 0), { call: 'umount2', code: 'EINVAL', object: target })
      assert.throws(() => sys.mount('x', target, 'nosuchfs', 0), { call: 'mount', code: 'ENODEV', object: target })
    })
  })
})

test('kill: true while the process is there, false when it is gone', { timeout: 20_000 }, async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' })
  const pid = child.pid ?? 0
  assert.equal(sys.kill(pid, 0), true)
  const ended = once(child, 'exit')
  assert.equal(sys.kill(pid, constants.signals.SIGTERM), true)
  assert.deepEqual(await ended, [null, 'SIGTERM'])
  assert.equal(sys.kill(pid, 0), false)
})
