/** The chain as the node sees it: an EVM chain behind RPC endpoints. */
import {
  checkpointsAbi,
  doubleVoteArguments,
  PayoutClaims,
  penaliseArguments,
  rewardDistributorAbi,
  slasherAbi,
  submitArguments,
  vetoArguments,
} from '@cairn/contracts'
import {
  CairnError,
  Checkpoint,
  checkpointRoot,
  committeeTree,
  decode,
  equalBytes,
  GENESIS_EPOCH,
  unhex,
} from '@cairn/protocol'
import { encodeFunctionData, type Hex } from 'viem'
import type {
  Chain,
  CheckIn,
  CheckInOutcome,
  CheckpointPayouts,
  Clock,
  FormOutcome,
  FundOutcome,
  Log,
  ProvenOffence,
  PunishOutcome,
  Store,
  Submission,
  Veto,
  VetoOutcome,
} from '../ports.ts'
import type { SpendingLimits } from './budget.ts'
import type { FollowedContracts } from './followed.ts'
import { Follower } from './follower.ts'
import { contractError, revertedWith } from './refusal.ts'
import { Rpc, type RpcComponents, type RpcInit } from './rpc.ts'
import { checkIn, formCommittee } from './succession.ts'
import { type AccountOutlook, Transactions } from './transactions.ts'
import { ChainView, type EpochTimes } from './view.ts'

/** Between looks for a new block, ms: half of the shortest block time. */
const POLL_MS = 500

export interface EvmChainComponents {
  clock: Clock
  /** So many random bytes: they spread calls in time. */
  random(length: number): Uint8Array
  log: Log
  /** A key space of its own for the account's transactions; absent: none outlives the process. */
  store?: Store
  /** Counts calls by method and outcome. */
  count?: NonNullable<RpcComponents['count']>
}

/** The chain with the account that acts on it for this node. */
export interface AccountChain extends Chain {
  readonly rpc: Rpc
  /** The one queue of the account. */
  readonly transactions: Transactions
  account(): AccountOutlook
  /** The RPC endpoints contradict each other, so that none is believed. */
  divided(): boolean
  /** What ails the endpoints while none answers. */
  trouble(): string | undefined
}

export interface EvmChainInit {
  chainId: number
  /** RPC endpoints, in order of preference. */
  rpc: readonly string[]
  contracts: FollowedContracts & {
    /** Undefined where nobody is paid on this chain. */
    distributor?: Hex | undefined
    /** Undefined where no bond is taken on this chain. */
    slasher?: Hex | undefined
  }
  /** Blocks on top of one before it is final. */
  finality: number
  /** When epochs start: the last block before each is kept. */
  epochs: EpochTimes
  /** Secret of the account that lands checkpoints, 32 bytes. */
  account: Uint8Array
  /** What the account may pay; absent: no limit but that on the price of gas. */
  limits?: SpendingLimits
  /** Between looks for a new block, ms. */
  pollMs?: number
  /** Bounds on what an RPC endpoint is asked, and on how it may answer. */
  rpcLimits?: Omit<RpcInit, 'urls' | 'chainId'>
  /** Blocks whose headers are kept; absent: `HEADERS_MAX`. */
  headersMax?: number
  /** First block that can hold an event of the contracts; absent: the chain's first. */
  fromBlock?: bigint
}

export function evmChain(components: EvmChainComponents, init: EvmChainInit): AccountChain {
  return new EvmChain(components, init)
}

/** What the contract says of a veto that comes too late, or after another's. */
const OVER: ReadonlySet<string> = new Set(['IsActive', 'EpochNotKept', 'WrongCheckpoint'])

class EvmChain implements AccountChain {
  readonly #log: Log
  readonly #init: EvmChainInit
  readonly #rpc: Rpc
  readonly #view: ChainView
  readonly #follower: Follower
  readonly #transactions: Transactions

  constructor({ clock, random, log, store, count }: EvmChainComponents, init: EvmChainInit) {
    this.#log = log
    this.#init = init
    const { rpc: urls, chainId, rpcLimits } = init
    this.#rpc = new Rpc({ clock, log, ...(count && { count }) }, { urls, chainId, ...rpcLimits })
    this.#view = new ChainView(init)
    this.#follower = new Follower(
      { rpc: this.#rpc, view: this.#view, clock, random, log },
      {
        contracts: init.contracts,
        finality: init.finality,
        pollMs: init.pollMs ?? POLL_MS,
        fromBlock: init.fromBlock ?? 0n,
      },
    )
    this.#transactions = new Transactions(
      { rpc: this.#rpc, clock, log, ...(store && { store }) },
      init.account,
      init.limits,
    )
  }

  async start(signal: AbortSignal): Promise<void> {
    this.#follower.onAdvance(() => void this.#tend())
    await this.#follower.start(signal)
  }

