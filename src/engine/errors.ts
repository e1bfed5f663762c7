/** What went wrong between plan and kernel, said so that a person can mend it. */
import type { Operation } from '../plan/operations.ts'

export class EngineError extends Error {
  override readonly name = 'EngineError'
  /** what to do about it */
  readonly hint: string
  /** the operation that failed, if it was one */
  readonly operation: Operation | undefined
  /** `EEXIST`, … when the kernel refused */
  readonly code: string | undefined
  /** every problem, one a line; the message is the first */
  readonly details: readonly string[]

  constructor(
    message: string,
    options: {
      readonly hint?: string
      readonly operation?: Operation
      readonly code?: string
      readonly details?: readonly string[]
      readonly cause?: unknown
    } = {},
  ) {
    super(message, { cause: options.cause })
    this.hint = options.hint ?? ''
    this.operation = options.operation
    this.code = options.code
    this.details = options.details ?? []
  }
}

/** The errno name that an error of a lower floor carries. */
export function codeOf(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined
}
