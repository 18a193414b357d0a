/** Money of a testnet on its chain: clients' deposits before genesis, and all rewards at the end. */
import {
  anvilTransport,
  type ContractAddresses,
  cairnTokenAbi,
  depositKeyRoot,
  depositsAbi,
  nameKeyArguments,
  PayoutClaims,
  rewardDistributorAbi,
  testDeployer,
} from '@cairn/contracts'
import type { Settled } from '@cairn/node'
import { check, ed25519, type NodeKeys, TOKEN, unhex } from '@cairn/protocol'
import { createPublicClient, createWalletClient, type Hex, toHex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

/** Base units that each account has beside its deposit, so that it can pay in more. */
const POCKET = 10_000n * TOKEN
const RECEIPT_TIMEOUT_MS = 20_000
const POLL_MS = 100
/** `RewardDistributor.BATCH_MAX`. */
const CLAIMS_AT_ONCE = 64

interface PayoutsAccess {
  rpcUrl: string
  contracts: ContractAddresses
}

export interface InitialDeposit extends Pick<NodeKeys, 'account' | 'identity'> {
  /** Base units. */
  amount: bigint
}

/**
 * Puts down out of the deployer's tokens what clients begin with, and gives them some; each account,
 * which has ether, names its identity key. Throws `claimReverted`.
 */
export async function depositAll(
  access: PayoutsAccess & { chainId: number },
  clients: readonly InitialDeposit[],
): Promise<void> {
  const { wallet, transport, mined } = connect(access)
  const { chainId, contracts } = access
  const to = { address: contracts.deposits, abi: depositsAbi, chain: null } as const
  const hashes: Hex[] = []
  for (const { account, identity, amount } of clients) {
    const deposit = [toHex(account.address), amount] as const
    const pocket = [toHex(account.address), POCKET] as const
    hashes.push(
      await wallet.writeContract({
        address: contracts.token,
        abi: cairnTokenAbi,
        functionName: 'transfer',
        args: pocket,
        chain: null,
      }),
    )
    hashes.push(await wallet.writeContract({ ...to, functionName: 'deposit', args: deposit }))
    const root = depositKeyRoot({
      chainId: BigInt(chainId),
      deposits: unhex(contracts.deposits),
      account: account.address,
      key: identity.publicKey,
    })
    const signature = ed25519.sign(root, identity.secret)
    const client = createWalletClient({
      transport,
      account: privateKeyToAccount(toHex(account.secret)),
    })
    const args = nameKeyArguments(identity.publicKey, signature)
    hashes.push(await client.writeContract({ ...to, functionName: 'nameKey', args }))
  }
  for (const hash of hashes) await mined(hash)
}

/**
 * Funds an accepted checkpoint and has everybody paid. Resolves with whether the chain paid out
 * what the checkpoint says was earned, to the last unit, and took from the deposits what it says
 * was spent. Throws `claimReverted`.
 */
export async function claimAll(access: PayoutsAccess, { settlement }: Settled): Promise<boolean> {
  const { client, wallet, mined } = connect(access)
  const { checkpoint, state } = settlement
  const claims = new PayoutClaims({ checkpoint, payouts: state.core.payouts })
  const distributor = {
    address: access.contracts.distributor,
    abi: rewardDistributorAbi,
    chain: null,
  } as const
  const isOpen = async () =>
    (await client.readContract({ ...distributor, functionName: 'lastEpoch' })) === checkpoint.epoch
  if (!(await isOpen())) {
    try {
      await mined(
        await wallet.writeContract({ ...distributor, functionName: 'fund', args: claims.fund() }),
      )
    } catch (error) {
      // A node was faster.
      if (!(await isOpen())) throw error
    }
  }
  const earners = state.core.payouts.filter(({ earned }) => earned > 0n)
  for (let from = 0; from < earners.length; from += CLAIMS_AT_ONCE) {
    const batch = earners
      .slice(from, from + CLAIMS_AT_ONCE)
      .flatMap(({ account }) => [claims.claim(account)].filter(claim => claim !== undefined))
    const args = [
      checkpoint.epoch,
      batch.map(([, payout]) => payout),
      batch.map(([, , path]) => path),
    ] as const
    await mined(await wallet.writeContract({ ...distributor, functionName: 'claimMany', args }))
  }
  const [earned, spent, claimed] = await Promise.all([
    client.readContract({ ...distributor, functionName: 'earnedTotal' }),
    client.readContract({ ...distributor, functionName: 'spentTotal' }),
    client.readContract({ ...distributor, functionName: 'claimedTotal' }),
  ])
  return earned === checkpoint.earnedTotal && spent === checkpoint.spentTotal && claimed === earned
}

function connect({ rpcUrl }: PayoutsAccess) {
  const transport = anvilTransport(rpcUrl)
  const client = createPublicClient({ transport, pollingInterval: POLL_MS })
  return {
    client,
    transport,
    wallet: createWalletClient({ transport, account: testDeployer().account }),
    async mined(hash: Hex) {
      const { status } = await client.waitForTransactionReceipt({
        hash,
        timeout: RECEIPT_TIMEOUT_MS,
      })
      check(status === 'success', 'claimReverted', 'the chain refused to move tokens', {
        facts: { transaction: hash },
      })
    },
  }
}
