/** Examines the host. Kernel features are tried for real, in a namespace of their own that is gone afterwards. */
import { existsSync, readFileSync } from 'node:fs'
import { release } from 'node:os'
import { NETLINK_NETFILTER, NETLINK_ROUTE, openSocket } from '../netlink/index.ts'
import { currentNetns } from '../netns/index.ts'
import { transaction } from '../nftables/transaction.ts'
import { addLink, type LinkSpec, setLink } from '../rtnetlink/index.ts'
import * as sys from '../sys/index.ts'
import { codeOf } from './errors.ts'
import { findForwardChains } from './foreign.ts'
import { openHandles } from './handles.ts'
import { readSysctl } from './observe.ts'

export interface Finding {
  readonly what: string
  readonly state: 'ok' | 'missing' | 'warning' | 'info'
  readonly found: string
  /** why it matters, or what to do */
  readonly means: string
  /** hardway cannot work without it */
  readonly isNeeded?: true
}

function tryOut(work: () => void): string | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    return codeOf(error) ?? String(error)
  }
}

/** Runs in a fresh namespace that nothing keeps; the thread is back afterwards. */
function inFreshNetns<T>(work: () => T): T {
  using home = currentNetns()
  sys.unshare(sys.CLONE_NEWNET)
  try {
    return work()
  } finally {
    sys.setns(home.fd, sys.CLONE_NEWNET)
  }
}

const vethSpec: LinkSpec = { kind: 'veth', peer: { name: 'hw1' } }
const kinds: readonly { readonly spec: LinkSpec; readonly means: string; readonly isNeeded?: true }[] = [
  { spec: vethSpec, means: 'every link between namespaces', isNeeded: true },
  { spec: { kind: 'bridge' }, means: 'bridges and networks', isNeeded: true },
  { spec: { kind: 'vxlan', id: 1, port: 4789 }, means: 'networks across machines' },
  { spec: { kind: 'macvlan', parent: 1, mode: 'bridge' }, means: 'macvlan interfaces' },
  { spec: { kind: 'ifb' }, means: 'limits on what is received' },
  { spec: { kind: 'dummy' }, means: 'interfaces without a wire' },
]

function examineLinks(): Finding[] {
  return kinds.map(({ spec, means, isNeeded }) => {
    const code = inFreshNetns(() => {
      using socket = openSocket(NETLINK_ROUTE)
      if (spec.kind !== 'macvlan') return tryOut(() => socket.execute(addLink({ name: 'hw0', link: spec })))
      // it needs a device to rest on, and loopback is none
      const [failed] = socket.batch([addLink({ name: 'hw0', link: vethSpec }), setLink({ name: 'hw0' }, { up: true })])
      if (failed) return failed.code
      const parent = 3
      return tryOut(() => socket.execute(addLink({ name: 'hw2', link: { ...spec, parent } })))
    })
    return {
      what: `${spec.kind} links`,
      state: code === undefined ? 'ok' : 'missing',
      found: code === undefined ? 'yes' : `${code}: module ${spec.kind}`,
      means,
      ...(isNeeded ? { isNeeded } : {}),
    }
  })
}

function examineNftables(): Finding {
  const code = inFreshNetns(() => {
    using socket = openSocket(NETLINK_NETFILTER)
    return tryOut(() =>
      transaction()
        .addTable({ family: 'inet', name: 'hw' })
        .addChain({ family: 'inet', table: 'hw', name: 'c', type: 'nat', hook: 'postrouting', priority: 100 })
        .addRule({ family: 'inet', table: 'hw', chain: 'c', expressions: [{ kind: 'masquerade' }] })
        .commit(socket),
    )
  })
  return {
    what: 'nf_tables with NAT',
    state: code === undefined ? 'ok' : 'missing',
    found: code === undefined ? 'yes' : code,
    means: 'masquerade, published ports, notes of what to put back',
  }
}

function examineForward(): Finding[] {
  using handles = openHandles()
  const host = handles.at({ name: 'host' })
  return findForwardChains(host).map((c) => ({
    what: 'FORWARD',
    state: 'warning' as const,
    found: `${c.family} ${c.table} ${c.chain} may drop`,
    means: 'say forward: accept in the file, and hardway adds its accept there while the topology is up',
  }))
}

/** iptables-legacy keeps tables of its own, which nf_tables does not show. */
function examineLegacy(): Finding[] {
  const tables = ['/proc/net/ip_tables_names', '/proc/net/ip6_tables_names'].flatMap((path) => {
    try {
      return readFileSync(path, 'utf8').trim().split('\n').filter(Boolean)
    } catch {
      return []
    }
  })
  if (tables.length === 0) return []
  return [
    {
      what: 'iptables-legacy',
      state: 'warning',
      found: [...new Set(tables)].join(' '),
      means: 'rules there can drop packets too; hardway does not change them: iptables-legacy -S FORWARD',
    },
  ]
}

function examineSysctls(): Finding[] {
  const bridged = readSysctl('net.bridge.bridge-nf-call-iptables')
  return [
    {
      what: 'net.ipv4.ip_forward',
      state: 'info',
      found: readSysctl('net.ipv4.ip_forward') ?? 'unknown',
      means: 'turned on where a topology needs it, and put back',
    },
    ...(bridged === '1'
      ? [
          {
            what: 'bridge-nf-call-iptables',
            state: 'warning' as const,
            found: '1',
            means: 'frames on a bridge pass FORWARD as well (Docker turns it on); forward: accept holds it open',
          },
        ]
      : []),
  ]
}

function examineRights(): Finding {
  const isRoot = process.getuid?.() === 0
  const sandboxed = process.env.HARDWAY_SANDBOX ? ', in a sandbox' : ''
  return {
    what: 'rights',
    state: isRoot ? 'ok' : 'missing',
    found: isRoot ? `root${sandboxed}` : 'an ordinary user',
    means: isRoot ? 'namespaces and links can be made' : 'sudo, or hardway sandbox -- hardway …',
    isNeeded: true,
  }
}

function examineUserNamespaces(): Finding {
  const most = Number(readSysctlFile('/proc/sys/user/max_user_namespaces') ?? 0)
  const clone = readSysctlFile('/proc/sys/kernel/unprivileged_userns_clone')
  const apparmor = readSysctlFile('/proc/sys/kernel/apparmor_restrict_unprivileged_userns')
  const blocked =
    most === 0
      ? 'user.max_user_namespaces is 0'
      : clone === '0'
        ? 'kernel.unprivileged_userns_clone is 0'
        : apparmor === '1'
          ? 'AppArmor blocks them (kernel.apparmor_restrict_unprivileged_userns is 1)'
          : undefined
  return {
    what: 'user namespaces',
    state: blocked === undefined ? 'ok' : 'warning',
    found: blocked ?? 'yes',
    means: 'hardway sandbox for ordinary users',
  }
}

function readSysctlFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}

export function examine(): Finding[] {
  const rights = examineRights()
  const kernel: Finding = { what: 'kernel', state: 'info', found: release(), means: 'made and tested on 6.x' }
  const docker: Finding[] = existsSync('/run/docker.sock')
    ? [
        {
          what: 'docker',
          state: 'info',
          found: '/run/docker.sock',
          means: 'its namespaces are in /run/docker/netns, which ip netns does not show',
        },
      ]
    : []
  if (rights.state !== 'ok') return [kernel, rights, examineUserNamespaces(), ...docker]
  return [
    kernel,
    rights,
    ...examineLinks(),
    examineNftables(),
    ...examineSysctls(),
    ...examineForward(),
    ...examineLegacy(),
    examineUserNamespaces(),
    ...docker,
  ]
}
