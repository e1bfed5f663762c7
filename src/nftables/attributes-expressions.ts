/** Attribute tables of the expressions that the nf_tables virtual machine runs; linux/netfilter/nf_tables.h. */
import { attrs, eachAttribute, list, nested, type Tagged, tagged, writeAttribute } from '../netlink/attributes.ts'
import { align, Writer } from '../netlink/buffer.ts'
import { be32, be64, bytes, type Codec, type Infer, str, u8 } from '../netlink/codec.ts'

/** NFTA_DATA_*: bytes of a register, or a verdict */
export const dataAttrs = attrs({
  value: [1, bytes],
  verdict: [2, nested(attrs({ code: [1, be32], chain: [2, str], chainId: [3, be32] }))],
})
const data = nested(dataAttrs)

/** Registers: 0 the verdict, 1 to 4 of 16 bytes, 8 to 23 the same memory in 4-byte pieces (NFT_REG32_00 …). */
export const VERDICT_REGISTER = 0

const xt = attrs({ name: [1, str], rev: [2, be32], info: [3, bytes] })

const limit = attrs({
  rate: [1, be64],
  unit: [2, be64],
  burst: [3, be32],
  type: [4, be32],
  flags: [5, be32],
})
const counter = attrs({ bytes: [1, be64], packets: [2, be64] })
const quota = attrs({ bytes: [1, be64], flags: [2, be32], consumed: [4, be64] })
const connlimit = attrs({ count: [1, be32], flags: [2, be32] })
const last = attrs({ set: [1, be32], msecs: [2, be64] })

/** Expressions that keep a state; a dynamic set may hold one for each of its elements. */
const stateful = { limit, counter, quota, connlimit, last }
const statefulCodec = nested(tagged(stateful, { kind: 1, data: 2 }, { nestedData: true, name: str }))

export const expressionKinds = {
  ...stateful,
  immediate: attrs({ dreg: [1, be32], data: [2, data] }),
  cmp: attrs({ sreg: [1, be32], op: [2, be32], data: [3, data] }),
  bitwise: attrs({
    sreg: [1, be32],
    dreg: [2, be32],
    len: [3, be32],
    mask: [4, data],
    xor: [5, data],
    op: [6, be32],
    data: [7, data],
    sreg2: [8, be32],
  }),
  byteorder: attrs({ sreg: [1, be32], dreg: [2, be32], op: [3, be32], len: [4, be32], size: [5, be32] }),
  payload: attrs({
    dreg: [1, be32],
    base: [2, be32],
    offset: [3, be32],
    len: [4, be32],
    sreg: [5, be32],
    csumType: [6, be32],
    csumOffset: [7, be32],
    csumFlags: [8, be32],
  }),
  meta: attrs({ dreg: [1, be32], key: [2, be32], sreg: [3, be32] }),
  ct: attrs({ dreg: [1, be32], key: [2, be32], direction: [3, u8], sreg: [4, be32] }),
  fib: attrs({ dreg: [1, be32], result: [2, be32], flags: [3, be32] }),
  rt: attrs({ dreg: [1, be32], key: [2, be32] }),
  socket: attrs({ key: [1, be32], dreg: [2, be32], level: [3, be32] }),
  exthdr: attrs({
    dreg: [1, be32],
    type: [2, u8],
    offset: [3, be32],
    len: [4, be32],
    flags: [5, be32],
    op: [6, be32],
    sreg: [7, be32],
  }),
  lookup: attrs({ set: [1, str], sreg: [2, be32], dreg: [3, be32], setId: [4, be32], flags: [5, be32] }),
  dynset: attrs({
    set: [1, str],
    setId: [2, be32],
    op: [3, be32],
    sregKey: [4, be32],
    sregData: [5, be32],
    timeout: [6, be64],
    expr: [7, statefulCodec],
    flags: [9, be32],
    expressions: [10, nested(list(statefulCodec, 1))],
  }),
  numgen: attrs({ dreg: [1, be32], modulus: [2, be32], type: [3, be32], offset: [4, be32] }),
  hash: attrs({
    sreg: [1, be32],
    dreg: [2, be32],
    len: [3, be32],
    modulus: [4, be32],
    seed: [5, be32],
    offset: [6, be32],
    type: [7, be32],
  }),
  range: attrs({ sreg: [1, be32], op: [2, be32], from: [3, data], to: [4, data] }),
  nat: attrs({
    type: [1, be32],
    family: [2, be32],
    addrMin: [3, be32],
    addrMax: [4, be32],
    protoMin: [5, be32],
    protoMax: [6, be32],
    flags: [7, be32],
  }),
  masq: attrs({ flags: [1, be32], protoMin: [2, be32], protoMax: [3, be32] }),
  redir: attrs({ protoMin: [1, be32], protoMax: [2, be32], flags: [3, be32] }),
  tproxy: attrs({ family: [1, be32], regAddr: [2, be32], regPort: [3, be32] }),
  dup: attrs({ sregAddr: [1, be32], sregDev: [2, be32] }),
  fwd: attrs({ sregDev: [1, be32], sregAddr: [2, be32], nfproto: [3, be32] }),
  reject: attrs({ type: [1, be32], code: [2, u8] }),
  log: attrs({
    group: [1, { encode: (v, w) => w.u16(v, false), decode: (r) => r.u16(0, false) } as Codec<number>],
    prefix: [2, str],
    snaplen: [3, be32],
    qthreshold: [4, { encode: (v, w) => w.u16(v, false), decode: (r) => r.u16(0, false) } as Codec<number>],
    level: [5, be32],
    flags: [6, be32],
  }),
  notrack: attrs({}),
  objref: attrs({ type: [1, be32], name: [2, str], sreg: [3, be32], set: [4, str], setId: [5, be32] }),
  /** xtables matches and targets, as iptables-nft makes them; `info` is the C struct of that module */
  match: xt,
  target: xt,
} as const

export type VmKind = keyof typeof expressionKinds
export type VmData<K extends VmKind> = Infer<(typeof expressionKinds)[K]>

/** One expression of the virtual machine; an unknown one has `raw` in place of `data`. */
export type Vm = Tagged<typeof expressionKinds>

/** The data of an expression when it is of this kind and was understood. */
export function dataOf<K extends VmKind>(vm: Vm | undefined, kind: K): VmData<K> | undefined {
  return vm?.kind === kind && 'data' in vm ? (vm.data as VmData<K> | undefined) : undefined
}

const NAME = 1
const DATA = 2
const plain = tagged(expressionKinds, { kind: NAME, data: DATA }, { nestedData: true, name: str })

/**
 * An expression that carries an attribute unknown to its table would lose it: it is kept raw instead. Seen by size,
 * for attributes are written back in the order in which they came.
 */
export const vmCodec: Codec<Vm> = {
  isNested: true,
  encode: plain.encode,
  decode: (from) => {
    let raw: Uint8Array | undefined
    eachAttribute(from, (type, payload) => {
      if (type === DATA) raw = payload.copy()
    })
    const value = plain.decode(from)
    if (!raw || 'raw' in value) return value
    const again = new Writer(raw.length + 64)
    writeAttribute(again, DATA, () => {
      if (value.data !== undefined) (expressionKinds[value.kind as VmKind] as Codec<unknown>).encode(value.data, again)
    })
    return align(raw.length) + 4 === again.length ? value : { kind: value.kind, raw }
  },
}
