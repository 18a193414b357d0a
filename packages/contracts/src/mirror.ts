/** A mirror: `Checkpoints` on a further chain, which accepts what its network's committee signed. */
import { check } from '@cairn/protocol'
import type { PublicClient, Transport, WalletClient } from 'viem'
import {
  type Account,
  type Chain,
  getAbiItem,
  getContractAddress,
  type Hex,
  toFunctionSelector,
  zeroAddress,
} from 'viem'
import { accessAbi, accessBytecode } from './artifacts/Access.ts'
import { checkpointsAbi, checkpointsBytecode } from './artifacts/Checkpoints.ts'
import { COUNCIL, type DeployParameters, GUARDIAN } from './deploy.ts'

export interface DeployMirrorInit
  extends Pick<DeployParameters, 'activationDelay' | 'fallbackAfter' | 'termEpochs'> {
  wallet: WalletClient<Transport, Chain | undefined, Account>
  client: PublicClient
  /** Id of the network at home, 32 bytes. */
  network: Hex
  /** Start of epoch 0, seconds since 1970. */
  genesis: bigint
  /** The checkpoint that the mirror begins with: SSZ bytes, and the committee that it names. */
  checkpoint: Hex
  nextCommittee: Hex
}

export interface MirrorAddresses {
  checkpoints: Hex
  access: Hex
}

/**
 * Deploys a mirror with the wallet's next transactions and starts it. The wallet's account is its
 * guardian and its council, until it hands the roles on. Throws `deployReverted`.
 */
export async function deployMirror(init: DeployMirrorInit): Promise<MirrorAddresses> {
  const { wallet, client } = init
  const from = wallet.account.address
  const nonce = await client.getTransactionCount({ address: from })
  const access = getContractAddress({ from, nonce: BigInt(nonce) })
  const checkpoints = getContractAddress({ from, nonce: BigInt(nonce + 1) })
  const common = { account: wallet.account, chain: wallet.chain ?? null }
  const settings = {
    activationDelay: init.activationDelay,
    fallbackAfter: init.fallbackAfter,
    // Nobody checks in on a mirror.
    fallbackWindow: 0n,
    fallbackDelay: init.activationDelay,
    termEpochs: init.termEpochs,
    home: init.network,
  }
  const hashes = [
    await wallet.deployContract({
      ...common,
      nonce,
      abi: accessAbi,
      bytecode: accessBytecode,
      args: [from],
    }),
    await wallet.deployContract({
      ...common,
      nonce: nonce + 1,
      abi: checkpointsAbi,
      bytecode: checkpointsBytecode,
      args: [access, zeroAddress, settings],
    }),
    await wallet.writeContract({
      ...common,
      nonce: nonce + 2,
      address: checkpoints,
      abi: checkpointsAbi,
      functionName: 'start',
      args: [init.genesis, init.nextCommittee, init.checkpoint],
    }),
  ]
  const roles = [
    { role: GUARDIAN, name: 'cancel' },
    { role: COUNCIL, name: 'repeatCommittee' },
  ] as const
  const ofAccess = { ...common, address: access, abi: accessAbi } as const
  for (const [i, { role, name }] of roles.entries()) {
    const selector = toFunctionSelector(getAbiItem({ abi: checkpointsAbi, name }))
    hashes.push(
      await wallet.writeContract({
        ...ofAccess,
        nonce: nonce + 3 + 2 * i,
        functionName: 'setTargetFunctionRole',
        args: [checkpoints, [selector], role],
      }),
      await wallet.writeContract({
        ...ofAccess,
        nonce: nonce + 4 + 2 * i,
        functionName: 'grantRole',
        args: [role, from, 0],
      }),
    )
  }
  for (const hash of hashes) {
    const { status } = await client.waitForTransactionReceipt({ hash })
    check(status === 'success', 'deployReverted', `deployment ${hash} reverted`)
  }
  return { checkpoints, access }
}
