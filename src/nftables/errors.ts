/** What the kernel refused, and in which operation of the transaction. */
import type { NetlinkError } from '../netlink/index.ts'

export class NftablesError extends Error {
  override readonly name = 'NftablesError'
  /** the operation as nft text: `add rule inet t c …`; empty when the transaction as a whole failed */
  readonly operation: string
  /** its place in the transaction, from 0; -1 when the transaction as a whole failed */
  readonly index: number
  readonly errno: number
  /** `ENOENT`, … */
  readonly code: string
  /** the kernel's own sentence, or the C library's for the errno */
  readonly kernelMessage: string
  /** the attribute that the kernel points at */
  readonly attribute: string | undefined
  /** every refusal of the same transaction, this one first */
  readonly others: readonly NftablesError[]

  constructor(operation: string, index: number, cause: NetlinkError, others: readonly NftablesError[] = []) {
    super(operation ? `${operation}: ${cause.message}` : cause.message, { cause })
    this.operation = operation
    this.index = index
    this.errno = cause.errno
    this.code = cause.code
    this.kernelMessage = cause.message
    this.attribute = cause.attribute
    this.others = others
  }
}

/** The object that an operation names is not there. */
export function isNotFound(error: unknown): error is NftablesError {
  return error instanceof NftablesError && error.code === 'ENOENT'
}

export function isAlreadyExists(error: unknown): error is NftablesError {
  return error instanceof NftablesError && error.code === 'EEXIST'
}