  async stop(): Promise<void> {
    this.#rpc.stop()
    await this.#follower.stop()
    await this.#transactions.stop()
  }

  get rpc() {
    return this.#rpc
  }

  get transactions() {
    return this.#transactions
  }

  account() {
    return this.#transactions.outlook()
  }

  divided() {
    return this.#rpc.divided
  }

  trouble() {
    return this.#rpc.trouble
  }

  async #tend(): Promise<void> {
    const head = this.#view.head()
    if (head === undefined) return
    try {
      await this.#transactions.tend(head.number)
    } catch (error) {
      this.#log.debug({ err: error }, 'the transactions are looked after later')
    }
  }

  head() {
    return this.#view.head()
  }

  healthy() {
    return this.#rpc.healthy()
  }

  lastBlockBefore(seconds: number) {
    return this.#view.lastBlockBefore(seconds)
  }

  block(number: bigint) {
    return this.#view.block(number)
  }

  registryAt(block: bigint) {
    return this.#view.registryAt(block)
  }

  checkpointsAt(block: bigint) {
    return this.#view.checkpointsAt(block)
  }

  cancelled() {
    return this.#view.cancelled()
  }

  succession() {
    return this.#view.succession()
  }

  depositsAt(block: bigint) {
    return this.#view.depositsAt(block)
  }

  parametersAt(block: bigint) {
    return this.#view.parametersAt(block)
  }

  foundingParameters() {
    return this.#view.founding
  }

  genesis() {
    return this.#view.genesis()
  }

  onAdvance(listener: () => void) {
    return this.#follower.onAdvance(listener)
  }

  async submit(submission: Submission, signal: AbortSignal): Promise<void> {
    const { epoch } = decode(Checkpoint, submission.checkpoint)
    // Another's transaction, not the one that this very call has sent.
    const pointless = (sent: readonly string[]) => {
      const found = this.#view.accepted(Number(epoch))
      if (found === undefined || sent.includes(found.transaction)) return undefined
      return alreadyAccepted(epoch)
    }
    const known = pointless([])
    if (known !== undefined) throw known
    const committee = committeeTree(submission.committee.members)
    const { absent } = submission.committee
    const data = encodeFunctionData({
      abi: checkpointsAbi,
      functionName: 'submit',
      args: submitArguments({ ...submission, committee, absent }),
    })
    const call = { to: this.#init.contracts.checkpoints, data }
    try {
      await this.#transactions.send(call, { signal, pointless, purpose: 'checkpoint' })
    } catch (error) {
      if (!(error instanceof CairnError) || error.code !== 'reverted') throw error
      throw submissionRefusal(error)
    }
  }

  async fund(
    { checkpoint, payouts }: CheckpointPayouts,
    signal: AbortSignal,
  ): Promise<FundOutcome> {
    const { distributor } = this.#init.contracts
    if (distributor === undefined) return 'done'
    const state = await this.#fundable(distributor, checkpoint)
    if (state !== 'fundable') return state
    const data = encodeFunctionData({
      abi: rewardDistributorAbi,
      functionName: 'fund',
      args: new PayoutClaims({ checkpoint, payouts }).fund(),
    })
    try {
      await this.#transactions.send({ to: distributor, data }, { signal, purpose: 'fund' })
      return 'funded'
    } catch (error) {
      if (!(error instanceof CairnError) || error.code !== 'reverted') throw error
      const refused = contractError(rewardDistributorAbi, error)
      if (refused?.errorName === 'EpochFunded') return 'done'
      throw error
    }
  }

  async veto({ epoch, term, members, place }: Veto, signal: AbortSignal): Promise<VetoOutcome> {
    const [before, named] = [this.#view.accepted(epoch - 1), this.#view.accepted(epoch)]
    if (before === undefined || named === undefined) return 'done'
    const committee = committeeTree(members)
    const { nextCommittee } = decode(Checkpoint, named.checkpoint)
    if (!equalBytes(committee.word, nextCommittee)) return 'refused'
    const data = encodeFunctionData({
      abi: checkpointsAbi,
      functionName: 'veto',
      args: vetoArguments({
        epoch,
        before: before.checkpoint,
        checkpoint: named.checkpoint,
        term: term <= epoch ? this.#view.accepted(term)?.checkpoint : undefined,
        committee,
        place,
      }),
    })
    try {
      await this.#transactions.send(
        { to: this.#init.contracts.checkpoints, data },
        { signal, purpose: 'checkpoint' },
      )
      return 'vetoed'
    } catch (error) {
      if (!(error instanceof CairnError) || error.code !== 'reverted') throw error
      const refused = contractError(checkpointsAbi, error)?.errorName
      if (refused === 'NoFault') return 'refused'
      if (refused !== undefined && OVER.has(refused)) return 'done'
      throw error
    }
  }

  async checkIn(what: CheckIn, signal: AbortSignal): Promise<CheckInOutcome> {
    return await checkIn(what, this.#successionCalls(signal))
  }

  async formCommittee(signal: AbortSignal): Promise<FormOutcome> {
    return await formCommittee(this.#successionCalls(signal))
  }

  #successionCalls(signal: AbortSignal) {
    return { transactions: this.#transactions, to: this.#init.contracts.checkpoints, signal }
  }

  /** What the chain says before anything is paid for asking. */
  async #fundable(
    distributor: Hex,
    checkpoint: Checkpoint,
  ): Promise<'fundable' | 'done' | 'notActive'> {
    const { epoch } = checkpoint
    const last = await this.#rpc.call(client =>
      client.readContract({
        address: distributor,
        abi: rewardDistributorAbi,
        functionName: 'lastEpoch',
      }),
    )
    if (last !== GENESIS_EPOCH && last >= epoch) return 'done'
    const standing = await this.#standing(checkpoint)
    return standing === 'active' ? 'fundable' : standing
  }

  async punish(offence: ProvenOffence, signal: AbortSignal): Promise<PunishOutcome> {
    const { slasher } = this.#init.contracts
    if (slasher === undefined) return 'lapsed'
    const { epoch, node, call } = punishment(offence)
    const punished = await this.#rpc.call(client =>
      client.readContract({
        address: slasher,
        abi: slasherAbi,
        functionName: 'punished',
        args: [epoch, node],
      }),
    )
    if (punished) return 'before'
    const standing =
      offence.type === 'recorded' ? await this.#standing(offence.checkpoint) : 'active'
    if (standing !== 'active') return standing === 'done' ? 'lapsed' : standing
    try {
      const data = encodeFunctionData(call)
      await this.#transactions.send({ to: slasher, data }, { signal, purpose: 'penalty' })
      return 'taken'
    } catch (error) {
      if (!(error instanceof CairnError) || error.code !== 'reverted') throw error
      const outcome = UNTAKEN[contractError(slasherAbi, error)?.errorName ?? '']
      if (outcome === undefined) throw error
      return outcome
    }
  }

  /** `done`: it is too old to be acted upon, or the chain has another. */
  async #standing(checkpoint: Checkpoint): Promise<'active' | 'notActive' | 'done'> {
    const { epoch } = checkpoint
    const active = await this.#rpc.call(client =>
      client
        .readContract({
          address: this.#init.contracts.checkpoints,
          abi: checkpointsAbi,
          functionName: 'activeRootOf',
          args: [epoch],
        })
        .catch(revertedWith),
    )
    if (active === 'NotActive') return 'notActive'
    if (!active.startsWith('0x')) return 'done'
    return equalBytes(unhex(active), checkpointRoot(checkpoint)) ? 'active' : 'done'
  }
}

