/** What comes where no committee signs, on an EVM chain: nodes check in and form one. */
import { checkpointsAbi, keyWords, signatureWords } from '@cairn/contracts'
import { bls, CairnError } from '@cairn/protocol'
import { BaseError, encodeFunctionData, type Hex } from 'viem'
import type { CheckIn, CheckInOutcome, FormOutcome } from '../ports.ts'
import { isRefusal } from './parameters.ts'
import { contractError } from './refusal.ts'
import type { Client } from './rpc.ts'
import type { Transactions } from './transactions.ts'

/** With these the contract says that nothing is left to be done by this node. */
const CHECKED_IN: ReadonlySet<string> = new Set(['AlreadyCheckedIn', 'NotDue', 'CommitteeWaits'])
const FORMED: ReadonlySet<string> = new Set(['NotDue', 'NoWindow', 'WindowOpen'])

/** Seconds without acceptance after which nodes may check in; undefined where there is no contract. */
export async function readFallbackAfter(client: Client, address: Hex): Promise<number | undefined> {
  try {
    return Number(
      await client.readContract({ address, abi: checkpointsAbi, functionName: 'fallbackAfter' }),
    )
  } catch (error) {
    if (error instanceof BaseError && error.walk(isRefusal)) return undefined
    throw error
  }
}

export interface SuccessionCalls {
  transactions: Transactions
  /** Address of `Checkpoints`. */
  to: Hex
  signal: AbortSignal
}

export async function checkIn(
  { node, key, signature }: CheckIn,
  { transactions, to, signal }: SuccessionCalls,
): Promise<CheckInOutcome> {
  const data = encodeFunctionData({
    abi: checkpointsAbi,
    functionName: 'checkIn',
    args: [node, keyWords(bls.keyToEvm(key)), signatureWords(bls.signatureToEvm(signature))],
  })
  try {
    await transactions.send({ to, data }, { signal, purpose: 'checkpoint' })
    return 'checkedIn'
  } catch (error) {
    const refused = errorNameOf(error)
    if (refused !== undefined && CHECKED_IN.has(refused)) return 'done'
    throw error
  }
}

export async function formCommittee(call: SuccessionCalls): Promise<FormOutcome> {
  const { transactions, to, signal } = call
  const data = encodeFunctionData({ abi: checkpointsAbi, functionName: 'formCommittee' })
  try {
    await transactions.send({ to, data }, { signal, purpose: 'checkpoint' })
    return 'formed'
  } catch (error) {
    const refused = errorNameOf(error)
    if (refused === 'NoMajority') return 'tooFew'
    if (refused !== undefined && FORMED.has(refused)) return 'done'
    throw error
  }
}

/** Name of the contract's error; undefined where it was something else. */
function errorNameOf(error: unknown): string | undefined {
  if (!(error instanceof CairnError) || error.code !== 'reverted') return undefined
  return contractError(checkpointsAbi, error)?.errorName
}
