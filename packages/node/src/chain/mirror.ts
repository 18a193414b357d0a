/**
 * Carries checkpoints from the home chain to a mirror, in their order: `Checkpoints` there is given
 * the very call that landed them at home, and checks the committee's signature anew. So whoever does
 * this is trusted for nothing, and two who do it at once only pay for the one that comes too late.
 *
 * Only what the home chain acts upon is carried: what may still be cancelled there is not.
 */
import { checkpointsAbi, deployMirror, type MirrorAddresses } from '@cairn/contracts'
import {
  CairnError,
  Checkpoint,
  check,
  checkpointRoot,
  decode,
  equalBytes,
  unhex,
} from '@cairn/protocol'
import {
  BaseError,
  bytesToHex,
  ContractFunctionRevertedError,
  createPublicClient,
  createWalletClient,
  decodeFunctionData,
  type Hex,
  http,
  InsufficientFundsError,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import type { Clock, Log } from '../ports.ts'
import { refusalOf } from './contract-errors.ts'
import { contractError } from './refusal.ts'
import { type Client, Rpc } from './rpc.ts'
import { Transactions } from './transactions.ts'

/** Transactions of one deployment wait for each other's blocks, ms between looks. */
const POLL_MS = 500

export interface MirrorComponents {
  clock: Clock
  log: Log
}

export interface CheckpointsAt {
  chainId: number
  /** RPC endpoints, in order of preference. */
  rpc: readonly string[]
  checkpoints: Hex
}

export interface HomeOfMirror extends CheckpointsAt {
  /** Blocks on top of one before it is final. */
  finality: number
  /** First block that can hold an event of the contract. */
  fromBlock: bigint
}

export interface MirrorInit {
  home: HomeOfMirror
  mirror: CheckpointsAt
  /** Id of the network, 32 bytes. */
  network: Uint8Array
  /** Secret of the account that pays on the mirror's chain, 32 bytes. */
  account: Uint8Array
}

/** A checkpoint that this call landed. */
export interface Mirrored {
  epoch: number
  transaction: Hex
  gasUsed: bigint
}

export interface MirrorRound {
  landed: Mirrored[]
  /** Newest epoch of the mirror now, and the newest accepted at home; -1 for none. */
  mirrorEpoch: number
  homeEpoch: number
}

/**
 * Lands what the mirror lacks. Rejects with `otherNetwork` where the contract there is of another
 * network, `mirrorRefused` where it refuses a checkpoint, `notRelayable` where a checkpoint was landed
 * at home in a way that this cannot repeat, `noFunds`, and as `Transactions.send`.
 */
export async function mirrorCheckpoints(
  { clock, log }: MirrorComponents,
  init: MirrorInit,
  signal: AbortSignal,
): Promise<MirrorRound> {
  const home = new Rpc({ clock, log }, { urls: init.home.rpc, chainId: init.home.chainId })
  const mirror = new Rpc({ clock, log }, { urls: init.mirror.rpc, chainId: init.mirror.chainId })
  try {
    const transactions = new Transactions({ rpc: mirror, clock, log }, init.account)
    let mirrorEpoch = await lastOfMirror(mirror, init)
    const block = await home.call(client => readFinal(client, init.home))
    const homeEpoch = await home.call(client => readLast(client, init.home, block.number))
    const landed: Mirrored[] = []
    for (let epoch = mirrorEpoch + 1; epoch <= homeEpoch; epoch++) {
      signal.throwIfAborted()
      if (!(await home.call(client => isActive(client, init.home, { epoch, block })))) break
      const data = await submissionOf(home, init.home, { epoch, block })
      const to = init.mirror.checkpoints
      const done = await orNoFunds(init, () => land(transactions, { to, data, signal }))
      mirrorEpoch = epoch
      if (done !== undefined) landed.push({ epoch, ...done })
    }
    return { landed, mirrorEpoch, homeEpoch }
  } finally {
    home.stop()
    mirror.stop()
  }
}

export interface OpenMirrorInit extends Omit<MirrorInit, 'mirror'> {
  mirror: Omit<CheckpointsAt, 'checkpoints'>
  genesis: number
  /** Seconds, and epochs: as `Checkpoints` has them. */
  activationDelay: number
  fallbackAfter: number
  termEpochs: number
}

/**
 * Deploys a mirror that begins with the newest checkpoint which the home chain acts upon. Rejects with
 * `notStarted`, `wrongChain`, `noFunds`, `deployReverted`.
 */
export async function openMirror(
  { clock, log }: MirrorComponents,
  init: OpenMirrorInit,
): Promise<MirrorAddresses & { epoch: number }> {
  const home = new Rpc({ clock, log }, { urls: init.home.rpc, chainId: init.home.chainId })
  try {
    const block = await home.call(client => readFinal(client, init.home))
    let epoch = await home.call(client => readLast(client, init.home, block.number))
    while (
      epoch >= 0 &&
      !(await home.call(client => isActive(client, init.home, { epoch, block })))
    ) {
      epoch--
    }
    check(epoch >= 0, 'notStarted', 'the home chain acts upon no checkpoint yet', {
      next: 'wait for the first epoch to be accepted',
    })
    const checkpoint = await home.call(client => readAccepted(client, init.home, { epoch, block }))
    const [url] = init.mirror.rpc
    const transport = http(url)
    const client = createPublicClient({ transport, pollingInterval: POLL_MS })
    const found = await client.getChainId()
    check(
      found === init.mirror.chainId && found !== init.home.chainId,
      'wrongChain',
      `expected chain ${init.mirror.chainId}, other than the home chain, found ${found}`,
    )
    const account = privateKeyToAccount(bytesToHex(init.account))
    const deployment = {
      wallet: createWalletClient({ account, transport }),
      client,
      network: bytesToHex(init.network),
      genesis: BigInt(init.genesis),
      checkpoint: bytesToHex(Checkpoint.serialize(checkpoint)),
      nextCommittee: bytesToHex(checkpoint.nextCommittee),
      activationDelay: BigInt(init.activationDelay),
      fallbackAfter: BigInt(init.fallbackAfter),
      termEpochs: BigInt(init.termEpochs),
    }
    return { ...(await orNoFunds(init, () => deployMirror(deployment))), epoch }
  } finally {
    home.stop()
  }
}

/** Says on which chain the account has too little: it may have enough at home. */
async function orNoFunds<T>(
  { mirror: { chainId }, account }: Pick<OpenMirrorInit, 'mirror' | 'account'>,
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act()
  } catch (cause) {
    const poor =
      cause instanceof CairnError
        ? cause.code === 'noFunds'
        : cause instanceof BaseError && cause.walk(error => error instanceof InsufficientFundsError)
    if (!poor) throw cause
    const { address } = privateKeyToAccount(bytesToHex(account))
    throw new CairnError('noFunds', `account ${address} has too little ether on chain ${chainId}`, {
      cause,
      facts: { account: address, chainId },
      next: `send it ether on chain ${chainId}, which pays for what is landed there`,
    })
  }
}

