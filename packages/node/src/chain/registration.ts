/** What is done on the chain once per node, and once per network. */
import {
  type ContractAddresses,
  cairnTokenAbi,
  checkpointsAbi,
  nodeRegistryAbi,
  permitArguments,
  possessionRoot,
  registerArguments,
  registrationRoot,
} from '@cairn/contracts'
import { CairnError, Checkpoint, type RegistryEntry, unhex } from '@cairn/protocol'
import { bytesToHex, encodeFunctionData, type Hex, parseEventLogs } from 'viem'
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'
import type { Clock, Log } from '../ports.ts'
import type { Signer } from '../signer.ts'
import { refusalOf } from './contract-errors.ts'
import { Rpc } from './rpc.ts'
import { type Mined, Transactions } from './transactions.ts'

/** The registry passes on the token's errors. */
export interface ChainAccess {
  chainId: number
  /** RPC endpoints, in order of preference. */
  rpc: readonly string[]
  contracts: ContractAddresses
}

export interface RegisterComponents {
  clock: Clock
  log: Log
}

/** What the operator says of the node. */
export type NodeFacts = Pick<
  RegistryEntry,
  'cell' | 'region' | 'subBand' | 'gain' | 'kinds' | 'nonceEnd' | 'bond'
>

export interface RegisterInit {
  chain: ChainAccess
  /** Secret of the operator's account, 32 bytes: pays gas and bond. */
  operator: Uint8Array
  /** The node's two keys. */
  signer: Signer
  node: NodeFacts
  /** Account of the rewards, 20 bytes; absent: the operator's. */
  payout?: Uint8Array
  signal: AbortSignal
}

export interface Registered {
  index: number
  transaction: Hex
  block: bigint
}

/**
 * Registers a node and bonds it in one transaction, which permits the bond where that is needed.
 * Rejects with `registrationRefused` (facts name the contract's error), `noFunds` or `chainUnavailable`.
 */
export async function registerNode(
  components: RegisterComponents,
  init: RegisterInit,
): Promise<Registered> {
  const { chain, node, signal } = init
  const rpc = new Rpc(components, { urls: chain.rpc, chainId: chain.chainId })
  try {
    const transactions = new Transactions({ ...components, rpc }, init.operator)
    const register = encodeFunctionData({
      abi: nodeRegistryAbi,
      functionName: 'register',
      args: registerArguments(signedRegistration(init, unhex(transactions.address))),
    })
    const account = privateKeyToAccount(bytesToHex(init.operator))
    const permit = await permitFor(components, { rpc, chain, account, amount: node.bond })
    const data = permit === undefined ? register : multicall([permit, register])
    const call = { to: chain.contracts.registry, data }
    const mined = await explained('registrationRefused', () => transactions.send(call, { signal }))
    return registeredIn(mined)
  } finally {
    rpc.stop()
  }
}

export interface StartInit {
  chain: ChainAccess
  /** Secret of the account that deployed `Checkpoints`, 32 bytes. */
  starter: Uint8Array
  /** Start of epoch 0, seconds since 1970; after the block that starts the network. */
  genesis: number
  checkpoint: Checkpoint
  signal: AbortSignal
}

/** Calls `Checkpoints.start`. Rejects as `registerNode`, with `startRefused`. */
export async function startNetwork(
  components: RegisterComponents,
  { chain, starter, genesis, checkpoint, signal }: StartInit,
): Promise<{ transaction: Hex; block: bigint }> {
  const rpc = new Rpc(components, { urls: chain.rpc, chainId: chain.chainId })
  try {
    const transactions = new Transactions({ ...components, rpc }, starter)
    const data = encodeFunctionData({
      abi: checkpointsAbi,
      functionName: 'start',
      args: [
        BigInt(genesis),
        bytesToHex(checkpoint.nextCommittee),
        bytesToHex(Checkpoint.serialize(checkpoint)),
      ],
    })
    const call = { to: chain.contracts.checkpoints, data }
    const mined = await explained('startRefused', () => transactions.send(call, { signal }))
    return { transaction: mined.transaction, block: mined.block }
  } finally {
    rpc.stop()
  }
}

function signedRegistration({ chain, signer, node, payout }: RegisterInit, operator: Uint8Array) {
  const { identity, voting } = signer
  const statement = {
    chainId: BigInt(chain.chainId),
    registry: unhex(chain.contracts.registry),
    identity,
    voting,
    operator,
  }
  return {
    ...node,
    payout: payout ?? operator,
    identity,
    voting,
    possession: signer.signVoting(possessionRoot(statement)),
    identitySignature: signer.signIdentity(registrationRoot(statement)),
  }
}

/** A permit is of no use to anybody an hour after it was signed, s. */
const PERMIT_LIFE_S = 3_600

interface PermitWish {
  rpc: Rpc
  chain: { chainId: number; contracts: Pick<ContractAddresses, 'token' | 'registry'> }
  account: PrivateKeyAccount
  /** Base units that the registry is to take. */
  amount: bigint
}

/** Data of `NodeRegistry.permit`; undefined where the account has approved enough already. */
export async function permitFor(
  { clock }: { clock: Pick<Clock, 'now'> },
  { rpc, chain: { chainId, contracts }, account, amount }: PermitWish,
): Promise<Hex | undefined> {
  const token = { address: contracts.token, abi: cairnTokenAbi } as const
  const { address } = account
  const [allowance, nonce] = await rpc.call(client =>
    Promise.all([
      client.readContract({
        ...token,
        functionName: 'allowance',
        args: [address, contracts.registry],
      }),
      client.readContract({ ...token, functionName: 'nonces', args: [address] }),
    ]),
  )
  if (allowance >= amount) return undefined
  const deadline = BigInt(Math.ceil(clock.now() / 1_000) + PERMIT_LIFE_S)
  const args = await permitArguments({ contracts, chainId, account, nonce, amount, deadline })
  return encodeFunctionData({ abi: nodeRegistryAbi, functionName: 'permit', args })
}

/** Data of one transaction of the registry that does all of these, or nothing. */
export function multicall(data: readonly Hex[]): Hex {
  return encodeFunctionData({ abi: nodeRegistryAbi, functionName: 'multicall', args: [data] })
}

function registeredIn({ logs, transaction, block }: Mined): Registered {
  const [log] = parseEventLogs({ abi: nodeRegistryAbi, eventName: 'Registered', logs })
  if (log === undefined) {
    throw new CairnError('badRpc', `the receipt of ${transaction} lacks its Registered event`)
  }
  return { index: log.args.index, transaction, block }
}

/** Names the contract's own error in what a transaction was refused for. */
async function explained(code: string, send: () => Promise<Mined>): Promise<Mined> {
  try {
    return await send()
  } catch (error) {
    if (!(error instanceof CairnError) || error.code !== 'reverted') throw error
    const { text, next, facts } = refusalOf(error)
    throw new CairnError(code, `the contract refuses: ${text}`, { cause: error, facts, next })
  }
}
