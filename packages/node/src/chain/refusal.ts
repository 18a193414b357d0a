/**
 * How nodes refuse a call or a transaction. Codes and words differ from node to node; what they mean
 * to who sends is one of few things.
 */
import { CairnError } from '@cairn/protocol'
import {
  type Abi,
  AbiErrorSignatureNotFoundError,
  BaseError,
  ContractFunctionRevertedError,
  decodeErrorResult,
  type Hex,
  isHex,
  RpcRequestError,
} from 'viem'
import { refusedIn } from './contract-errors.ts'

/** Code of a call that the contract refused. */
const REVERTED = 3
/**
 * Codes with which nodes refuse a call or transaction, the last two of them Nethermind's; others are
 * the endpoint's own trouble.
 */
const REFUSALS = new Set([REVERTED, -32_000, -32_003, -32_010, -32_015])
/** The node has it already, or a block has one of its nonce. */
const KNOWN_TEXT = /nonce ?too ?low|old ?nonce|already|\bknown\b/i
/** One of its nonce bids more. */
const OUTBID_TEXT = /underpriced|fee ?too ?low|replacement ?not ?allowed/i
/** Failures of an endpoint that looked at nothing. */
const UNSENT: ReadonlySet<string> = new Set(['rateLimited', 'queueFull'])
const NO_FUNDS_TEXT = /insufficient ?funds/i

export interface Refused {
  refused: RpcRequestError
}

/** What `ask` resolves with, or that the node refuses it; an endpoint's own trouble is thrown. */
export async function orRefusal<T>(ask: () => Promise<T>): Promise<T | Refused> {
  try {
    return await ask()
  } catch (error) {
    const found =
      error instanceof BaseError && error.walk(cause => cause instanceof RpcRequestError)
    if (found instanceof RpcRequestError && REFUSALS.has(found.code)) return { refused: found }
    throw error
  }
}

/**
 * Whether an endpoint that gave no answer may have taken what it was sent: not where it limits the
 * rate, or nothing was sent.
 */
export function mayHaveTaken(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof CairnError) return !UNSENT.has(at.code)
  }
  return true
}

/** The contract's own refusal, not the endpoint's: with data, or in words that all nodes share. */
export function isRevert({ code, data, details }: RpcRequestError): boolean {
  return code === REVERTED || (isHex(data) && data !== '0x') || /revert/i.test(details)
}

/** What a node makes of a transaction that it was sent; `outbid`: one of its nonce bids more. */
export function reception(answer: Hex | Refused, account: Hex): 'taken' | 'outbid' | CairnError {
  if (typeof answer === 'string') return 'taken'
  const { details } = answer.refused
  if (KNOWN_TEXT.test(details)) return 'taken'
  if (OUTBID_TEXT.test(details)) return 'outbid'
  return refusalError(answer.refused, account)
}

/** `noFunds`, `reverted` (the cause has the contract's own error) or `chainUnavailable`. */
export function refusalError(cause: RpcRequestError, account: Hex): CairnError {
  if (NO_FUNDS_TEXT.test(cause.details)) {
    return new CairnError('noFunds', `account ${account} cannot pay for the transaction`, {
      cause,
      facts: { account },
      next: 'send ether to the account',
    })
  }
  const named = refusedIn(cause)
  if (named !== undefined) {
    const { text, next, facts } = named
    return new CairnError('reverted', `the contract refuses: ${text}`, {
      cause,
      facts: { account, ...facts },
      next,
    })
  }
  // A full pool or a state that is not there passes, and says nothing of the call.
  const code = isRevert(cause) ? 'reverted' : 'chainUnavailable'
  return new CairnError(code, `the chain refuses the transaction: ${cause.details}`, {
    cause,
    facts: { account },
  })
}

/** The contract's error behind a `reverted`; undefined when there is none of this ABI. */
export function contractError<const A extends Abi>(abi: A, error: CairnError) {
  const { cause } = error
  if (!(cause instanceof RpcRequestError) || !isHex(cause.data) || cause.data === '0x') {
    return undefined
  }
  try {
    return decodeErrorResult({ abi, data: cause.data })
  } catch (unknown) {
    if (unknown instanceof AbiErrorSignatureNotFoundError) return undefined
    throw unknown
  }
}

/** Name of the contract's error that a read ended with; what else went wrong is thrown again. */
export function revertedWith(error: unknown): string {
  const reverted =
    error instanceof BaseError &&
    error.walk(cause => cause instanceof ContractFunctionRevertedError)
  if (reverted instanceof ContractFunctionRevertedError)
    return reverted.data?.errorName ?? 'unknown'
  throw error
}
