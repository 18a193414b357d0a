import { check } from '@cairn/protocol'
import {
  type Abi,
  type Account,
  type Chain,
  encodeDeployData,
  encodeFunctionData,
  getAbiItem,
  getContractAddress,
  type Hex,
  type PublicClient,
  type Transport,
  toFunctionSelector,
  type WalletClient,
  zeroHash,
} from 'viem'
import { accessAbi, accessBytecode } from './artifacts/Access.ts'
import { cairnGovernorAbi, cairnGovernorBytecode } from './artifacts/CairnGovernor.ts'
import { cairnTokenAbi, cairnTokenBytecode } from './artifacts/CairnToken.ts'
import { checkpointsAbi, checkpointsBytecode } from './artifacts/Checkpoints.ts'
import { depositsAbi, depositsBytecode } from './artifacts/Deposits.ts'
import { nodeRegistryAbi, nodeRegistryBytecode } from './artifacts/NodeRegistry.ts'
import { parametersAbi, parametersBytecode } from './artifacts/Parameters.ts'
import { rewardDistributorAbi, rewardDistributorBytecode } from './artifacts/RewardDistributor.ts'
import { slasherAbi, slasherBytecode } from './artifacts/Slasher.ts'
import { timelockAbi, timelockBytecode } from './artifacts/Timelock.ts'
import { type FoundingParameter, parameterWord } from './parameters.ts'

/** In the order of their deployment: each knows the others by address from the start. */
const ORDER = [
  'token',
  'registry',
  'checkpoints',
  'distributor',
  'deposits',
  'access',
  'slasher',
  'parameters',
  'timelock',
  'governor',
] as const

/** Roles of `Access`. */
export const ADMIN = 0n
export const GUARDIAN = 1n
export const COUNCIL = 2n

export type ContractAddresses = Record<(typeof ORDER)[number], Hex>

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
  /** Base units of bond beyond which there is no more weight: the profile's `bondCap`. */
  weightCap: bigint
  /** Base units that are paid out at most in a day of steady claims. */
  outflowMax: bigint
  /** Seconds from a checkpoint's acceptance to its being acted upon. */
  activationDelay: bigint
  /** Seconds without acceptance after which nodes may check in; of their window; of the delay then. */
  fallbackAfter: bigint
  fallbackWindow: bigint
  fallbackDelay: bigint
  /** Epochs that a committee serves for: the profile's `termEpochs`. */
  termEpochs: bigint
  /** Seconds between two changes of one parameter. */
  parameterPeriod: bigint
  /** What is voted on. */
  parameters: readonly FoundingParameter[]
  /** Cancels checkpoints and proposals, and can do nothing else. */
  guardian: Hex
  /** Seconds from a proposal to the vote, of the vote, and of it at least after the quorum. */
  votingDelay: number
  votingPeriod: number
  lateExtension: number
  /** Base units that who proposes has at least. */
  proposalThreshold: bigint
  /** Votes that a proposal needs: parts per million of all tokens. */
  quorum: bigint
  /** Seconds from the end of a vote to its being carried out, at least. */
  timelockDelay: bigint
}

export interface DeployInit extends DeployParameters {
  wallet: WalletClient<Transport, Chain | undefined, Account>
  client: PublicClient
}

interface Deployment {
  abi: Abi
  bytecode: Hex
  args: readonly unknown[]
}

/** A transaction of a deployment. */
export interface DeploymentCall {
  /** What it does, for people. */
  text: string
  /** Absent where it makes a contract. */
  to?: Hex
  data: Hex
}

/**
 * Deploys the contracts with the wallet's next transactions, names the distributor the token's
 * minter, and hands every role of `Access` to the timelock and the guardian. All that is left to the
 * wallet's account is to start `Checkpoints`, once.
 * Throws `deployReverted`.
 */
export async function deploy(init: DeployInit): Promise<ContractAddresses> {
  const { wallet, client } = init
  const from = wallet.account.address
  const first = await client.getTransactionCount({ address: from })
  const common = { account: wallet.account, chain: wallet.chain ?? null }
  const hashes: Hex[] = []
  for (const [i, { to, data }] of deploymentCalls(init, from, first).entries()) {
    const target = to === undefined ? {} : { to }
    hashes.push(await wallet.sendTransaction({ ...common, nonce: first + i, data, ...target }))
  }
  for (const hash of hashes) {
    const receipt = await client.waitForTransactionReceipt({ hash })
    check(receipt.status === 'success', 'deployReverted', `deployment ${hash} reverted`)
  }
  return deployedAt(from, first)
}

