/** Links, addresses, routes, rules and neighbours over NETLINK_ROUTE. Names are those of iproute2 and the kernel. */
export * from './addresses.ts'
export { getLinkLabel, type LinkLabel, listLinkLabels } from './labels.ts'
export {
  addLink,
  deleteLink,
  getLink,
  type Link,
  type LinkChanges,
  type LinkSpec,
  linkData,
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
