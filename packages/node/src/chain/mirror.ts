/**
 * Carries checkpoints from the home chain to a mirror, in their order: `Checkpoints` there is given
 * the very call that landed them at home, and checks the committee's signature anew. So whoever does
 * this is trusted for nothing, and two who do it at once only pay for the one that comes too late.
 *
 * Only what the home chain acts upon is carried: what may still be cancelled there is not.
 */
import { join } from 'node:path'
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
import { bytesToHex, decodeFunctionData, encodeEventTopics, type Hex, parseEventLogs } from 'viem'
import { makeDirectory } from '../directory.ts'
import type { Clock, Log } from '../ports.ts'
import { type ChainSettings, type OpenedAccount, openAccount } from './account.ts'
import { refusalOf } from './contract-errors.ts'
import { findNewest, type RangesTaken } from './logs.ts'
import { contractError, revertedWith } from './refusal.ts'
import { type Client, Rpc, readHeader } from './rpc.ts'
import type { Transactions } from './transactions.ts'

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

export interface MirrorInit extends Omit<ChainSettings, 'rpc'> {
  home: HomeOfMirror
  /** Where the mirror is, or is to be. */
  mirror: Omit<CheckpointsAt, 'checkpoints'>
  /** Id of the network, 32 bytes. */
  network: Uint8Array
  /** Secret of the account that pays on the mirror's chain, 32 bytes. */
  account: Uint8Array
  /** What the account sends is remembered here, by chain. */
  directory: string
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

/** A mirror as its manifest names it. */
export interface MirrorAt {
  checkpoints: Hex
  /** Blocks on top of one before it is final. */
  finality: number
}

export interface NewMirror {
  genesis: number
  /** Seconds, and epochs: as `Checkpoints` has them. */
  activationDelay: number
  fallbackAfter: number
  termEpochs: number
}

/** Both chains of a mirror, and the account that pays on the further one. */
export class MirrorDesk {
  readonly #init: MirrorInit
  readonly #home: Rpc
  readonly #account: OpenedAccount
  /** What the endpoints of the home chain take at once. */
  readonly #taken: RangesTaken = new WeakMap()

  private constructor(init: MirrorInit, home: Rpc, account: OpenedAccount) {
    this.#init = init
    this.#home = home
    this.#account = account
  }

  /** Rejects with `wrongChain`, `dataDirLocked` where another process carries there, and `noRpc`. */
  static async open({ clock, log }: MirrorComponents, init: MirrorInit): Promise<MirrorDesk> {
    const { home, mirror, rpcLimits, directory, account: secret } = init
    const other = mirror.chainId !== home.chainId
    check(other, 'wrongChain', `chain ${mirror.chainId} is the home chain: a mirror is on another`)
    await makeDirectory(directory)
    const account = await openAccount(
      { clock, log },
      {
        ...init,
        ...mirror,
        // What an endpoint there says decides only what is worth sending.
        rpcLimits: { ...rpcLimits, agree: 1 },
        secret,
        directory: join(directory, String(mirror.chainId)),
      },
    )
    try {
      const rpc = new Rpc({ clock, log }, { urls: home.rpc, chainId: home.chainId, ...rpcLimits })
      return new MirrorDesk(init, rpc, account)
    } catch (error) {
      await account.close()
      throw error
    }
  }

  async close(): Promise<void> {
    this.#home.stop()
    await this.#account.close()
  }

