/** Path MTU probes: echoes that must not be fragmented, larger and smaller until the largest that gets through is known. */
import { type EchoRequest, echoFamily, type Pinger } from './echo.ts'
import type { ProbeResult } from './result.ts'

/** bytes of the IP header and the ICMP header of an echo */
const HEADERS = { 4: 28, 6: 48 } as const
/** bytes that every link must carry; RFC 791, RFC 8200 */
const LEAST = { 4: 68, 6: 1280 } as const
const MOST = 65535
/** ms for an echo larger than one that came back: lost ones must not cost the whole time-out each */
const STEP = 250

export interface MtuRequest extends Pick<EchoRequest, 'address' | 'timeout' | 'patience'> {
  /** Says in words what is wrong with an MTU (bytes), undefined when nothing is: then the outcome is `mismatch`. */
  readonly complain?: ((mtu: number) => string | undefined) | undefined
}

/**
 * A probe that is done when the MTU is known: `mtu` of the result, with `from` and `code` where an ICMP error said so.
 * The pinger must forbid fragments. Replies may be fragmented on their way: only the way there is measured.
 */
export function startMtu(pinger: Pinger, request: MtuRequest, done: (result: ProbeResult) => void): void {
  const { address, timeout, patience } = request
  const family = echoFamily(address)
  let passes = LEAST[family] as number
  let fails = MOST + 1
  let limit: ProbeResult | undefined

  const send = (bytes: number, time: number, heard: (result: ProbeResult) => void): void => {
    pinger.start(
      { address, timeout: time, patience: time === timeout ? patience : 0, size: bytes - HEADERS[family] },
      heard,
    )
  }

  const finish = (ms: number): void => {
    const found = `packets of ${passes} bytes get through to ${address}${limit ? `, ${wordsOf(limit)}` : ''}`
    const problem = request.complain?.(passes)
    const { from, code } = limit ?? {}
    done({
      outcome: problem === undefined ? 'reached' : 'mismatch',
      ms,
      mtu: passes,
      detail: problem === undefined ? found : `${found}, but ${problem}`,
      ...(from === undefined ? {} : { from }),
      ...(code === undefined ? {} : { code }),
    })
  }

  const step = (ms: number, bytes = Math.floor((passes + fails) / 2)): void => {
    if (fails - passes <= 1) {
      finish(ms)
      return
    }
    send(bytes, Math.min(timeout, STEP), (result) => {
      if (result.outcome === 'reached') {
        passes = bytes
        step(ms)
        return
      }
      if (result.outcome === 'error') {
        done(result)
        return
      }
      limit = result
      // what a router names is most likely the answer, and the next echo settles it
      const { mtu = 0 } = result
      const isHint = mtu > passes && mtu < bytes
      fails = isHint ? mtu + 1 : bytes
      step(ms, isHint ? mtu : undefined)
    })
  }

  send(passes, timeout, (result) => (result.outcome === 'reached' ? step(result.ms ?? 0) : done(result)))
}

/** Why larger packets do not get through. */
function wordsOf(limit: ProbeResult): string {
  if (limit.code === 'EMSGSIZE' && limit.from === undefined) return 'larger ones do not fit the first device'
  if (limit.outcome === 'lost') return 'larger ones vanish without a word'
  return `for larger ones ${limit.detail}`
}
