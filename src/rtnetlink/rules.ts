/** Policy routing rules; linux/fib_rules.h, ip-rule(8). */
import { bitsOf, type Family, type Prefix } from '../ip/index.ts'
import {
  attrs,
  ip,
  type Message,
  NLM_F_CREATE,
  NLM_F_EXCL,
  type Request,
  request,
  type Socket,
  shape,
  str,
  struct,
  u8,
  u32,
} from '../netlink/index.ts'

const RTM_NEWRULE = 32
const RTM_DELRULE = 33
const RTM_GETRULE = 34

const AF_INET = 2
const AF_INET6 = 10
/** FR_ACT_TO_TBL */
const TO_TABLE = 1

const fibRuleFields = {
  family: 'u8',
  dstLength: 'u8',
  srcLength: 'u8',
  tos: 'u8',
  table: 'u8',
  _res1: 'u8',
  _res2: 'u8',
  action: 'u8',
  flags: 'u32',
} as const
const fibRule = struct(fibRuleFields)
const ruleAttrs = attrs({
  dst: [1, ip],
  src: [2, ip],
  iif: [3, str],
  priority: [6, u32],
  mark: [10, u32],
  suppressPrefixlength: [14, u32],
  table: [15, u32],
  maskOfMark: [16, u32],
  oif: [17, str],
  protocol: [21, u8],
  ipProto: [22, u8],
})
const ruleShape = shape(fibRule, ruleAttrs)

export interface NewRule {
  readonly family: Family
  readonly from?: Prefix
  readonly to?: Prefix
  readonly iif?: string
  readonly oif?: string
  readonly mark?: number
  /** the bits of the mark that count; all when absent */
  readonly maskOfMark?: number
  /** passes over routes of this prefix length or less: 0 is the default route */
  readonly suppressPrefixlength?: number
  readonly table: number
  readonly priority?: number
  /** who made it, as for routes */
  readonly protocol?: number
}

function ruleRequest(type: number, flags: number, r: NewRule): Request {
  return request(
    type,
    flags,
    ruleShape,
    {
      family: r.family === 4 ? AF_INET : AF_INET6,
      dstLength: r.to?.length ?? 0,
      srcLength: r.from?.length ?? 0,
      table: r.table < 256 ? r.table : 0,
      action: type === RTM_NEWRULE ? TO_TABLE : 0,
    },
    {
      ...(r.protocol === undefined ? {} : { protocol: r.protocol }),
      ...(r.from ? { src: r.from.address } : {}),
      ...(r.to ? { dst: r.to.address } : {}),
      ...(r.priority === undefined ? {} : { priority: r.priority }),
      ...(r.mark === undefined ? {} : { mark: r.mark }),
      ...(r.maskOfMark === undefined ? {} : { maskOfMark: r.maskOfMark }),
      ...(r.table < 256 ? {} : { table: r.table }),
      ...(r.suppressPrefixlength === undefined ? {} : { suppressPrefixlength: r.suppressPrefixlength }),
      ...(r.iif === undefined ? {} : { iif: r.iif }),
      ...(r.oif === undefined ? {} : { oif: r.oif }),
    },
  )
}

export function addRule(rule: NewRule): Request {
  return ruleRequest(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule)
}

export function deleteRule(rule: NewRule): Request {
  return ruleRequest(RTM_DELRULE, 0, rule)
}

export interface Rule extends NewRule {
  readonly priority: number
  readonly protocol: number
  /** 1 goes to `table` */
  readonly action: number
}

function readRule({ header, attrs: a }: Message<typeof fibRuleFields, typeof ruleAttrs.fields>): Rule {
  const family: Family = header.family === AF_INET ? 4 : 6
  const prefix = (address: string, length: number): Prefix => ({
    address,
    length: Math.min(length, bitsOf(family)),
    family,
  })
  return {
    family,
    ...(a.src === undefined ? {} : { from: prefix(a.src, header.srcLength) }),
    ...(a.dst === undefined ? {} : { to: prefix(a.dst, header.dstLength) }),
    ...(a.iif === undefined ? {} : { iif: a.iif }),
    ...(a.oif === undefined ? {} : { oif: a.oif }),
    ...(a.mark === undefined ? {} : { mark: a.mark }),
    ...(a.maskOfMark === undefined || a.maskOfMark === 0xffffffff ? {} : { maskOfMark: a.maskOfMark }),
    ...(a.suppressPrefixlength === undefined || a.suppressPrefixlength === 0xffffffff
      ? {}
      : { suppressPrefixlength: a.suppressPrefixlength }),
    table: a.table ?? header.table,
    priority: a.priority ?? 0,
    protocol: a.protocol ?? 0,
    action: header.action,
  }
}

/** Every rule of the socket's namespace, by priority within each family. */
export function listRules(socket: Socket, filter: { readonly family?: Family } = {}): Rule[] {
  const families = filter.family ? [filter.family] : ([4, 6] as const)
  return families.flatMap((family) =>
    socket
      .dump(request(RTM_GETRULE, 0, ruleShape, { family: family === 4 ? AF_INET : AF_INET6 }), ruleShape)
      .map(readRule),
  )
}
