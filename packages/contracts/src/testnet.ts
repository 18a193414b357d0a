/** What the contracts of a network on one machine are deployed with, and where they stand. */
import { check, TESTNET_PROFILE } from '@cairn/protocol'
import { createPublicClient, createWalletClient, maxUint256, parseEther } from 'viem'
import {
  FUNDED_OPERATORS,
  type TestAccount,
  testAccounts,
  testDeployer,
  testGuardian,
} from './accounts.ts'
import { cairnTokenAbi } from './artifacts/CairnToken.ts'
import { type ContractAddresses, type DeployParameters, deploy, deployedAt } from './deploy.ts'
import { foundingParameters } from './parameters.ts'
import { anvilTransport } from './transport.ts'

/** Seconds of an epoch. */
const EPOCH_S = 12n
const EMISSION = TESTNET_PROFILE.emission
/** 365 days of epochs. */
const YEARLY_CAP = (EMISSION * 365n * 86_400n) / EPOCH_S

export const TESTNET_PARAMETERS: DeployParameters = {
  supply: parseEther('1000000000'),
  yearlyCap: YEARLY_CAP,
  operatorMinimum: parseEther('1000'),
  nodeMinimum: parseEther('100'),
  exitDelay: 72n,
  weightCap: parseEther('10000'),
  // Twice what a day of epochs emits: a network on one machine moves few fees beside it.
  outflowMax: (2n * EMISSION * 86_400n) / EPOCH_S,
  activationDelay: 0n,
  fallbackAfter: 6n * EPOCH_S,
  fallbackWindow: 3n * EPOCH_S,
  fallbackDelay: 3n * EPOCH_S,
  termEpochs: 12n,
  parameterPeriod: EPOCH_S,
  parameters: foundingParameters(TESTNET_PROFILE),
  guardian: testGuardian().address,
  // Long enough to vote by hand at two or three nodes.
  votingDelay: 2,
  votingPeriod: 40,
  lateExtension: 10,
  proposalThreshold: parseEther('1000'),
  // 2,000 tokens: the least bonds of two operators.
  quorum: 2n,
  timelockDelay: 5n,
}

/** What each operator is given, base units. */
const TOKENS = parseEther('100000')
const POLL_MS = 10

export interface DeployFundedInit {
  rpcUrl: string
  /** What is other than `TESTNET_PARAMETERS`. */
  parameters?: Partial<DeployParameters>
  /** How many of the test accounts get tokens and allow the registry to take them. */
  operators?: number
}

/** Deploys the contracts with the test deployer's next transactions, and gives operators tokens. */
export async function deployFunded({
  rpcUrl,
  parameters = {},
  operators = FUNDED_OPERATORS,
}: DeployFundedInit): Promise<ContractAddresses> {
  const transport = anvilTransport(rpcUrl)
  const client = createPublicClient({ transport, pollingInterval: POLL_MS })
  const wallet = ({ account }: TestAccount) => createWalletClient({ account, transport })
  const deployer = wallet(testDeployer())
  const contracts = await deploy({
    wallet: deployer,
    client,
    ...TESTNET_PARAMETERS,
    ...parameters,
  })
  const token = { address: contracts.token, abi: cairnTokenAbi, chain: null } as const
  const approve = { ...token, functionName: 'approve' } as const
  const hashes = [
    await deployer.writeContract({ ...approve, args: [contracts.deposits, maxUint256] }),
  ]
  for (const operator of testAccounts(operators)) {
    await deployer.writeContract({
      ...token,
      functionName: 'transfer',
      args: [operator.address, TOKENS],
    })
    const allowance = { ...approve, args: [contracts.registry, maxUint256] } as const
    hashes.push(await wallet(operator).writeContract(allowance))
  }
  for (const hash of hashes) {
    const { status } = await client.waitForTransactionReceipt({ hash })
    check(status === 'success', 'deployReverted', `approval ${hash} reverted`)
  }
  return contracts
}

/** Contracts in every chain that begins with the testnet's state. */
export function testnetContracts(): ContractAddresses {
  return deployedAt(testDeployer().address, 0)
}
