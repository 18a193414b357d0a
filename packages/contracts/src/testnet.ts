/** What the contracts of a network on one machine are deployed with, and where they stand. */
import { type Hex, parseEther } from 'viem'
import { testDeployer } from './accounts.ts'
import { type ContractAddresses, type DeployParameters, deployedAt } from './deploy.ts'

/** 365 days of epochs of 12 s at an emission of 1,000 tokens. */
const YEARLY_CAP = (parseEther('1000') * 365n * 86_400n) / 12n

export const TESTNET_PARAMETERS: DeployParameters = {
  supply: parseEther('1000000000'),
  yearlyCap: YEARLY_CAP,
  operatorMinimum: parseEther('1000'),
  nodeMinimum: parseEther('100'),
  exitDelay: 72n,
}

/** Contracts in every chain that begins with the testnet's state. */
export function testnetContracts(): ContractAddresses {
  const [token, registry, checkpoints]: [Hex, Hex, Hex] = deployedAt(testDeployer().address, 0)
  return { token, registry, checkpoints }
}
