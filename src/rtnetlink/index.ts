/** Links, addresses, routes, rules and neighbours over NETLINK_ROUTE. Names are those of iproute2 and the kernel. */
export * from './addresses.ts'
export type { LinkSpec } from './kinds.ts'
export { getLinkBriefly, getLinkLabel, type LinkLabel, listLinkLabels, listLinksBriefly } from './labels.ts'
export { type Link, linkData } from './link.ts'
export {
  addLink,
  deleteLink,
  getLink,
  type LinkChanges,
  listLinks,
  type NewLink,
  setBridgePort,
  setLink,
  type Target,
} from './links.ts'
export * from './neighbours.ts'
export { getNamespaceId, setNamespaceId } from './nsid.ts'
export * from './qdiscs.ts'
export * from './routes.ts'
export * from './rules.ts'
export { addTap, type NewTap } from './tap.ts'