interface Block {
  number: bigint
  timestamp: bigint
}

interface EpochAt {
  epoch: number
  block: Block
}

/** Newest epoch of the mirror, -1 for the genesis checkpoint. */
async function lastOfMirror(rpc: Rpc, { mirror, network }: MirrorInit): Promise<number> {
  const contract = { address: mirror.checkpoints, abi: checkpointsAbi } as const
  const { genesis, id, last } = await rpc.call(async client => {
    const genesis = await client.readContract({ ...contract, functionName: 'genesis' })
    const args = [genesis] as const
    const id = await client.readContract({ ...contract, functionName: 'networkId', args })
    const last = await client.readContract({ ...contract, functionName: 'lastEpoch' })
    return { genesis, id, last }
  })
  check(genesis !== 0n, 'mirrorRefused', 'the mirror has not started')
  check(equalBytes(unhex(id), network), 'otherNetwork', 'the mirror is of another network', {
    facts: { contract: mirror.checkpoints, expected: bytesToHex(network), found: id },
    next: 'name the contract that was deployed with this network’s id',
  })
  return Number(BigInt.asIntN(64, last))
}

async function readFinal(client: Client, { finality }: HomeOfMirror): Promise<Block> {
  const newest = await client.getBlockNumber({ cacheTime: 0 })
  const number = newest < BigInt(finality) ? 0n : newest - BigInt(finality)
  const { timestamp } = await client.getBlock({ blockNumber: number })
  return { number, timestamp }
}

