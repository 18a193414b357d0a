/**
 * The deployment of a network's contracts on a chain where each transaction costs money and a process
 * may end between any two. All that is sent follows from the settings and from the first nonce, so
 * who comes back finds how far it is: each transaction is signed and kept before it is sent, and one
 * that was kept is sent again as it is. What stands at an address was made by the very bytes that
 * were kept, which are held against the settings first.
 */
import { CairnError, check } from '@cairn/protocol'
import {
  BaseError,
  encodeFunctionData,
  getAddress,
  type Hex,
  keccak256,
  type LocalAccount,
  type PublicClient,
  parseTransaction,
  recoverTransactionAddress,
  type TransactionReceipt,
  TransactionReceiptNotFoundError,
  type TransactionSerialized,
  WaitForTransactionReceiptTimeoutError,
} from 'viem'
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
/** A transaction may pay so many times the present price: prices rise while eighteen of them wait. */
const PRICE_ROOM = 2n
/** Tenths of an estimate that are allowed: a layer 2 charges by a price of its own that moves. */
const GAS_TENTHS = 12n
/** Most accounts that are given tokens. */
export const GRANTS_MAX = 64
/** A transaction that is in no block by then is left for the next call, ms. */
const WAIT_MS = 600_000

/** Pairing check of EIP-2537 over one pair of points at infinity: true, as one word. */
const PAIRING = '0x000000000000000000000000000000000000000f'
const PAIRING_INPUT: Hex = `0x${'00'.repeat(384)}`
const PAIRING_TRUE: Hex = `0x${'01'.padStart(64, '0')}`

export interface Grant {
  account: Hex
  /** Base units. */
  amount: bigint
}

export interface FoundInit {
  client: PublicClient
  /** Pays, and may start the network; it keeps nothing else. */
  account: LocalAccount
  chainId: number
  parameters: DeployParameters
  /** Who gets the supply: all of it. */
  grants: readonly Grant[]
  /** The account's nonce that the deployment begins with. */
  nonce: number
  /** What was signed before, in order. */
  signed: readonly Hex[]
  /** Resolves when a signed transaction is kept; it is sent then. */
  keep(signed: Hex): Promise<void>
  progress?(text: string): void
}

export interface Founded {
  contracts: ContractAddresses
  /** Of all transactions. */
  gasUsed: bigint
}

/**
 * Checks what would make a deployment fail halfway. Throws `wrongChain`, `noPrecompiles`, `noFunds`,
 * `badFounding`.
 */
export async function checkFoundingGround(init: FoundInit): Promise<void> {
  const { client, account, chainId, grants, parameters, signed } = init
  const found = await client.getChainId()
  check(found === chainId, 'wrongChain', `expected chain ${chainId}, found ${found}`, {
    facts: { expected: chainId, found },
    next: 'name an endpoint of that chain, or correct chainId in the settings',
  })
  const { data } = await client.call({ to: PAIRING, data: PAIRING_INPUT })
  check(data === PAIRING_TRUE, 'noPrecompiles', 'the chain cannot check BLS12-381 signatures', {
    facts: { chainId, precompile: PAIRING },
    next: 'choose a chain that has the precompiles of EIP-2537, as those with the Prague rules have',
  })
  check(grants.length <= GRANTS_MAX, 'badFounding', `expected at most ${GRANTS_MAX} grants`, {
    facts: { found: grants.length },
  })
  const sum = grants.reduce((total, { amount }) => total + amount, 0n)
  check(sum === parameters.supply, 'badFounding', 'the grants are not the supply', {
    facts: { grants: sum, supply: parameters.supply },
  })
  if (signed.length > 0) return
  const { maxFeePerGas } = await client.estimateFeesPerGas()
  const wanted = FOUNDING_GAS * maxFeePerGas
  const balance = await client.getBalance({ address: account.address })
  check(balance >= wanted, 'noFunds', `the account ${account.address} has too little ether`, {
    facts: { account: account.address, balance, wanted },
    next: `send it ${wanted - balance} wei at least`,
  })
}

/**
 * Deploys, or goes on where an earlier call ended. Throws `foundingChanged` where what was kept is
 * not what the settings say, `nonceTaken`, `deployPending`, `deployReverted`.
 */
export async function found(init: FoundInit): Promise<Founded> {
  const { account, nonce, signed, progress } = init
  const calls = foundingCalls(init)
  let gasUsed = 0n
  for (const [i, call] of calls.entries()) {
    const kept = signed[i]
    const transaction = kept ?? (await sign(init, call, nonce + i))
    if (kept === undefined) await init.keep(transaction)
    else await requireSame(init, { kept, call, nonce: nonce + i })
    const receipt = await land(init, transaction, nonce + i)
    check(receipt.status === 'success', 'deployReverted', `${call.text}: reverted`, {
      facts: { transaction: receipt.transactionHash },
      next: 'a deployment that failed is not gone on with: begin anew in another directory',
    })
    gasUsed += receipt.gasUsed
    progress?.(`${i + 1} of ${calls.length}: ${call.text}`)
  }
  return { contracts: deployedAt(account.address, nonce), gasUsed }
}

