/** What a person can do about a refused operation. */
import type { Operation } from '../plan/operations.ts'

export function hintFor(op: Operation, code: string | undefined): string {
  if (code === 'EPERM' || code === 'EACCES') {
    return 'hardway needs root (CAP_SYS_ADMIN and CAP_NET_ADMIN): sudo hardway …, or as yourself: hardway sandbox -- hardway …'
  }
  if (op.kind === 'link.add' && (code === 'EOPNOTSUPP' || code === 'ENODEV')) {
    return `this kernel has no ${op.link.link.kind} links (module ${op.link.link.kind}); hardway doctor lists what it has`
  }
  if (op.kind === 'link.add' && code === 'EEXIST') return 'the name is taken: ip link show; choose another'
  if ((op.kind === 'ruleset.set' || op.kind === 'notes.set') && (code === 'EOPNOTSUPP' || code === 'ENOENT')) {
    return 'this kernel lacks a part of nf_tables (NF_TABLES_INET, NFT_NAT, NFT_MASQ); hardway doctor lists what it has'
  }
  if (op.kind === 'route.add' && code === 'ENETUNREACH') {
    return 'the gateway is in none of the networks of this namespace: give an interface an address there, or say onlink: true'
  }
  if (op.kind === 'sysctl.set') return `see whether the kernel has it: sysctl ${op.key}`
  if (op.kind === 'service.start') return 'see whether the program exists and may be run'
  if (code === 'EBUSY') return 'something else uses it; hardway ls shows what is up'
  return 'hardway plan FILE shows all that up would do; hardway doctor what this host offers'
}
