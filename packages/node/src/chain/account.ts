/**
 * An account on a chain, as commands and the daemon have it: what the operator sets about endpoints
 * and spending, and the one queue over a journal, so that whoever runs next sends nothing twice.
 */
import { openLevelStore } from '../store/level.ts'
import type { SpendingLimits } from './budget.ts'
import { Rpc, type RpcComponents, type RpcInit } from './rpc.ts'
import { Transactions } from './transactions.ts'

/** What the operator sets. */
export interface ChainSettings {
  /** RPC endpoints of the home chain instead of the manifest's. */
  rpc?: readonly string[]
  /** Bounds on what an RPC endpoint is asked, and how many must agree. */
  rpcLimits?: Omit<RpcInit, 'urls' | 'chainId'>
  /** What the account may pay; absent: no limit but that on the price of gas. */
  spending?: SpendingLimits
}

export interface OpenAccountInit extends Omit<ChainSettings, 'rpc'> {
  chainId: number
  /** RPC endpoints, in order of preference. */
  rpc: readonly string[]
  /** 32 bytes. */
  secret: Uint8Array
  /** Of the store that has the journal; one process at a time opens it. */
  directory: string
}

export interface OpenedAccount {
  readonly rpc: Rpc
  readonly transactions: Transactions
  close(): Promise<void>
}

/** Key space of an account's journal in the store that has it. */
export const JOURNAL_SPACE = 'transactions'

/** Rejects as `openLevelStore`, and with `noRpc`. */
export async function openAccount(
  { clock, log }: Pick<RpcComponents, 'clock' | 'log'>,
  { chainId, rpc: urls, rpcLimits, secret, directory, spending }: OpenAccountInit,
): Promise<OpenedAccount> {
  const rpc = new Rpc({ clock, log }, { urls, chainId, ...rpcLimits })
  const store = await openLevelStore(directory)
  const journal = store.sublevel(JOURNAL_SPACE)
  const transactions = new Transactions({ rpc, clock, log, store: journal }, secret, spending)
  return {
    rpc,
    transactions,
    async close() {
      await transactions.stop()
      rpc.stop()
      await store.close()
    },
  }
}
