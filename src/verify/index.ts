/** Expectations of a topology file, each tried with real packets. */
import { familyOf } from '../ip/index.ts'
import {
  type DnsAnswer,
  type HttpResponse,
  type Outcome,
  type ProbeRequest,
  type ProbeResult,
  runProbes,
} from '../packet/index.ts'
import type { Expectation, Probe } from '../topology/model.ts'
import type { Code } from '../topology/why-codes.ts'

/** ms */
const TIMEOUT = 1000
const FAILS_TIMEOUT = 500
/**
 * ms. Patience means that the network is fresh. Packets vanish until the kernel has heard of each link's carrier, and it
 * asks for a neighbour again only after a second (retrans_time_ms): a time-out below that would miss the answer.
 */
const FRESH_TIMEOUT = 1500

export interface CheckResult {
  readonly expectation: Expectation
  /** never true when the probe itself could not be made, whatever was expected */
  readonly holds: boolean
  readonly outcome: Outcome
  /** ms; absent when nothing answered */
  readonly ms?: number
  /** one plain sentence without a full stop: what happened, whatever was expected */
  readonly detail: string
  /** the name of an errno, or `ICMP 3/1` with type and code */
  readonly code?: string
  /** bytes of the largest packet that gets through, of `mtu` */
  readonly mtu?: number
  /** what the analysis says of a failure, where the file names a reason; null when it cannot tell */
  readonly why?: Code | null
}

export interface VerifyOptions {
  /** Runs `fn` inside a network namespace and comes back, synchronously. Throws when there is none of that name. */
  readonly enter: <T>(namespace: string, fn: () => T) => T
  /** ms until an unanswered probe is lost; 1000 when absent; never less than 1500 for one that has patience */
  readonly timeout?: number | undefined
  /** ms for `fails …`, which has to wait that long to hold; 500 or `timeout`, whichever is less, when absent */
  readonly failsTimeout?: number | undefined
  /** ms for which refused and otherwise failing probes are tried again, while services start; 0 when absent */
  readonly patience?: number | undefined
  /** Why a packet does not arrive, for `fails … because CODE`; null when that cannot be told. */
  readonly explain?: ((expectation: Expectation) => Promise<Code | null>) | undefined
  /** called as soon as an expectation is decided, in no special order */
  readonly onResult?: ((result: CheckResult, index: number) => void) | undefined
}

/**
 * Tries all expectations at the same time; results in their order. Takes one time-out at worst (and the patience, when
 * something keeps failing). Never rejects for what the network does.
 *
 * A `fails …` expectation has no patience: a refusal counts at once, and so does an echo that is swallowed by a link
 * which has only just come up. Start services first, and let links settle (operstate up, no tentative address).
 */
export async function verifyExpectations(
  expectations: readonly Expectation[],
  options: VerifyOptions,
): Promise<CheckResult[]> {
  const timeout = options.timeout ?? TIMEOUT
  const failsTimeout = options.failsTimeout ?? Math.min(FAILS_TIMEOUT, timeout)
  const { patience = 0 } = options
  const patient = { timeout: patience > 0 ? Math.max(timeout, FRESH_TIMEOUT) : timeout, patience }
  const checks: CheckResult[] = []
  await runProbes(
    expectations.map(({ from, fails, probe }) => requestFor(from, probe, fails ? { timeout: failsTimeout } : patient)),
    {
      enter: options.enter,
      onResult: (result, index) => {
        const expectation = expectations[index]
        if (!expectation) return
        const check = judge(expectation, result)
        checks[index] = check
        if (!wantsReason(check)) options.onResult?.(check, index)
      },
    },
  )
  for (const [index, check] of checks.entries()) {
    if (!wantsReason(check)) continue
    const code = (await options.explain?.(check.expectation)) ?? null
    const reasoned = withReason(check, code)
    checks[index] = reasoned
    options.onResult?.(reasoned, index)
  }
  return checks
}

/** A packet has failed as it should, and the file says for which reason. */
function wantsReason({ holds, expectation }: CheckResult): boolean {
  return holds && expectation.because !== undefined
}

function withReason(check: CheckResult, why: Code | null): CheckResult {
  const { because } = check.expectation
  if (why === because) return { ...check, why, detail: `${check.detail}, because ${why}` }
  const said = why === null ? 'the reason cannot be told' : `the reason is ${why}`
  return { ...check, why, holds: false, detail: `${check.detail}, but ${said}, not ${because}` }
}

function requestFor(
  namespace: string,
  probe: Probe,
  times: { readonly timeout: number; readonly patience?: number },
): ProbeRequest {
  const { kind, address } = probe
  switch (kind) {
    case 'ping':
      return { kind, namespace, address, ...times }
    case 'tcp':
    case 'udp':
      return { kind, namespace, address, port: probe.port, ...times }
    case 'dns': {
      const { port, name, is } = probe
      const type = is !== undefined && familyOf(is) === 6 ? 'AAAA' : 'A'
      const complain = ({ addresses }: DnsAnswer): string | undefined =>
        is === undefined || addresses.includes(is) ? undefined : `${is} was expected`
      return { kind, namespace, address, port, name, type, complain, ...times }
    }
    case 'mtu': {
      const { atLeast } = probe
      const complain = (mtu: number): string | undefined =>
        mtu < atLeast ? `${atLeast} bytes were expected` : undefined
      return { kind, namespace, address, complain, ...times }
    }
    case 'http': {
      const { port, path } = probe
      return { kind, namespace, address, port, path, complain: (response) => complain(probe, response), ...times }
    }
    default:
      return kind satisfies never
  }
}

/** What is wrong with an answer. Without a status in the file, one that says an error is not an answer to rely on. */
function complain(probe: Extract<Probe, { kind: 'http' }>, response: HttpResponse): string | undefined {
  if (probe.status !== undefined && response.status !== probe.status) return `status ${probe.status} was expected`
  if (probe.status === undefined && response.status >= 400) return 'that is an error'
  if (probe.contains === undefined) return undefined
  if (new TextDecoder().decode(response.body).includes(probe.contains)) return undefined
  const where = response.isTruncated ? 'the first MiB of the body' : 'the body'
  return `${where} does not contain ${JSON.stringify(probe.contains)}`
}

function judge(expectation: Expectation, result: ProbeResult): CheckResult {
  const { outcome, ms, detail, code, mtu } = inTime(expectation, result)
  return {
    expectation,
    holds: outcome !== 'error' && (outcome === 'reached') !== expectation.fails,
    outcome,
    detail,
    ...(ms === undefined ? {} : { ms }),
    ...(code === undefined ? {} : { code }),
    ...(mtu === undefined ? {} : { mtu }),
  }
}

function inTime({ within }: Expectation, result: ProbeResult): ProbeResult {
  const isLate = within !== undefined && result.outcome === 'reached' && (result.ms ?? 0) > within
  if (!isLate) return result
  return { ...result, outcome: 'mismatch', detail: `${result.detail}, but ${within} ms were allowed` }
}
