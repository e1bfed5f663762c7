/** Packets and what the kernel knows about them: probes, connection tracking, socket tables. */
export { type BlockEcho, type BlockOptions, echoInBlocks } from './blocks.ts'
export { internetChecksum } from './checksum.ts'
export {
  deleteFlows,
  type Flow,
  type FlowFilter,
  type FlowTuple,
  listFlows,
  matchesFlow,
  openConntrack,
} from './conntrack.ts'
export type { DnsRequest } from './dns.ts'
export { type DnsAnswer, nameProblem } from './dns-message.ts'
export type { EchoRequest } from './echo.ts'
export { type EchoSocket, openEchoSocket } from './echo-socket.ts'
export type { HttpRequest } from './http.ts'
export type { HttpResponse } from './http-response.ts'
export { encodeEcho } from './icmp.ts'
export type { MtuRequest } from './mtu.ts'
export { type ProbeOptions, type ProbeRequest, runProbes } from './probe.ts'
export { formatMs, type Outcome, type ProbeResult } from './result.ts'
export { decodeSocketAddress, encodeSocketAddress, resolveSocketAddress, type SocketAddress } from './sockaddr.ts'
export { type ListeningSocket, listListening, openSockDiag } from './sockdiag.ts'
export { formatHostPort, type TcpRequest } from './tcp.ts'
export type { UdpRequest } from './udp.ts'
