/** What the contracts of a network on one machine are deployed with, and where they stand. */
import { parseEther } from 'viem'
import { testDeployer } from './accounts.ts'
import { type ContractAddresses, type DeployParameters, deployedAt } from './deploy.ts'

/** Seconds of an epoch. */
const EPOCH_S = 12n
const EMISSION = parseEther('1000')
/** 365 days of epochs. */
const YEARLY_CAP = (EMISSION * 365n * 86_400n) / EPOCH_S

export const TESTNET_PARAMETERS: DeployParameters = {
  supply: parseEther('1000000000'),
  yearlyCap: YEARLY_CAP,
  operatorMinimum: parseEther('1000'),
  nodeMinimum: parseEther('100'),
  exitDelay: 72n,
  weightCap: parseEther('10000'),
  placeFee: parseEther('10'),
  emission: EMISSION,
  feeBurn: 100_000n,
  // Twice what a day of epochs emits: a network on one machine moves few fees beside it.
  outflowMax: (2n * EMISSION * 86_400n) / EPOCH_S,
  activationDelay: 0n,
  fallbackAfter: 6n * EPOCH_S,
  fallbackWindow: 3n * EPOCH_S,
  fallbackDelay: 3n * EPOCH_S,
  termEpochs: 12n,
  penalty: 100_000n,
  reporterShare: 250_000n,
  penaltyCap: 20_000n,
}

/** Contracts in every chain that begins with the testnet's state. */
export function testnetContracts(): ContractAddresses {
  return deployedAt(testDeployer().address, 0)
}
