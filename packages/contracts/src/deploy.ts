import { check } from '@cairn/protocol'
import {
  type Account,
  type Chain,
  getContractAddress,
  type Hex,
  type PublicClient,
  type Transport,
  type WalletClient,
} from 'viem'
import { cairnTokenAbi, cairnTokenBytecode } from './artifacts/CairnToken.ts'
import { checkpointsAbi, checkpointsBytecode } from './artifacts/Checkpoints.ts'
import { nodeRegistryAbi, nodeRegistryBytecode } from './artifacts/NodeRegistry.ts'

export interface ContractAddresses {
  token: Hex
  registry: Hex
  checkpoints: Hex
}

export interface DeployParameters {
  /** Base units the deployer starts with. */
  supply: bigint
  /** Base units the token's minter may mint in a year. */
  yearlyCap: bigint
  /** Base units bonded at least by each operator, and for each node. */
  operatorMinimum: bigint
  nodeMinimum: bigint
  /** Seconds from the request of an exit to the bond's return. */
  exitDelay: bigint
}

export interface DeployInit extends DeployParameters {
  wallet: WalletClient<Transport, Chain | undefined, Account>
  client: PublicClient
}

/**
 * Deploys the three contracts with the wallet's next three transactions. The wallet's account
 * becomes the starter of `Checkpoints`. Throws `deployReverted`.
 */
export async function deploy(init: DeployInit): Promise<ContractAddresses> {
  const { wallet, client } = init
  const from = wallet.account.address
  const nonce = await client.getTransactionCount({ address: from })
  const [token, registry, checkpoints] = deployedAt(from, nonce)
  const common = { account: wallet.account, chain: wallet.chain ?? null }
  const hashes = [
    await wallet.deployContract({
      ...common,
      nonce,
      abi: cairnTokenAbi,
      bytecode: cairnTokenBytecode,
      args: [init.supply, init.yearlyCap],
    }),
    await wallet.deployContract({
      ...common,
      nonce: nonce + 1,
      abi: nodeRegistryAbi,
      bytecode: nodeRegistryBytecode,
      args: [token, init.operatorMinimum, init.nodeMinimum, init.exitDelay],
    }),
    await wallet.deployContract({
      ...common,
      nonce: nonce + 2,
      abi: checkpointsAbi,
      bytecode: checkpointsBytecode,
    }),
  ]
  for (const hash of hashes) {
    const receipt = await client.waitForTransactionReceipt({ hash })
    check(receipt.status === 'success', 'deployReverted', `deployment ${hash} reverted`)
  }
  return { token, registry, checkpoints }
}

/** Addresses of the three contracts that an account deploys from this nonce on. */
export function deployedAt(from: Hex, nonce: number): [Hex, Hex, Hex] {
  const at = (i: number) => getContractAddress({ from, nonce: BigInt(nonce + i) })
  return [at(0), at(1), at(2)]
}
