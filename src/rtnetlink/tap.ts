/**
 * TAP devices. rtnetlink lists, changes and deletes them as links of kind `tun`, but cannot make one: that is done
 * over /dev/net/tun; Documentation/networking/tuntap.rst, linux/if_tun.h, ip-tuntap(8).
 */
import * as sys from '../sys/index.ts'

const IFF_TAP = 2
const IFF_MULTI_QUEUE = 0x100
const IFF_NO_PI = 0x1000
const IFF_VNET_HDR = 0x4000
/** refuse a name that exists, instead of joining it */
const IFF_TUN_EXCL = 0x8000

const TUNSETIFF = 0x400454ca
const TUNSETPERSIST = 0x400454cb
const TUNSETOWNER = 0x400454cc
const TUNSETGROUP = 0x400454ce

const IFNAMSIZ = 16
/** sizeof(struct ifreq) */
const IFREQ_SIZE = 40

export interface NewTap {
  readonly name: string
  /** user id that may open it without CAP_NET_ADMIN */
  readonly owner?: number
  /** group id, likewise */
  readonly group?: number
  /** several descriptors share the device, each a queue */
  readonly multiQueue?: boolean
  /** every packet has a struct virtio_net_hdr before it */
  readonly vnetHdr?: boolean
}

/**
 * Makes a TAP device that stays, in the thread's present network namespace.
 * Throws SysError: EBUSY when the name is taken, ENOENT when the kernel has no /dev/net/tun.
 */
export function addTap(tap: NewTap): void {
  const { owner, group } = tap
  const fd = sys.open('/dev/net/tun', sys.O_RDWR)
  try {
    sys.ioctl(fd, TUNSETIFF, interfaceRequest(tap))
    if (owner !== undefined) sys.ioctl(fd, TUNSETOWNER, owner)
    if (group !== undefined) sys.ioctl(fd, TUNSETGROUP, group)
    // last: without it the device goes with the descriptor, so that a failure leaves nothing
    sys.ioctl(fd, TUNSETPERSIST, 1)
  } finally {
    sys.close(fd)
  }
}

/** struct ifreq with a name and flags; netdevice(7). */
function interfaceRequest({ name, multiQueue, vnetHdr }: NewTap): Uint8Array {
  const bytes = new Uint8Array(IFREQ_SIZE)
  const text = new TextEncoder().encode(name)
  if (text.length === 0 || text.length >= IFNAMSIZ) throw new RangeError(`not a name of 1 to 15 bytes: ${name}`)
  bytes.set(text)
  const flags = IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL | (multiQueue ? IFF_MULTI_QUEUE : 0) | (vnetHdr ? IFF_VNET_HDR : 0)
  new DataView(bytes.buffer).setUint16(IFNAMSIZ, flags, true)
  return bytes
}
