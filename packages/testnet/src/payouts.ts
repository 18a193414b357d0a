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
import type { CheckpointPayouts } from '@cairn/node'
import { CairnError, check, ed25519, type NodeKeys, TOKEN, unhex } from '@cairn/protocol'
import {
  BaseError,
  ContractFunctionRevertedError,
  createPublicClient,
  createWalletClient,
  type Hex,
  toHex,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

/** Base units that each account has beside its deposit, so that it can pay in more. */
const POCKET = 10_000n * TOKEN
const RECEIPT_TIMEOUT_MS = 20_000
const POLL_MS = 100
/** `RewardDistributor.BATCH_MAX`. */
const CLAIMS_AT_ONCE = 64
/** `RewardDistributor.lastEpoch` before the first. */
const BEFORE_THE_FIRST = 2n ** 64n - 1n

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

export interface Gift {
  /** 20 bytes in hexadecimal, without 0x. */
  account: string
  /** Base units. */
  ether: bigint
  tokens: bigint
}

/** Sends an account tokens and ether of the deployer's. Throws `noFunds` where it has less. */
export async function giveTo(
  access: PayoutsAccess,
  { account, ether, tokens }: Gift,
): Promise<{ transactions: Hex[] }> {
  const { wallet, mined } = connect(access)
  const to: Hex = `0x${account}`
  const transactions: Hex[] = []
  try {
    if (tokens > 0n) {
      transactions.push(
        await wallet.writeContract({
          address: access.contracts.token,
          abi: cairnTokenAbi,
          functionName: 'transfer',
          args: [to, tokens],
          chain: null,
        }),
      )
    }
    if (ether > 0n) {
      transactions.push(await wallet.sendTransaction({ to, value: ether, chain: null }))
    }
  } catch (cause) {
    const given =
      transactions.length === 0 ? 'nothing was given' : 'the tokens were given, no ether'
    throw new CairnError('noFunds', `the testnet's account refuses: ${given}`, {
      cause,
      next: 'ask for less with --ether and --tokens',
    })
  }
  for (const hash of transactions) await mined(hash)
  return { transactions }
}

/**
 * Funds an accepted checkpoint, unless a node does, and has everybody paid. Resolves with whether the chain paid out
 * what the checkpoint says was earned, to the last unit, and took from the deposits what it says
 * was spent. Throws `claimReverted`.
 */
export async function claimAll(
  access: PayoutsAccess,
  { checkpoint, payouts }: CheckpointPayouts,
): Promise<boolean> {
  const { client, wallet, mined } = connect(access)
  const claims = new PayoutClaims({ checkpoint, payouts })
  const distributor = {
    address: access.contracts.distributor,
    abi: rewardDistributorAbi,
    chain: null,
  } as const
  const lastFunded = async () => {
    const last = await client.readContract({ ...distributor, functionName: 'lastEpoch' })
    return last === BEFORE_THE_FIRST ? -1n : last
  }
  if ((await lastFunded()) < checkpoint.epoch) {
    try {
      await mined(
        await wallet.writeContract({ ...distributor, functionName: 'fund', args: claims.fund() }),
      )
    } catch (error) {
      // A node was faster; what it sent may still be without a block.
      const end = Date.now() + (isFunded(error) ? RECEIPT_TIMEOUT_MS : 0)
      while ((await lastFunded()) < checkpoint.epoch) {
        if (Date.now() >= end) throw error
        await new Promise(resolve => setTimeout(resolve, POLL_MS))
      }
    }
  }
  const earners = payouts.filter(({ earned }) => earned > 0n)
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
  const [fundings, last, claimed] = await Promise.all([
    client.getContractEvents({
      ...distributor,
      eventName: 'Funded',
      fromBlock: 0n,
      strict: true,
    }),
    lastFunded(),
    client.readContract({ ...distributor, functionName: 'claimedTotal' }),
  ])
  // Of what was funded up to this checkpoint: a later one may be by now, and be claimed from too.
  const upTo = fundings.map(({ args }) => args).filter(({ epoch }) => epoch <= checkpoint.epoch)
  const spent = upTo.reduce((sum, { fees }) => sum + fees, 0n)
  const earned = upTo.reduce((sum, { minted, burned }) => sum + minted - burned, spent)
  return (
    earned === checkpoint.earnedTotal &&
    spent === checkpoint.spentTotal &&
    (claimed === earned || (claimed > earned && last > checkpoint.epoch))
  )
}

/** Whether the contract says that this checkpoint, or a later one, is funded already. */
function isFunded(error: unknown): boolean {
  const reverted =
    error instanceof BaseError &&
    error.walk(cause => cause instanceof ContractFunctionRevertedError)
  return (
    reverted instanceof ContractFunctionRevertedError && reverted.data?.errorName === 'EpochFunded'
  )
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
