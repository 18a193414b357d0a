/**
 * The operator's account without a daemon: the same queue over the same journal, so that nothing is
 * sent twice whoever runs next. Who opens it holds the lock of the data directory meanwhile: an
 * account has one writer.
 */
import { join } from 'node:path'
import { check, type NodeKeys, NonceChain } from '@cairn/protocol'
import { type ChainSettings, openAccount } from './chain/account.ts'
import { Claims, type Payouts } from './chain/claims.ts'
import { Operator } from './chain/operator.ts'
import { systemClock } from './clock.ts'
import { makeDirectory } from './directory.ts'
import { type Manifest, networkIdOf } from './manifest.ts'
import type { Log } from './ports.ts'
import { signerOf } from './signer.ts'

export interface OperatorDeskOptions extends ChainSettings {
  dataDir: string
  manifest: Manifest
  /** The first has the account; further ones are of gateways. */
  keys: readonly [NodeKeys, ...NodeKeys[]]
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
  const { rpc, transactions, close } = await openAccount(
    { clock, log },
    {
      ...options,
      chainId,
      rpc: options.rpc ?? manifest.chain.rpc,
      secret: keys[0].account.secret,
      directory: join(dataDir, 'ledger'),
    },
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
    close,
  }
}
