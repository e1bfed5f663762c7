/** Addresses; rtnetlink(7), linux/if_addr.h, ip-address(8). */
import { bitsOf, lastAddress, type Prefix, parseAddress } from '../ip/index.ts'
import {
  attrs,
  bytes,
  ip,
  type Message,
  NLM_F_CREATE,
  NLM_F_EXCL,
  type Request,
  request,
  type Socket,
  s32,
  shape,
  str,
  struct,
  u8,
  u32,
} from '../netlink/index.ts'

const RTM_NEWADDR = 20
const RTM_DELADDR = 21
const RTM_GETADDR = 22

const AF_INET = 2
const AF_INET6 = 10

const ifaddrmsgFields = { family: 'u8', length: 'u8', flags: 'u8', scope: 'u8', index: 'u32' } as const
const ifaddrmsg = struct(ifaddrmsgFields)
const addressAttrs = attrs({
  local: [2, ip],
  address: [1, ip],
  label: [3, str],
  broadcast: [4, ip],
  cacheinfo: [6, bytes],
  flags: [8, u32],
  targetNetnsid: [10, s32],
  protocol: [11, u8],
})
const addressShape = shape(ifaddrmsg, addressAttrs)

/** IFA_F_* */
const flagBits = {
  secondary: 1,
  nodad: 2,
  dadfailed: 8,
  deprecated: 0x20,
  tentative: 0x40,
  permanent: 0x80,
  noprefixroute: 0x200,
} as const
export type AddressFlag = keyof typeof flagBits

export const scopes = { global: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const
export type Scope = keyof typeof scopes

export interface NewAddress {
  readonly index: number
  readonly address: Prefix
  /** IPv4; `auto` is the last address of the network */
  readonly broadcast?: string
  readonly scope?: Scope
  readonly label?: string
  /** no duplicate address detection: usable at once (IPv6) */
  readonly noDad?: boolean
  readonly noPrefixRoute?: boolean
  /** IFA_PROTO: who made it; Linux 5.18 and later */
  readonly protocol?: number
}

function addressRequest(type: number, flags: number, a: NewAddress): Request {
  const bits = (a.noDad ? flagBits.nodad : 0) | (a.noPrefixRoute ? flagBits.noprefixroute : 0)
  const isLoopback = a.address.family === 4 && parseAddress(a.address.address)?.[0] === 127
  const broadcast = a.broadcast === 'auto' ? lastAddress(a.address) : a.broadcast
  return request(
    type,
    flags,
    addressShape,
    {
      family: a.address.family === 4 ? AF_INET : AF_INET6,
      length: a.address.length,
      flags: bits & 0xff,
      scope: a.scope ? scopes[a.scope] : isLoopback ? scopes.host : 0,
      index: a.index,
    },
    {
      local: a.address.address,
      ...(a.label === undefined ? {} : { label: a.label }),
      ...(bits > 0xff ? { flags: bits } : {}),
      ...(a.protocol === undefined ? {} : { protocol: a.protocol }),
      address: a.address.address,
      ...(broadcast === undefined ? {} : { broadcast }),
    },
  )
}

export function addAddress(address: NewAddress): Request {
  return addressRequest(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, address)
}

export function deleteAddress(address: Pick<NewAddress, 'index' | 'address'>): Request {
  return addressRequest(RTM_DELADDR, 0, address)
}

export interface Address {
  readonly index: number
  readonly address: Prefix
  readonly scope: Scope | `#${number}`
  readonly label?: string
  readonly broadcast?: string
  readonly peer?: string
  readonly flags: readonly AddressFlag[]
  readonly protocol: number
}

function readAddress({
  header,
  attrs: a,
}: Message<typeof ifaddrmsgFields, typeof addressAttrs.fields>): Address | undefined {
  const address = a.local ?? a.address
  if (address === undefined) return undefined
  const set = a.flags ?? header.flags
  const family = header.family === AF_INET ? 4 : 6
  const scope = Object.entries(scopes).find(([, number]) => number === header.scope)?.[0] as Scope | undefined
  return {
    index: header.index,
    address: { address, length: Math.min(header.length, bitsOf(family)), family },
    scope: scope ?? `#${header.scope}`,
    ...(a.label === undefined ? {} : { label: a.label }),
    ...(a.broadcast === undefined ? {} : { broadcast: a.broadcast }),
    ...(a.local !== undefined && a.address !== undefined && a.local !== a.address ? { peer: a.address } : {}),
    flags: (Object.keys(flagBits) as AddressFlag[]).filter((name) => set & flagBits[name]),
    protocol: a.protocol ?? 0,
  }
}

/** Every address of the socket's namespace, or of another by the number that it has here; or those of one link. */
export function listAddresses(
  socket: Socket,
  filter: { readonly index?: number; readonly nsid?: number } = {},
): Address[] {
  const attributes = filter.nsid === undefined ? {} : { targetNetnsid: filter.nsid }
  return socket
    .dump(request(RTM_GETADDR, 0, addressShape, { index: filter.index ?? 0 }, attributes), addressShape)
    .map(readAddress)
    .filter((a) => a !== undefined)
}
