/** Registers a testnet's nodes in one block. */

import {
  anvilTransport,
  type ContractAddresses,
  cairnTokenAbi,
  nodeRegistryAbi,
  possessionRoot,
  registerArguments,
  registrationRoot,
  type TestAccount,
} from '@cairn/contracts'
import {
  bls,
  CairnError,
  COVERAGE,
  EU868,
  ed25519,
  type NodeKeys,
  NonceChain,
  STORAGE,
  TOKEN,
  unhex,
} from '@cairn/protocol'
import { bytesToHex, createPublicClient, createWalletClient, type Hex } from 'viem'

export interface RegistrationPlan {
  keys: NodeKeys
  operator: TestAccount
  /** H3 index; 0n without a radio. */
  cell: bigint
  provider: boolean
  gateway: boolean
  /** Antenna gain, 0.1 dBi. */
  gain: number
}

export interface RegisterInit {
  rpcUrl: string
  chainId: number
  contracts: ContractAddresses
  /** Network id: the nonce chains belong to it. */
  network: Uint8Array
  plans: readonly RegistrationPlan[]
}

/** What a node bonds; the registry's minimum for an operator with one node, base units. */
const BOND = 1_100n * TOKEN
/** Verifying the possession of both keys on chain takes about a third of it. */
const REGISTRATION_GAS = 1_200_000n
const DELEGATION_GAS = 200_000n
const RECEIPT_TIMEOUT_MS = 20_000

/**
 * Resolves when all are in a block; which node has which index the registry says. What an operator has
 * not bonded votes for its daemon's account, so that each daemon can vote.
 */
export async function registerNodes(init: RegisterInit): Promise<void> {
  const { rpcUrl, contracts } = init
  const transport = anvilTransport(rpcUrl)
  const client = createPublicClient({ transport, pollingInterval: 100 })
  const hashes: Hex[] = []
  for (const plan of init.plans) {
    const wallet = createWalletClient({ transport, account: plan.operator.account })
    hashes.push(
      await wallet.writeContract({
        address: contracts.registry,
        abi: nodeRegistryAbi,
        functionName: 'register',
        args: registerArguments(registrationOf(plan, init)),
        chain: null,
        gas: REGISTRATION_GAS,
      }),
      await wallet.writeContract({
        address: contracts.token,
        abi: cairnTokenAbi,
        functionName: 'delegate',
        args: [bytesToHex(plan.keys.account.address)],
        chain: null,
        gas: DELEGATION_GAS,
      }),
    )
  }
  for (const hash of hashes) {
    const receipt = await client.waitForTransactionReceipt({ hash, timeout: RECEIPT_TIMEOUT_MS })
    if (receipt.status !== 'success') {
      throw new CairnError('registrationReverted', 'a node could not be registered', {
        facts: { transaction: hash },
      })
    }
  }
}

function nonceChainOf(keys: NodeKeys, network: Uint8Array): NonceChain {
  return new NonceChain({
    secret: keys.identity.secret,
    network,
    identity: keys.identity.publicKey,
  })
}

function registrationOf(plan: RegistrationPlan, { chainId, contracts, network }: RegisterInit) {
  const { keys, operator, provider, gateway, cell, gain } = plan
  const statement = {
    chainId: BigInt(chainId),
    registry: unhex(contracts.registry),
    identity: keys.identity.publicKey,
    voting: keys.voting.publicKey,
    operator: unhex(operator.address),
  }
  return {
    payout: unhex(operator.address),
    identity: keys.identity.publicKey,
    voting: keys.voting.publicKey,
    cell,
    region: gateway ? EU868.code : 0,
    subBand: 0,
    gain: gateway ? gain : 0,
    kinds: (provider ? 1 << STORAGE : 0) | (gateway ? 1 << COVERAGE : 0),
    nonceEnd: nonceChainOf(keys, network).end,
    bond: BOND,
    possession: bls.sign(possessionRoot(statement), keys.voting.secret),
    identitySignature: ed25519.sign(registrationRoot(statement), keys.identity.secret),
  }
}