/** Throws `rolesLeft`, naming what is not as a founded network has it. */
export async function checkFounded(
  client: PublicClient,
  init: Pick<FoundInit, 'account' | 'parameters'> & { contracts: ContractAddresses },
): Promise<void> {
  const { contracts, parameters, account } = init
  const deployer = account.address
  const wrong: string[] = []
  const expect = (fact: string, holds: boolean) => {
    if (!holds) wrong.push(fact)
  }
  for (const [name, address] of Object.entries(contracts)) {
    expect(`${name} stands at ${address}`, (await client.getCode({ address })) !== undefined)
  }
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
    const args = [role, deployer] as const
    const has = await client.readContract({ ...timelock, functionName: 'hasRole', args })
    expect(`the deployer has no ${name}`, !has)
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
  check(wrong.length === 0, 'rolesLeft', `not so: ${wrong.join('; ')}`, {
    facts: { wrong: wrong.length },
    next: 'do not announce this network: deploy another, and say what happened',
  })
}

function foundingCalls({ parameters, grants, account, nonce }: FoundInit): DeploymentCall[] {
  const { token } = deployedAt(account.address, nonce)
  return [
    ...deploymentCalls(parameters, account.address, nonce),
    ...grants
      .filter(grant => getAddress(grant.account) !== getAddress(account.address))
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

async function sign(
  { client, account, chainId }: FoundInit,
  { to, data }: DeploymentCall,
  nonce: number,
): Promise<Hex> {
  const target = to === undefined ? {} : { to }
  const estimate = await client.estimateGas({ account, data, ...target })
  const { maxFeePerGas, maxPriorityFeePerGas } = await client.estimateFeesPerGas()
  return await account.signTransaction({
    type: 'eip1559',
    chainId,
    nonce,
    data,
    ...target,
    gas: (estimate * GAS_TENTHS) / 10n,
    maxFeePerGas: maxFeePerGas * PRICE_ROOM,
    maxPriorityFeePerGas,
  })
}

async function requireSame(
  { account, chainId }: FoundInit,
  { kept, call, nonce }: { kept: Hex; call: DeploymentCall; nonce: number },
): Promise<void> {
  const found = parseTransaction(kept)
  const from = await recoverTransactionAddress({
    serializedTransaction: kept as TransactionSerialized,
  })
  const same =
    getAddress(from) === getAddress(account.address) &&
    found.chainId === chainId &&
    (found.nonce ?? 0) === nonce &&
    found.data === call.data &&
    (found.to ?? '').toLowerCase() === (call.to ?? '').toLowerCase()
  check(same, 'foundingChanged', `${call.text}: another transaction was signed for it`, {
    facts: { transaction: keccak256(kept) },
    next: 'take the settings and the account that it was begun with, or begin in another directory',
  })
}

/** Sends it unless it is in a block, and waits until it is. */
async function land(
  { client, account }: FoundInit,
  signed: Hex,
  nonce: number,
): Promise<TransactionReceipt> {
  const hash = keccak256(signed)
  const before = await receiptOf(client, hash)
  if (before !== undefined) return before
  const count = await client.getTransactionCount({ address: account.address })
  check(count <= nonce, 'nonceTaken', 'another transaction of the account came in between', {
    facts: { account: account.address, nonce, transaction: hash },
    next: 'begin anew in another directory, and let nothing else send with this account meanwhile',
  })
  try {
    await client.sendRawTransaction({ serializedTransaction: signed })
  } catch (error) {
    // One that was sent before is known already: whether it is, its receipt says.
    if (!(error instanceof BaseError) || !/already|known/i.test(error.details)) throw error
  }
  try {
    return await client.waitForTransactionReceipt({ hash, timeout: WAIT_MS })
  } catch (cause) {
    if (!(cause instanceof WaitForTransactionReceiptTimeoutError)) throw cause
    throw new CairnError('deployPending', 'a transaction is in no block yet', {
      cause,
      facts: { transaction: hash },
      next: 'run the same command again: it goes on from here',
    })
  }
}

async function receiptOf(client: PublicClient, hash: Hex): Promise<TransactionReceipt | undefined> {
  try {
    return await client.getTransactionReceipt({ hash })
  } catch (error) {
    if (error instanceof TransactionReceiptNotFoundError) return undefined
    throw error
  }
}
