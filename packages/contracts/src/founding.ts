/**
 * What founding a network sends, and what is read of the chain before and after. All that is sent
 * follows from the settings and from the nonce of the first transaction, so the addresses are known
 * beforehand, and who goes on with a deployment sends the very same.
 */
import { check } from '@cairn/protocol'
import { encodeFunctionData, getAddress, type Hex, isAddressEqual, type PublicClient } from 'viem'
import { accessAbi } from './artifacts/Access.ts'
import { cairnTokenAbi } from './artifacts/CairnToken.ts'
import { checkpointsAbi } from './artifacts/Checkpoints.ts'
import { parametersAbi } from './artifacts/Parameters.ts'
import { timelockAbi } from './artifacts/Timelock.ts'
import {
  ADMIN,
  COUNCIL,
  type ContractAddresses,
  type DeploymentCall,
  type DeployParameters,
  deployedAt,
  deploymentCalls,
  GUARDIAN,
} from './deploy.ts'
import { parameterWord } from './parameters.ts'

/** Gas of a deployment with eight grants, rounded up: what the account has to have before. */
export const FOUNDING_GAS = 36_000_000n
/** Most accounts that are given tokens. */
export const GRANTS_MAX = 64

/** Pairing check of EIP-2537 over one pair of points at infinity: true, as one word. */
const PAIRING = '0x000000000000000000000000000000000000000f'
const PAIRING_INPUT: Hex = `0x${'00'.repeat(384)}`
const PAIRING_TRUE: Hex = `0x${'01'.padStart(64, '0')}`

export interface Grant {
  account: Hex
  /** Base units. */
  amount: bigint
}

export interface FoundingPlan {
  /** Pays, and may start the network; it keeps nothing else. */
  deployer: Hex
  parameters: DeployParameters
  /** Who gets the supply: all of it. */
  grants: readonly Grant[]
}

/** All that founding sends, in order, the first under this nonce. Throws `badFounding`. */
export function foundingCalls(
  { deployer, parameters, grants }: FoundingPlan,
  nonce: number,
): DeploymentCall[] {
  check(grants.length <= GRANTS_MAX, 'badFounding', `expected at most ${GRANTS_MAX} grants`, {
    facts: { found: grants.length },
  })
  const sum = grants.reduce((total, { amount }) => total + amount, 0n)
  check(sum === parameters.supply, 'badFounding', 'the grants are not the supply', {
    facts: { grants: sum, supply: parameters.supply },
  })
  // Or the deployer would keep a role, which is seen only once all is paid.
  check(
    !isAddressEqual(parameters.guardian, deployer),
    'badFounding',
    'the guardian is the account that deploys, which keeps no role',
    { facts: { guardian: parameters.guardian }, next: 'name another account as guardian' },
  )
  const { token } = deployedAt(deployer, nonce)
  return [
    ...deploymentCalls(parameters, deployer, nonce),
    ...grants
      .filter(grant => !isAddressEqual(grant.account, deployer))
      .map(grant => ({
        text: `tokens for ${grant.account}`,
        to: token,
        data: encodeFunctionData({
          abi: cairnTokenAbi,
          functionName: 'transfer',
          args: [grant.account, grant.amount],
        }),
      })),
  ]
}

/** What a chain and an account bring. Amounts are in the chain's base units. */
export interface FoundingGround {
  /** The chain can check the committee's signatures. */
  pairs: boolean
  balance: bigint
  /** What founding costs at the present price. */
  wanted: bigint
  /** Of the account's next transaction. */
  nonce: number
  /** The newest. */
  block: number
}

export async function readFoundingGround(
  client: PublicClient,
  deployer: Hex,
): Promise<FoundingGround> {
  const { data } = await client.call({ to: PAIRING, data: PAIRING_INPUT })
  const { maxFeePerGas } = await client.estimateFeesPerGas()
  const balance = await client.getBalance({ address: deployer })
  return {
    pairs: data === PAIRING_TRUE,
    balance,
    wanted: FOUNDING_GAS * maxFeePerGas,
    nonce: await client.getTransactionCount({ address: deployer, blockTag: 'latest' }),
    block: Number(await client.getBlockNumber({ cacheTime: 0 })),
  }
}

/** What is not as a founded network has it, for people; empty where all is. */
export async function readFoundingFaults(
  client: PublicClient,
  { deployer, parameters }: Omit<FoundingPlan, 'grants'>,
  contracts: ContractAddresses,
): Promise<string[]> {
  const faults: string[] = []
  const expect = (fact: string, holds: boolean) => {
    if (!holds) faults.push(fact)
  }
  for (const [name, address] of Object.entries(contracts)) {
    expect(`${name} stands at ${address}`, (await client.getCode({ address })) !== undefined)
  }
  if (faults.length > 0) return faults
  const roles = { admin: ADMIN, guardian: GUARDIAN, council: COUNCIL }
  const holders = { deployer, guardian: parameters.guardian, timelock: contracts.timelock }
  const granted = new Set(['admin of timelock', 'council of timelock', 'guardian of guardian'])
  for (const [role, id] of Object.entries(roles)) {
    for (const [holder, address] of Object.entries(holders)) {
      const [has] = await client.readContract({
        address: contracts.access,
        abi: accessAbi,
        functionName: 'hasRole',
        args: [id, address],
      })
      const name = `${role} of ${holder}`
      expect(`${name}: ${granted.has(name)}`, has === granted.has(name))
    }
  }
  const timelock = { address: contracts.timelock, abi: timelockAbi } as const
  for (const name of ['DEFAULT_ADMIN_ROLE', 'PROPOSER_ROLE', 'CANCELLER_ROLE'] as const) {
    const role = await client.readContract({ ...timelock, functionName: name })
    for (const [holder, address] of Object.entries({ deployer, governor: contracts.governor })) {
      const args = [role, address] as const
      const has = await client.readContract({ ...timelock, functionName: 'hasRole', args })
      const due = holder === 'governor' && name !== 'DEFAULT_ADMIN_ROLE'
      expect(`${name} of ${holder}: ${due}`, has === due)
    }
  }
  const token = { address: contracts.token, abi: cairnTokenAbi } as const
  const minter = await client.readContract({ ...token, functionName: 'minter' })
  expect('the distributor mints', getAddress(minter) === getAddress(contracts.distributor))
  const starter = await client.readContract({
    address: contracts.checkpoints,
    abi: checkpointsAbi,
    functionName: 'starter',
  })
  expect('the deployer may start', getAddress(starter) === getAddress(deployer))
  for (const { name, value } of parameters.parameters) {
    const found = await client.readContract({
      address: contracts.parameters,
      abi: parametersAbi,
      functionName: 'get',
      args: [parameterWord(name)],
    })
    expect(`${name} is ${value}`, found === value)
  }
  return faults
}
