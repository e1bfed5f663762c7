/** Flows that connection tracking forgets, as netlink. */
import { deleteFlows } from '../../packet/conntrack.ts'
import type { FlowMatch } from '../../plan/flows.ts'
import { IPPROTO_UDP } from '../../sys/index.ts'
import { codeOf } from '../errors.ts'
import type { Handle } from '../handles.ts'

/** A kernel that cannot list flows has none that it could keep; it fails with EINVAL, EOPNOTSUPP or EPROTONOSUPPORT. */
export function forgetFlows(handle: Handle, { family, destination, port, target }: FlowMatch): void {
  try {
    deleteFlows(handle.nft(), {
      family,
      protocol: IPPROTO_UDP,
      original: { destinationPort: port, ...(destination === undefined ? {} : { destination }) },
      reply: { source: target.address, sourcePort: target.port },
    })
  } catch (error) {
    const code = codeOf(error)
    if (code !== 'EINVAL' && code !== 'EOPNOTSUPP' && code !== 'EPROTONOSUPPORT') throw error
  }
}
