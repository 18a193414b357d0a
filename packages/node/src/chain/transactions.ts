/**
 * One account's transactions, one after the other: the next is built when the one before is in a
 * block, so nonces never conflict and what is sent twice is seen. A transaction that stays out of
 * blocks is sent again with a higher fee in its place.
 */
import { CairnError, check } from '@cairn/protocol'
import {
  type Abi,
  AbiErrorSignatureNotFoundError,
  BaseError,
  bytesToHex,
  decodeErrorResult,
  type Hex,
  isHex,
  keccak256,
  type RpcLog,
  RpcRequestError,
} from 'viem'
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'
import type { Clock, Log } from '../ports.ts'
import type { Client, Rpc } from './rpc.ts'

/** Between looks for a receipt, ms. */
const LOOK_MS = 250
/** Without a block by then the fee is raised, ms: a few blocks of the slowest home chain. */
const RAISE_AFTER_MS = 45_000
/** Fee raises before giving up; nodes want at least 10 % more for a replacement. */
const RAISES_MAX = 4
const RAISE_PERCENT = 125n
/** Gas limit over the estimate: state moves between estimate and block. */
const GAS_PERCENT = 110n
/** Fees cover this many times the present base fee, which rises at most 12.5 % a block. */
const BASE_FEE_TIMES = 2n
/** Transactions that wait for their turn. */
const QUEUE_MAX = 64

export interface Call {
  to: Hex
  data: Hex
}

export interface SendOptions {
  signal: AbortSignal
  /** Asked while waiting, with the transactions sent so far: an error here ends the wait. */
  pointless?: (sent: readonly Hex[]) => CairnError | undefined
}

export interface TransactionsComponents {
  rpc: Rpc
  clock: Clock
  log: Log
}

/** A transaction in a block. */
export interface Mined {
  succeeded: boolean
  transaction: Hex
  block: bigint
  gasUsed: bigint
  logs: RpcLog[]
}

/** Base units a unit of gas may cost, and of it the block's producer. */
interface Fees {
  maxFeePerGas: bigint
  maxPriorityFeePerGas: bigint
}

/** What a call would do: its gas, or why the chain refuses it. */
type Estimate = { gas: bigint } | { refused: RpcRequestError }

/** Codes with which nodes refuse a call or transaction; others are the endpoint's own trouble. */
const REFUSALS = new Set([3, -32000, -32003])

export class Transactions {
  readonly address: Hex
  readonly #components: TransactionsComponents
  readonly #account: PrivateKeyAccount
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  /** `secret`: 32 bytes. */
  constructor(components: TransactionsComponents, secret: Uint8Array) {
    this.#components = components
    this.#account = privateKeyToAccount(bytesToHex(secret))
    this.address = this.#account.address
  }

  /**
   * Resolves when the call is in a block and succeeded. Rejects with `reverted` (the cause has the
   * contract's own error), `noFunds`, `queueFull`, `chainUnavailable`, or the signal's reason.
   */
  async send(call: Call, options: SendOptions): Promise<Mined> {
    check(this.#waiting < QUEUE_MAX, 'queueFull', `${QUEUE_MAX} transactions wait already`)
    this.#waiting++
    const turn = this.#last.then(() => this.#send(call, options))
    this.#last = turn.then(
      () => this.#waiting--,
      () => this.#waiting--,
    )
    return await turn
  }