/** All that a deployment sends, in order, from this nonce of the deployer's on. */
export function deploymentCalls(
  init: DeployParameters,
  deployer: Hex,
  nonce: number,
): DeploymentCall[] {
  const contracts = deployedAt(deployer, nonce)
  return [
    ...deployments(init, contracts, deployer).map((deployment, i) => ({
      text: `${ORDER[i]} at ${contracts[ORDER[i] as (typeof ORDER)[number]]}`,
      data: encodeDeployData(deployment),
    })),
    ...settings(contracts, deployer, init.guardian).map(({ address, ...call }) => ({
      text: call.functionName,
      to: address,
      data: encodeFunctionData(call),
    })),
  ]
}

/** What is left to say once all stand: who mints, who may call what, and who has which role. */
function settings(contracts: ContractAddresses, deployer: Hex, guardian: Hex) {
  const { token, checkpoints, distributor, access, parameters, timelock } = contracts
  const ofCheckpoints = (name: 'cancel' | 'setCommittee') =>
    toFunctionSelector(getAbiItem({ abi: checkpointsAbi, name }))
  const ofParameters = (name: 'set' | 'add') =>
    toFunctionSelector(getAbiItem({ abi: parametersAbi, name }))
  const onAccess = (functionName: string, ...args: readonly unknown[]) => ({
    address: access,
    abi: accessAbi as Abi,
    functionName,
    args,
  })
  return [
    { address: token, abi: cairnTokenAbi as Abi, functionName: 'setMinter', args: [distributor] },
    onAccess('setTargetFunctionRole', checkpoints, [ofCheckpoints('cancel')], GUARDIAN),
    onAccess('setTargetFunctionRole', checkpoints, [ofCheckpoints('setCommittee')], COUNCIL),
    onAccess(
      'setTargetFunctionRole',
      parameters,
      [ofParameters('set'), ofParameters('add')],
      COUNCIL,
    ),
    onAccess('grantRole', GUARDIAN, guardian, 0),
    onAccess('grantRole', COUNCIL, timelock, 0),
    onAccess('grantRole', ADMIN, timelock, 0),
    onAccess('renounceRole', ADMIN, deployer),
  ]
}

/** Addresses of the contracts that an account deploys from this nonce on. */
export function deployedAt(from: Hex, nonce: number): ContractAddresses {
  const at = (i: number) => getContractAddress({ from, nonce: BigInt(nonce + i) })
  return Object.fromEntries(ORDER.map((name, i) => [name, at(i)])) as ContractAddresses
}

function deployments(
  init: DeployParameters,
  contracts: ContractAddresses,
  deployer: Hex,
): Deployment[] {
  const { token, registry, checkpoints, distributor, deposits, access, slasher } = contracts
  const { parameters, timelock, governor } = contracts
  const { operatorMinimum, nodeMinimum, exitDelay, weightCap } = init
  const byName: Record<(typeof ORDER)[number], Deployment> = {
    token: {
      abi: cairnTokenAbi,
      bytecode: cairnTokenBytecode,
      args: [init.supply, init.yearlyCap],
    },
    registry: {
      abi: nodeRegistryAbi,
      bytecode: nodeRegistryBytecode,
      args: [token, operatorMinimum, nodeMinimum, exitDelay, weightCap, parameters, slasher],
    },
    checkpoints: {
      abi: checkpointsAbi,
      bytecode: checkpointsBytecode,
      args: [
        access,
        registry,
        {
          activationDelay: init.activationDelay,
          fallbackAfter: init.fallbackAfter,
          fallbackWindow: init.fallbackWindow,
          fallbackDelay: init.fallbackDelay,
          termEpochs: init.termEpochs,
          home: zeroHash,
        },
      ],
    },
    distributor: {
      abi: rewardDistributorAbi,
      bytecode: rewardDistributorBytecode,
      args: [token, checkpoints, deposits, registry, parameters, init.outflowMax],
    },
    deposits: {
      abi: depositsAbi,
      bytecode: depositsBytecode,
      args: [token, checkpoints, distributor],
    },
    slasher: {
      abi: slasherAbi,
      bytecode: slasherBytecode,
      args: [registry, checkpoints, parameters],
    },
    timelock: {
      abi: timelockAbi,
      bytecode: timelockBytecode,
      args: [init.timelockDelay, governor],
    },
    governor: {
      abi: cairnGovernorAbi,
      bytecode: cairnGovernorBytecode,
      args: [
        token,
        registry,
        access,
        timelock,
        {
          votingDelay: init.votingDelay,
          votingPeriod: init.votingPeriod,
          lateExtension: init.lateExtension,
          threshold: init.proposalThreshold,
          quorum: init.quorum,
        },
      ],
    },
    access: { abi: accessAbi, bytecode: accessBytecode, args: [deployer] },
    parameters: {
      abi: parametersAbi,
      bytecode: parametersBytecode,
      args: [
        access,
        init.parameterPeriod,
        init.parameters.map(({ name, ...numbers }) => ({ name: parameterWord(name), ...numbers })),
      ],
    },
  }
  return ORDER.map(name => byName[name])
}