  /**
   * Lands what the mirror lacks. Rejects with `otherNetwork` where the contract there is of another
   * network, `mirrorRefused` where it refuses a checkpoint, `notRelayable` where a checkpoint was
   * landed at home in a way that this cannot repeat, `noFunds`, and as `Transactions.send`.
   */
  async carry({ checkpoints: to, finality }: MirrorAt, signal: AbortSignal): Promise<MirrorRound> {
    const { home } = this.#init
    const { rpc, transactions } = this.#account
    await this.#tend(finality)
    let mirrorEpoch = await lastOfMirror(rpc, { checkpoints: to, network: this.#init.network })
    const block = await this.#final()
    const homeEpoch = await this.#home.call(client => readLast(client, home, block.number))
    const landed: Mirrored[] = []
    for (let epoch = mirrorEpoch + 1; epoch <= homeEpoch; epoch++) {
      signal.throwIfAborted()
      if (!(await this.#home.call(client => isActive(client, home, { epoch, block })))) break
      const logs = { ...home, taken: this.#taken }
      const data = await submissionOf(this.#home, logs, { epoch, block })
      const done = await this.#orNoFunds(() => land(transactions, { to, data, signal }))
      mirrorEpoch = epoch
      if (done !== undefined) landed.push({ epoch, ...done })
    }
    return { landed, mirrorEpoch, homeEpoch }
  }

  /**
   * Deploys a mirror that begins with the newest checkpoint which the home chain acts upon, or goes on
   * with it: one that this account deployed with the same settings is not deployed again. Rejects with
   * `notStarted`, `noFunds`, `deployReverted`, and as `Transactions.send`.
   */
  async deploy(
    mirror: NewMirror,
    signal: AbortSignal,
  ): Promise<MirrorAddresses & { epoch: number }> {
    const { home } = this.#init
    const { rpc, transactions } = this.#account
    const network = bytesToHex(this.#init.network)
    const block = await this.#final()
    let epoch = await this.#home.call(client => readLast(client, home, block.number))
    const active = () => this.#home.call(client => isActive(client, home, { epoch, block }))
    while (epoch >= 0 && !(await active())) epoch--
    check(epoch >= 0, 'notStarted', 'the home chain acts upon no checkpoint yet', {
      next: 'wait for the first epoch to be accepted',
    })
    const logs = { ...home, taken: this.#taken }
    const checkpoint = await this.#home.call(client => readAccepted(client, logs, { epoch, block }))
    const plan = {
      deployer: transactions.address,
      network,
      genesis: BigInt(mirror.genesis),
      checkpoint: bytesToHex(Checkpoint.serialize(checkpoint)),
      nextCommittee: bytesToHex(checkpoint.nextCommittee),
      activationDelay: BigInt(mirror.activationDelay),
      fallbackAfter: BigInt(mirror.fallbackAfter),
      termEpochs: BigInt(mirror.termEpochs),
    }
    const addresses = await this.#orNoFunds(() =>
      deployMirror(plan, ({ key, ...call }) => transactions.send(call, { signal, key })),
    )
    // One that was begun before has the checkpoint of then.
    const { network: id } = this.#init
    const begun = await lastOfMirror(rpc, { checkpoints: addresses.checkpoints, network: id })
    return { ...addresses, epoch: begun }
  }

  /** What is final is let go of: the journal is bounded. */
  async #tend(finality: number): Promise<void> {
    const { rpc, transactions } = this.#account
    const newest = await rpc.call(client => client.getBlockNumber({ cacheTime: 0 }))
    await transactions.tend(newest - BigInt(finality))
  }

  /** The newest block of the home chain that is final, as most endpoints have it. */
  async #final(): Promise<Block> {
    const { finality } = this.#init.home
    return await this.#home.call(async client => {
      const newest = await client.getBlockNumber({ cacheTime: 0 })
      const number = newest < BigInt(finality) ? 0n : newest - BigInt(finality)
      const header = await readHeader(client, number)
      check(header !== undefined, 'badRpc', `an endpoint does not have block ${number}`)
      await this.#home.requireAgreement(client, header)
      return { number, timestamp: BigInt(header.timestamp) }
    })
  }

  /** Says on which chain the account has too little: it may have enough at home. */
  async #orNoFunds<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (cause) {
      if (!(cause instanceof CairnError) || cause.code !== 'noFunds') throw cause
      const { chainId } = this.#init.mirror
      const account = this.#account.transactions.address
      throw new CairnError(
        'noFunds',
        `account ${account} has too little ether on chain ${chainId}`,
        {
          cause,
          facts: { account, chainId },
          next: `send it ether on chain ${chainId}, which pays for what is landed there`,
        },
      )
    }
  }
}

interface Block {
  number: bigint
  timestamp: bigint
}

interface LogsOfHome extends HomeOfMirror {
  taken: RangesTaken
}

interface EpochAt {
  epoch: number
  block: Block
}

/** Newest epoch of the mirror, -1 for the genesis checkpoint. */
async function lastOfMirror(
  rpc: Rpc,
  { checkpoints: address, network }: { checkpoints: Hex; network: Uint8Array },
): Promise<number> {
  const contract = { address, abi: checkpointsAbi } as const
  const { genesis, id, last } = await rpc.call(async client => {
    const genesis = await client.readContract({ ...contract, functionName: 'genesis' })
    const args = [genesis] as const
    const id = await client.readContract({ ...contract, functionName: 'networkId', args })
    const last = await client.readContract({ ...contract, functionName: 'lastEpoch' })
    return { genesis, id, last }
  })
  check(genesis !== 0n, 'mirrorRefused', 'the mirror has not started')
  check(equalBytes(unhex(id), network), 'otherNetwork', 'the mirror is of another network', {
    facts: { contract: address, expected: bytesToHex(network), found: id },
    next: 'name the contract that was deployed with this network’s id',
  })
  return Number(BigInt.asIntN(64, last))
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
    if (revertedWith(error) === 'EpochNotKept') return true
    throw error
  }
}

async function readAccepted(client: Client, home: LogsOfHome, at: EpochAt): Promise<Checkpoint> {
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
async function submissionOf(rpc: Rpc, home: LogsOfHome, at: EpochAt): Promise<Hex> {
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
  { checkpoints: address, fromBlock, taken }: LogsOfHome,
  { epoch, block }: EpochAt,
) {
  const event = {
    abi: checkpointsAbi,
    eventName: 'Accepted',
    args: { epoch: BigInt(epoch) },
  } as const
  const query = { address: [address], topics: encodeEventTopics(event) }
  const last = await findNewest(client, query, {
    from: fromBlock,
    to: block.number,
    taken,
    find: logs => parseEventLogs({ ...event, logs, strict: true }).at(-1),
  })
  check(last !== undefined, 'missingLogs', `an endpoint gives no checkpoint of epoch ${epoch}`)
  return last
}

/** Undefined where somebody else was first. */
async function land(
  transactions: Transactions,
  { signal, ...call }: { to: Hex; data: Hex; signal: AbortSignal },
): Promise<Pick<Mirrored, 'transaction' | 'gasUsed'> | undefined> {
  try {
    const sent = await transactions.send(call, { signal, purpose: 'checkpoint' })
    const { transaction, gasUsed } = sent
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
