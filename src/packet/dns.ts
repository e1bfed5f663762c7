/** DNS probes: one name asked of one server, over UDP. */
import {
  type DnsAnswer,
  type DnsResponse,
  decodeResponse,
  encodeQuery,
  nameProblem,
  type QueryType,
  recordTypes,
} from './dns-message.ts'
import type { Loop } from './loop.ts'
import { formatMs, type ProbeResult } from './result.ts'
import { type Descriptors, formatHostPort } from './tcp.ts'
import { converse, type UdpRequest } from './udp.ts'

/** `port` is 53 on most servers. */
export interface DnsRequest extends UdpRequest {
  readonly name: string
  readonly type: QueryType
  /** Says in words what is wrong with an answer that has addresses, undefined when nothing is: else it is a `mismatch`. */
  readonly complain?: ((answer: DnsAnswer) => string | undefined) | undefined
}

/** A probe that is done with the answer to its question. `done` is called once, perhaps before this returns. */
export function startDns(
  loop: Loop,
  descriptors: Descriptors,
  request: DnsRequest,
  done: (result: ProbeResult) => void,
): void {
  const { name, type } = request
  const problem = nameProblem(name)
  if (problem) {
    done({ outcome: 'error', detail: `${name} cannot be asked for: ${problem}` })
    return
  }
  const target = formatHostPort(request.address, request.port)
  const [id = 0] = crypto.getRandomValues(new Uint16Array(1))
  const message = encodeQuery({ id, name, type })
  const hear = (answer: Uint8Array, ms: number): ProbeResult | undefined => {
    if (answer.length < 2 || new DataView(answer.buffer).getUint16(0) !== id) return undefined
    const response = decodeResponse(answer)
    if (!response) return { outcome: 'malformed', detail: `${target} answers with a damaged DNS message` }
    if (response.type !== recordTypes[type] || !isQuestion(response, message)) return undefined
    return judge(request, target, response, ms)
  }
  converse(loop, descriptors, request, { say: () => message, hear }, done)
}

/** Whether a response repeats the question of the query, but for the case of letters. */
function isQuestion(response: DnsResponse, query: Uint8Array): boolean {
  // a query read as a response has the name in the same form
  const asked = query.slice()
  asked[2] = (asked[2] ?? 0) | 0x80
  return decodeResponse(asked)?.name === response.name
}

function judge({ name, type, complain }: DnsRequest, target: string, response: DnsResponse, ms: number): ProbeResult {
  const values = (wanted: number): string[] =>
    response.answers.flatMap((record) => (record.type === wanted && record.value !== undefined ? [record.value] : []))
  const dns: DnsAnswer = {
    rcode: response.rcode,
    addresses: values(recordTypes[type]),
    aliases: values(recordTypes.CNAME),
    isTruncated: response.isTruncated,
  }
  if (dns.rcode !== 'NOERROR') {
    return { outcome: 'mismatch', ms, dns, code: dns.rcode, detail: `${target} answers ${dns.rcode} for ${name}` }
  }
  if (dns.addresses.length === 0) {
    return { outcome: 'mismatch', ms, dns, detail: `${target} knows ${name}, but no address (${type}) of it` }
  }
  const found = `${name} is ${dns.addresses.join(', ')}`
  const problem = complain?.(dns)
  return problem === undefined
    ? { outcome: 'reached', ms, dns, detail: `${found}, says ${target} in ${formatMs(ms)} ms` }
    : { outcome: 'mismatch', ms, dns, detail: `${found}, says ${target}, but ${problem}` }
}
