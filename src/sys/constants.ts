/** Numbers from the kernel's headers (x86_64 and arm64 agree on all of these). */

export const CLONE_NEWNS = 0x00020000
export const CLONE_NEWNET = 0x40000000

export const MS_BIND = 0x1000
export const MS_REC = 0x4000
export const MS_SLAVE = 1 << 19
export const MS_SHARED = 1 << 20
export const MNT_DETACH = 2

export const O_RDONLY = 0
export const O_WRONLY = 1
export const O_RDWR = 2
export const O_CREAT = 0o100
export const O_EXCL = 0o200
export const O_NONBLOCK = 0o4000
export const O_CLOEXEC = 0o2000000
/** O_TMPFILE with the O_DIRECTORY that it implies; open(2). The directory bit differs on arm64. */
export const O_TMPFILE = 0o20000000 | (process.arch === 'arm64' ? 0o40000 : 0o200000)

export const AT_FDCWD = -100
export const AT_SYMLINK_FOLLOW = 0x400

export const LOCK_EX = 2
export const LOCK_NB = 4
export const LOCK_UN = 8

export const F_GETFL = 3
export const F_SETFL = 4
export const F_SETFD = 2

export const PROT_READ = 1
export const PROT_WRITE = 2
export const MAP_SHARED = 1

export const AF_UNIX = 1
export const AF_INET = 2
export const AF_BRIDGE = 7
export const AF_INET6 = 10
export const AF_NETLINK = 16
export const AF_PACKET = 17

export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
export const SOCK_RAW = 3
export const SOCK_NONBLOCK = 0o4000
export const SOCK_CLOEXEC = 0o2000000

export const IPPROTO_IP = 0
export const IPPROTO_ICMP = 1
export const IPPROTO_TCP = 6
export const IPPROTO_UDP = 17
export const IPPROTO_ICMPV6 = 58

export const SOL_SOCKET = 1
export const SO_ERROR = 4
export const SO_ATTACH_FILTER = 26
export const SO_SNDBUFFORCE = 32
export const SO_RCVBUFFORCE = 33

export const MSG_PEEK = 2
export const MSG_TRUNC = 0x20
export const MSG_DONTWAIT = 0x40
export const MSG_NOSIGNAL = 0x4000

export const POLLIN = 1
export const POLLOUT = 4
export const POLLERR = 8
export const POLLHUP = 16

export const SIGPIPE = 13
export const SIG_DFL = 0