  async #send(call: Call, { signal, pointless }: SendOptions): Promise<Mined> {
    const { rpc, clock, log } = this.#components
    signal.throwIfAborted()
    const estimate = await rpc.call(client => this.#estimate(client, call))
    if ('refused' in estimate) throw this.#refusal(estimate.refused)
    // Not the pending count: what a crash left waiting is replaced, not repeated.
    const nonce = await rpc.call(client => readNonce(client, this.address))
    const gas = (estimate.gas * GAS_PERCENT) / 100n
    let fees = await rpc.call(readFees)
    const sent: Hex[] = []
    for (let raises = 0; raises <= RAISES_MAX; raises++) {
      const raw = await this.#account.signTransaction({
        ...call,
        ...fees,
        type: 'eip1559',
        nonce,
        gas,
        chainId: rpc.chainId,
      })
      await this.#broadcast(raw, raises === 0)
      sent.push(keccak256(raw))
      const raiseAt = clock.now() + RAISE_AFTER_MS
      while (clock.now() < raiseAt) {
        const mined = await rpc.call(client => readMined(client, sent))
        if (mined?.succeeded) return mined
        const reason = pointless?.(sent)
        if (reason !== undefined) throw reason
        if (mined !== undefined) throw await this.#reverted(call, mined)
        await clock.until(clock.now() + LOOK_MS, signal)
      }
      fees = raised(fees)
      log.warn({ nonce, raises }, 'a transaction is in no block yet; its fee is raised')
    }
    throw new CairnError('chainUnavailable', `no block took transaction ${sent[0]}`, {
      facts: { nonce, transactions: sent.join(' ') },
      next: 'the chain is congested or stands still; it is tried again',
    })
  }

  async #estimate(client: Client, { to, data }: Call): Promise<Estimate> {
    return await orRefusal(async () => {
      const call = { from: this.address, to, data }
      const gas = await client.request({ method: 'eth_estimateGas', params: [call] })
      return { gas: BigInt(gas) }
    })
  }

  /** An endpoint that has it already has done what was asked. */
  async #broadcast(raw: Hex, first: boolean): Promise<void> {
    const answer = await this.#components.rpc.call(client =>
      orRefusal(() => client.request({ method: 'eth_sendRawTransaction', params: [raw] })),
    )
    if (typeof answer === 'string') return
    const text = answer.refused.details
    if (/nonce too low/i.test(text)) {
      // Of a raised one: a cheaper one was just mined.
      check(
        !first,
        'chainUnavailable',
        'an endpoint is behind, or the account was used elsewhere',
        {
          cause: answer.refused,
          next: 'it is tried again; use the account for nothing else',
        },
      )
      return
    }
    if (!/already|known|underpriced/i.test(text)) throw this.#refusal(answer.refused)
  }

  /** Asks again what the block refused: the answer now has the contract's error. */
  async #reverted(call: Call, { transaction }: Mined): Promise<CairnError> {
    const again = await this.#components.rpc.call(client => this.#estimate(client, call))
    if ('refused' in again) return this.#refusal(again.refused)
    return new CairnError('reverted', `transaction ${transaction} was refused in its block`, {
      facts: { transaction },
    })
  }

  #refusal(cause: RpcRequestError): CairnError {
    const account = this.address
    if (/insufficient funds/i.test(cause.details)) {
      return new CairnError('noFunds', `account ${account} cannot pay for the transaction`, {
        cause,
        facts: { account },
        next: 'send ether to the account',
      })
    }
    return new CairnError('reverted', `the chain refuses the transaction: ${cause.details}`, {
      cause,
      facts: { account },
    })
  }
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

async function orRefusal<T>(ask: () => Promise<T>): Promise<T | { refused: RpcRequestError }> {
  try {
    return await ask()
  } catch (error) {
    const found =
      error instanceof BaseError && error.walk(cause => cause instanceof RpcRequestError)
    if (found instanceof RpcRequestError && REFUSALS.has(found.code)) return { refused: found }
    throw error
  }
}

async function readNonce(client: Client, address: Hex): Promise<number> {
  const count = await client.request({
    method: 'eth_getTransactionCount',
    params: [address, 'latest'],
  })
  return Number(count)
}

async function readFees(client: Client): Promise<Fees> {
  const [block, tip] = await Promise.all([
    client.request({ method: 'eth_getBlockByNumber', params: ['latest', false] }),
    client.request({ method: 'eth_maxPriorityFeePerGas' }),
  ])
  const maxPriorityFeePerGas = BigInt(tip)
  const base = BigInt(block?.baseFeePerGas ?? 0)
  return { maxPriorityFeePerGas, maxFeePerGas: BASE_FEE_TIMES * base + maxPriorityFeePerGas }
}

/** One wei more, since a small fee does not grow by a percentage. */
function raised({ maxFeePerGas, maxPriorityFeePerGas }: Fees): Fees {
  return {
    maxFeePerGas: (maxFeePerGas * RAISE_PERCENT) / 100n + 1n,
    maxPriorityFeePerGas: (maxPriorityFeePerGas * RAISE_PERCENT) / 100n + 1n,
  }
}

async function readMined(client: Client, sent: readonly Hex[]): Promise<Mined | undefined> {
  const receipts = await Promise.all(
    sent.map(hash => client.request({ method: 'eth_getTransactionReceipt', params: [hash] })),
  )
  const receipt = receipts.find(found => found !== null)
  if (receipt === undefined || receipt === null) return undefined
  return {
    succeeded: receipt.status === '0x1',
    transaction: receipt.transactionHash,
    block: BigInt(receipt.blockNumber),
    gasUsed: BigInt(receipt.gasUsed),
    logs: receipt.logs,
  }
}