async function readLast(
  client: Client,
  { checkpoints: address }: HomeOfMirror,
  blockNumber: bigint,
): Promise<number> {
  const last = await client.readContract({
    address,
    abi: checkpointsAbi,
    functionName: 'lastEpoch',
    blockNumber,
  })
  return Number(BigInt.asIntN(64, last))
}

/** An epoch that the contract keeps no more is long active. */
async function isActive(
  client: Client,
  { checkpoints: address }: HomeOfMirror,
  { epoch, block }: EpochAt,
): Promise<boolean> {
  try {
    const at = await client.readContract({
      address,
      abi: checkpointsAbi,
      functionName: 'activeAt',
      args: [BigInt(epoch)],
      blockNumber: block.number,
    })
    return at <= block.timestamp
  } catch (error) {
    const reverted =
      error instanceof BaseError &&
      error.walk(cause => cause instanceof ContractFunctionRevertedError)
    if (reverted instanceof ContractFunctionRevertedError) {
      if (reverted.data?.errorName === 'EpochNotKept') return true
    }
    throw error
  }
}

async function readAccepted(client: Client, home: HomeOfMirror, at: EpochAt): Promise<Checkpoint> {
  const { checkpoint, root } = (await acceptance(client, home, at)).args
  const decoded = decode(Checkpoint, unhex(checkpoint))
  check(
    equalBytes(checkpointRoot(decoded), unhex(root)),
    'badRpc',
    `an endpoint sent a checkpoint of epoch ${at.epoch} that has another root`,
  )
  return decoded
}

/** The call of `submit` that landed an epoch's checkpoint. */
async function submissionOf(rpc: Rpc, home: HomeOfMirror, at: EpochAt): Promise<Hex> {
  const { epoch } = at
  const { to, input, transaction } = await rpc.call(async client => {
    const { args, transactionHash } = await acceptance(client, home, at)
    const found = await client.getTransaction({ hash: transactionHash })
    const direct = found.to?.toLowerCase() === home.checkpoints.toLowerCase()
    check(
      !direct || isSubmission(found.input, args.checkpoint),
      'badRpc',
      `an endpoint sent another transaction for epoch ${epoch}`,
    )
    return { to: direct ? home.checkpoints : found.to, input: found.input, transaction: found.hash }
  })
  check(
    to === home.checkpoints,
    'notRelayable',
    `the checkpoint of epoch ${epoch} was landed by way of another contract`,
    {
      facts: { epoch, transaction },
      next: 'submit it to the mirror by hand, from the votes in a node’s ledger',
    },
  )
  return input
}

function isSubmission(data: Hex, checkpoint: Hex): boolean {
  const { functionName, args } = decodeFunctionData({ abi: checkpointsAbi, data })
  return functionName === 'submit' && args[0] === checkpoint
}

/** Of one that was cancelled and voted again, the last. */
async function acceptance(
  client: Client,
  { checkpoints: address, fromBlock }: HomeOfMirror,
  { epoch, block }: EpochAt,
) {
  const logs = await client.getContractEvents({
    address,
    abi: checkpointsAbi,
    eventName: 'Accepted',
    args: { epoch: BigInt(epoch) },
    fromBlock,
    toBlock: block.number,
    strict: true,
  })
  const last = logs.at(-1)
  check(last !== undefined, 'missingLogs', `an endpoint gives no checkpoint of epoch ${epoch}`)
  return last
}

/** Undefined where somebody else was first. */
async function land(
  transactions: Transactions,
  { signal, ...call }: { to: Hex; data: Hex; signal: AbortSignal },
): Promise<Pick<Mirrored, 'transaction' | 'gasUsed'> | undefined> {
  try {
    const { transaction, gasUsed } = await transactions.send(call, { signal })
    return { transaction, gasUsed }
  } catch (error) {
    if (!(error instanceof CairnError) || error.code !== 'reverted') throw error
    const refused = contractError(checkpointsAbi, error)
    if (refused?.errorName === 'WrongEpoch' && refused.args[1] < refused.args[0]) return undefined
    const { text, facts } = refusalOf(error)
    throw new CairnError('mirrorRefused', `the mirror refuses the checkpoint: ${text}`, {
      cause: error,
      facts,
      next:
        refused?.errorName === 'WrongCommittee'
          ? 'the home chain’s committee was set or formed anew: the mirror’s council has to set it'
          : 'compare the mirror’s last checkpoint with the home chain’s',
    })
  }
}