/**
 * What the contract says where others did it, where no more is taken, or where the proof is none. All
 * else it may say of a state that passes: an endpoint is a block behind, or a block came in between.
 */
const UNTAKEN: Readonly<Record<string, PunishOutcome>> = {
  AlreadyPunished: 'before',
  CapReached: 'capReached',
  NothingToTake: 'noBond',
  OtherKey: 'refused',
  SameVote: 'refused',
  BadSignature: 'refused',
  NotInPenalties: 'refused',
}

/** The epoch of messages that an offence counts for, the node, and what to call. */
function punishment(offence: ProvenOffence) {
  if (offence.type === 'doubleVote') {
    const call = {
      abi: slasherAbi,
      functionName: 'doubleVote' as const,
      args: doubleVoteArguments(offence),
    }
    // Votes are messages of the epoch after the one that they are about.
    return { epoch: BigInt(offence.epoch) + 1n, node: offence.node, call }
  }
  const { checkpoint, penalties, position } = offence
  const call = {
    abi: slasherAbi,
    functionName: 'penalise' as const,
    args: penaliseArguments(offence),
  }
  return { epoch: checkpoint.epoch, node: penalties[position]?.node ?? 0, call }
}

/** What the contract's refusal means to who submits. */
function submissionRefusal(error: CairnError): CairnError {
  const refused = contractError(checkpointsAbi, error)
  if (refused?.errorName === 'WrongEpoch') {
    const [expected, found] = refused.args
    if (found < expected) return alreadyAccepted(found)
    return wrongParent(`epoch ${expected} is not accepted yet`, error)
  }
  if (refused?.errorName === 'WrongParent') {
    const [expected] = refused.args
    return wrongParent(`the last accepted checkpoint has the root ${expected}`, error)
  }
  return error
}

function alreadyAccepted(epoch: bigint): CairnError {
  return new CairnError('alreadyAccepted', `a checkpoint of epoch ${epoch} is accepted already`, {
    facts: { epoch },
  })
}

function wrongParent(text: string, cause: CairnError): CairnError {
  return new CairnError('wrongParent', text, {
    cause,
    next: 'adopt what the chain accepted, then submit on top of it',
  })
}
