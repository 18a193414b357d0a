/**
 * The operator's account without a daemon: the same queue over the same journal, so that nothing is
 * sent twice whoever runs next. Who opens it holds the lock of the data directory meanwhile: an
 * account has one writer.
 */
import { join } from 'node:path'
import { check, type NodeKeys, NonceChain } from '@cairn/protocol'
import type { SpendingLimits } from './chain/budget.ts'
import { Claims, type Payouts } from './chain/claims.ts'
import { Operator } from './chain/operator.ts'
import { Rpc, type RpcInit } from './chain/rpc.ts'
import { Transactions } from './chain/transactions.ts'
import { systemClock } from './clock.ts'
import { makeDirectory } from './directory.ts'
import { type Manifest, networkIdOf } from './manifest.ts'
import type { Log } from './ports.ts'
import { signerOf } from './signer.ts'
import { openLevelStore } from './store/level.ts'

export interface OperatorDeskOptions {
  dataDir: string
  manifest: Manifest
  /** The first has the account; further ones are of gateways. */
  keys: readonly [NodeKeys, ...NodeKeys[]]
  /** RPC endpoints instead of the manifest's. */
  rpc?: readonly string[]
  rpcLimits?: Omit<RpcInit, 'urls' | 'chainId'>
  /** What the account may pay. */
  spending?: SpendingLimits
  log: Log
}

export interface OperatorDesk {
  readonly operator: Operator
  /** Claims by these payouts. Throws `noDistributor`. */
  claims(payouts: Payouts): Claims
  close(): Promise<void>
}

/** Rejects as `openLevelStore`. */
export async function openOperatorDesk(options: OperatorDeskOptions): Promise<OperatorDesk> {
  const { dataDir, manifest, keys, log } = options
  const { chainId, contracts } = manifest.chain
  const network = networkIdOf(manifest)
  const clock = systemClock()
  await makeDirectory(dataDir)
  const store = await openLevelStore(join(dataDir, 'ledger'))
  const urls = options.rpc ?? manifest.chain.rpc
  const rpc = new Rpc({ clock, log }, { urls, chainId, ...options.rpcLimits })
  const transactions = new Transactions(
    { rpc, clock, log, store: store.sublevel('transactions') },
    keys[0].account.secret,
    options.spending,
  )
  const operator = new Operator(
    { rpc, transactions, clock },
    {
      chainId,
      contracts,
      account: keys[0].account.secret,
      nodes: keys.map(({ identity, voting }) => ({
        signer: signerOf({ identity, voting }),
        nonceEnd: new NonceChain({
          secret: identity.secret,
          network,
          identity: identity.publicKey,
        }).end,
      })),
    },
  )
  return {
    operator,
    claims(payouts) {
      const { checkpoints, distributor } = contracts
      check(
        distributor !== undefined,
        'noDistributor',
        'the manifest names no contract that pays',
        {
          next: 'get the manifest again from where the network is announced',
        },
      )
      return new Claims(
        { rpc, transactions, clock, payouts },
        { contracts: { checkpoints, distributor } },
      )
    },
    async close() {
      await transactions.stop()
      rpc.stop()
      await store.close()
    },
  }
}
