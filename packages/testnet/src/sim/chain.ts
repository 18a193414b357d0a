/**
 * A chain in memory on virtual time: blocks at fixed intervals, a registry, and the rules by which
 * the Checkpoints contract accepts a checkpoint, signatures included.
 */

import {
  type AcceptedCheckpoint,
  type BlockHeader,
  type CancelledCheckpoint,
  type Chain,
  type CheckIn,
  type CheckInOutcome,
  type CheckpointPayouts,
  type CheckpointsEvent,
  type Clock,
  type DepositChange,
  type DepositsEvent,
  type DoubleVote,
  depositEntries,
  type FormOutcome,
  type FundOutcome,
  leftOf,
  type ProvenOffence,
  type PunishOutcome,
  type RecordedPenalty,
  type Submission,
  type Succession,
  successionOf,
  type Veto,
  type VetoOutcome,
} from '@cairn/node'
import {
  Bytes32,
  bls,
  CairnError,
  Checkpoint,
  ContainerType,
  check,
  checkInSigningRoot,
  checkpointRoot,
  committeeTree,
  committeeWord,
  type Deposit,
  type DepositEntry,
  decode,
  equalBytes,
  hex,
  inclusionProof,
  type ParameterChange,
  type PenaltyRecord,
  PPM,
  penaltyLeaves,
  quorum,
  type RegistryEntry,
  sha256,
  TESTNET_PROFILE,
  TOKEN,
  Uint32,
  Uint64,
  type Verifier,
  verifyInclusion,
  voteSigningRoot,
  WINDOWS,
  weightOf,
  windowOf,
} from '@cairn/protocol'

export interface SimulatedChainComponents {
  clock: Clock
  verifier: Verifier
}

export interface SimulatedChainInit {
  /** 32 bytes; block hashes follow from it. */
  seed: Uint8Array
  /** Whole seconds between blocks. */
  blockSeconds: number
  /** Network id that votes are signed for; set before `start`. */
  network: Uint8Array
  /** Seconds from a checkpoint's acceptance to its being acted upon; 0 unless given. */
  activationDelay?: number
  /** Parameters that can be voted on, as they begin; none unless given. */
  parameters?: ReadonlyMap<string, bigint>
  /** Start of epoch 0, seconds since 1970, and what comes where no committee signs; never unless given. */
  fallback?: SimulatedFallback
}

/** Of the contract: bonds count up to it. */
const WEIGHT = { bondCap: 10_000n * TOKEN }

/** Seconds, as the contract is deployed with them. */
export interface SimulatedFallback {
  genesis: number
  /** Without acceptance for so long, nodes may check in. */
  after: number
  /** From the first check-in to the last. */
  window: number
}

const BlockPreimage = new ContainerType({ seed: Bytes32, number: Uint64 })
/** Of the blocks that come after a reorganisation. */
const ForkPreimage = new ContainerType({ seed: Bytes32, fork: Uint32 })

interface PendingSubmission {
  submission: Submission
  submitter: Uint8Array
  done: () => void
  failed: (error: unknown) => void
}

/** What an account does that puts down for its key what may be charged to it. */
export function initialDeposit({ account, key, amount }: Deposit) {
  return [
    { account, type: 'deposited', amount },
    { account, type: 'named', key },
  ] as const
}

export class SimulatedChain {
  readonly #components: SimulatedChainComponents
  readonly #init: SimulatedChainInit
  readonly #blocks: BlockHeader[] = []
  readonly #registry: { block: bigint; entry: RegistryEntry }[] = []
  readonly #landings: CheckpointsEvent[] = []
  readonly #deposits: DepositsEvent[] = []
  /** Epochs whose checkpoints are open for claims, as they were funded. */
  readonly #funded: number[] = []
  readonly #parameters: ParameterChange[] = []
  /** Bonds as they became. */
  readonly #bonds: BondChange[] = []
  /** What was taken of whom for the messages of which epoch. */
  readonly #slashed: Slashed[] = []
  readonly #pending: PendingSubmission[] = []
  readonly #views = new Set<View>()
  #timer: { cancel(): void } | undefined
  #forks = 0
  #forkSeed: Uint8Array

  constructor(components: SimulatedChainComponents, init: SimulatedChainInit) {
    this.#components = components
    this.#init = init
    this.#forkSeed = init.seed
    this.#produce(() => {})
    this.#mineLater()
  }

  /** Ends block production. */
  stop(): void {
    this.#timer?.cancel()
  }

  get accepted(): readonly AcceptedCheckpoint[] {
    return leftOf(this.#landings).accepted
  }

  get funded(): readonly number[] {
    return this.#funded
  }

  get slashed(): readonly Slashed[] {
    return this.#slashed
  }

  get cancelled(): readonly CancelledCheckpoint[] {
    return leftOf(this.#landings).cancelled
  }

  /** Registers nodes in a new block; their index is their place. */
  register(entries: readonly Omit<RegistryEntry, 'index' | 'registeredAt'>[]): RegistryEntry[] {
    return this.#produce(({ number, timestamp }) =>
      entries.map(fields => {
        const entry = { ...fields, index: this.#registry.length, registeredAt: timestamp }
        this.#registry.push({ block: number, entry })
        return entry
      }),
    )
  }

  /** What accounts do with their deposits, in a new block and in this order. */
  deposit(changes: readonly ({ account: Uint8Array } & DepositChange)[]): void {
    this.#produce(block => {
      for (const change of changes) this.#deposits.push({ contract: 'deposits', block, ...change })
    })
  }

  /** What a vote sets, in a new block. */
  setParameters(values: Readonly<Record<string, bigint>>): BlockHeader {
    return this.#produce(block => {
      for (const [name, value] of Object.entries(values)) {
        this.#parameters.push({ name, value, block: block.number })
      }
      return block
    })
  }

  /** `Checkpoints.start`, in a new block: once, with the genesis checkpoint. */
  start(genesis: Checkpoint): void {
    check(this.accepted.length === 0, 'alreadyStarted', 'the chain was started before')
    this.#produce(() => this.#land(genesis, 0, new Uint8Array(20)))
  }

  /** `Checkpoints.cancel`, in a new block: the checkpoint of this epoch, and all that follow it. */
  cancel(epoch: number): void {
    const found = this.accepted.find(landed => landed.epoch === epoch)
    check(found !== undefined && epoch >= 0, 'notAccepted', 'there is nothing to be cancelled')
    check(!this.#isActive(found), 'isActive', 'what is active stays')
    this.#produce(block =>
      this.#landings.push({ contract: 'checkpoints', type: 'cancelled', block, epoch }),
    )
  }

  /** Other blocks come after this one: what was in those that followed it has not happened. */
  reorganise(number: bigint): void {
    this.#blocks.splice(Number(number) + 1)
    const landings = this.#landings.filter(({ block }) => block.number <= number)
    this.#landings.splice(0, this.#landings.length, ...landings)
    const deposits = this.#deposits.filter(({ block }) => block.number <= number)
    this.#deposits.splice(0, this.#deposits.length, ...deposits)
    const registered = this.#registry.filter(({ block }) => block <= number)
    this.#registry.splice(0, this.#registry.length, ...registered)
    const voted = this.#parameters.filter(({ block }) => block <= number)
    this.#parameters.splice(0, this.#parameters.length, ...voted)
    const bonds = this.#bonds.filter(({ block }) => block <= number)
    this.#bonds.splice(0, this.#bonds.length, ...bonds)
    const slashed = this.#slashed.filter(({ block }) => block <= number)
    this.#slashed.splice(0, this.#slashed.length, ...slashed)
    this.#forks++
    this.#forkSeed = sha256(ForkPreimage.serialize({ seed: this.#init.seed, fork: this.#forks }))
    this.#produce(() => {})
  }

  /** One node's view; `account` lands its submissions. */
  port(account: Uint8Array): Chain & { setDown(down: boolean): void } {
    const view = new View({
      blocks: () => this.#blocks,
      registry: block => this.#registryAt(block),
      landings: () => this.#landings,
      deposits: () => this.#deposits,
      parameters: () => this.#parameters,
      founding: this.#init.parameters ?? new Map(),
      submit: (submission, signal) => this.#submit({ submission, submitter: account }, signal),
      fund: payouts => this.#fund(payouts),
      punish: offence => this.#punish(offence, account),
      veto: veto => this.#veto(veto),
      succession: landings => this.#succession(landings),
      checkIn: checkIn => this.#checkIn(checkIn),
      formCommittee: () => this.#formCommittee(),
    })
    this.#views.add(view)
    return view
  }

  #head(): BlockHeader {
    return this.#blocks.at(-1) as BlockHeader
  }

  #mineLater(): void {
    const { clock } = this.#components
    this.#timer = clock.at(clock.now() + this.#init.blockSeconds * 1_000, () => {
      this.#produce(() => {
        for (const pending of this.#pending.splice(0)) this.#include(pending)
      })
      this.#mineLater()
    })
  }

  /** Adds a block with what `include` does in it: what a view has seen of a block never changes. */
  #produce<T>(include: (block: BlockHeader) => T): T {
    const number = BigInt(this.#blocks.length)
    const hash = sha256(BlockPreimage.serialize({ seed: this.#forkSeed, number }))
    const timestamp = Math.floor(this.#components.clock.now() / 1_000)
    const block = { number, hash, timestamp }
    this.#blocks.push(block)
    const result = include(block)
    for (const view of this.#views) view.advance()
    return result
  }

  /** An abort ends the wait; what was sent may land all the same. */
  async #submit(
    sent: Pick<PendingSubmission, 'submission' | 'submitter'>,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const abort = () => reject(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
      const over = () => signal.removeEventListener('abort', abort)
      this.#pending.push({
        ...sent,
        done: () => {
          over()
          resolve()
        },
        failed: error => {
          over()
          reject(error)
        },
      })
    })
  }

  #isActive({ block }: AcceptedCheckpoint): boolean {
    return this.#head().timestamp >= block.timestamp + (this.#init.activationDelay ?? 0)
  }

  #veto({ epoch, term, members, place }: Veto): VetoOutcome {
    const accepted = this.accepted.find(landed => landed.epoch === epoch)
    if (accepted === undefined || this.#isActive(accepted)) return 'done'
    const { nextCommittee } = decode(Checkpoint, accepted.checkpoint)
    const shown = members[place]
    if (shown === undefined || !equalBytes(committeeWord(members), nextCommittee)) return 'refused'
    const first = term <= epoch && this.accepted.find(landed => landed.epoch === term)
    const base = first && decode(Checkpoint, first.checkpoint).base.number
    const known = this.#registry.find(({ entry }) => equalBytes(entry.voting, shown.key))
    const inTime = known !== undefined && known.block <= (base || accepted.block.number)
    if (inTime && weightOf(known.entry.bond, WEIGHT) === shown.weight) return 'refused'
    this.cancel(epoch)
    return 'vetoed'
  }

  #succession(landings: readonly CheckpointsEvent[]): Succession | undefined {
    const { fallback } = this.#init
    if (fallback === undefined) return undefined
    const { genesis, after: fallbackAfter } = fallback
    return successionOf(leftOf(landings), { genesis, fallbackAfter })
  }

  /** Where it is due at the time of the next block. */
  #dueSuccession(): Succession | undefined {
    const succession = this.#succession(this.#landings)
    return succession !== undefined && this.#seconds() >= succession.due ? succession : undefined
  }

  #seconds(): number {
    return Math.floor(this.#components.clock.now() / 1_000)
  }

  #checkIn({ node, key, signature }: CheckIn): CheckInOutcome {
    const succession = this.#dueSuccession()
    if (succession === undefined) return 'done'
    const { epoch, window, windows } = succession
    const over = window === undefined || this.#seconds() > window.end
    if (over && window !== undefined && this.#isMajority()) return 'done'
    const weight = this.#eligibleWeight(node, key)
    check(weight > 0, 'reverted', 'not eligible')
    if (!over && window.members.some(member => member.node === node)) return 'done'
    const number = over ? windows + 1 : windows
    const data = { epoch: BigInt(epoch), window: BigInt(number) }
    const message = checkInSigningRoot(data, this.#init.network)
    check(this.#components.verifier.bls(message, key, signature), 'reverted', 'wrong signature')
    const contract = 'checkpoints'
    this.#produce(block => {
      if (over) {
        const end = block.timestamp + (this.#init.fallback?.window ?? 0)
        this.#landings.push({ contract, type: 'windowOpened', block, end })
      }
      const place = over ? 0 : window.members.length
      const checkedIn = { node, key, weight }
      this.#landings.push({ contract, type: 'checkedIn', block, place, checkedIn })
    })
    return 'checkedIn'
  }

  #formCommittee(): FormOutcome {
    const succession = this.#dueSuccession()
    const window = succession?.window
    if (succession === undefined || window === undefined) return 'done'
    if (this.#seconds() <= window.end) return 'done'
    if (!this.#isMajority()) return 'tooFew'
    const word = committeeWord(window.members)
    const { epoch } = succession
    this.#produce(block =>
      this.#landings.push({ contract: 'checkpoints', type: 'committeeSet', block, epoch, word }),
    )
    return 'formed'
  }

  /** Of all weight that there was as the window opened. */
  #isMajority(): boolean {
    const { window } = leftOf(this.#landings)
    if (window === undefined) return false
    const weight = window.members.reduce((sum, member) => sum + member.weight, 0)
    const total = this.#registryAt(window.opened.number)
      .filter(({ exitAt }) => exitAt === 0)
      .reduce((sum, { bond }) => sum + weightOf(bond, WEIGHT), 0)
    return 2 * weight > total
  }

  /** Only bonds count that were there when the last checkpoint was accepted. */
  #eligibleWeight(node: number, key: Uint8Array): number {
    const last = this.accepted.at(-1)
    const now = this.#registryAt(this.#head().number)[node]
    const then = this.#registryAt(last?.block.number ?? 0n)[node]
    if (now === undefined || then === undefined || now.exitAt !== 0) return 0
    if (!equalBytes(now.voting, key)) return 0
    return weightOf(smaller(then.bond, now.bond), WEIGHT)
  }

  #fund({ checkpoint }: CheckpointPayouts): FundOutcome {
    const epoch = Number(checkpoint.epoch)
    const accepted = this.accepted.find(landed => landed.epoch === epoch)
    const last = this.#funded.at(-1) ?? -1
    if (accepted === undefined || last >= epoch) return 'done'
    if (!this.#isActive(accepted)) return 'notActive'
    if (!equalBytes(accepted.root, checkpointRoot(checkpoint))) return 'done'
    this.#funded.push(epoch)
    return 'funded'
  }

  #registryAt(block: bigint): readonly RegistryEntry[] {
    const bonds = new Map(
      this.#bonds.filter(change => change.block <= block).map(({ node, bond }) => [node, bond]),
    )
    return this.#registry
      .filter(registered => registered.block <= block)
      .map(({ entry }) => {
        const bond = bonds.get(entry.index)
        return bond === undefined ? entry : { ...entry, bond }
      })
  }

  #punish(offence: ProvenOffence, reporter: Uint8Array): PunishOutcome {
    const found =
      offence.type === 'doubleVote' ? this.#votedTwice(offence) : this.#recorded(offence)
    if (typeof found === 'string') return found
    const { epoch, node, part } = found
    const entries = this.#registryAt(this.#head().number)
    const bond = entries.find(({ index }) => index === node)?.bond ?? 0n
    const before = this.#slashed.filter(taken => taken.epoch === epoch)
    const total = entries.reduce((sum, entry) => sum + entry.bond, 0n)
    const cap = before[0]?.cap ?? (total * TESTNET_PROFILE.penaltyCap) / PPM
    const left = before.reduce((sum, { amount }) => sum - amount, cap)
    const wanted = smaller(part ?? (bond * TESTNET_PROFILE.penalty) / PPM, bond)
    if (before.some(taken => taken.node === node)) return 'before'
    if (wanted === 0n) return 'noBond'
    if (left === 0n) return 'capReached'
    const amount = smaller(wanted, left)
    this.#produce(({ number: block }) => {
      this.#bonds.push({ block, node, bond: bond - amount })
      this.#slashed.push({ block, epoch, node, amount, cap, reporter })
    })
    return 'taken'
  }

  #votedTwice({ node, key, epoch, round, votes }: DoubleVote): Finding | 'refused' {
    const entry = this.#registryAt(this.#head().number)[node]
    if (entry === undefined || !equalBytes(entry.voting, key)) return 'refused'
    const [one, other] = votes
    if (equalBytes(one.checkpoint, other.checkpoint)) return 'refused'
    for (const { checkpoint, signature } of votes) {
      const vote = { epoch: BigInt(epoch), round: BigInt(round), checkpoint }
      const message = voteSigningRoot(vote, this.#init.network)
      if (!this.#components.verifier.bls(message, key, signature)) return 'refused'
    }
    return { epoch: epoch + 1, node }
  }

  #recorded({
    checkpoint,
    penalties,
    position,
  }: RecordedPenalty): Finding | 'lapsed' | 'refused' | 'notActive' {
    const epoch = Number(checkpoint.epoch)
    const accepted = this.accepted.find(landed => landed.epoch === epoch)
    if (accepted === undefined) return 'lapsed'
    if (!this.#isActive(accepted)) return 'notActive'
    if (!equalBytes(accepted.root, checkpointRoot(checkpoint))) return 'lapsed'
    const leaves = penaltyLeaves(penalties)
    const proof = inclusionProof({ checkpoint, field: 'penalties', leaves, position })
    if (!verifyInclusion(accepted.root, proof)) return 'refused'
    const { node, amount } = penalties[position] as PenaltyRecord
    return { epoch, node, part: amount }
  }

  #include({ submission, submitter, done, failed }: PendingSubmission): void {
    try {
      const checkpoint = decode(Checkpoint, submission.checkpoint)
      this.#judge(checkpoint, submission)
      this.#land(checkpoint, submission.round, submitter)
      done()
    } catch (error) {
      failed(refusalOf(error))
    }
  }

  #judge(checkpoint: Checkpoint, { round, committee, signature }: Submission): void {
    const last = this.accepted.at(-1)
    check(last !== undefined, 'reverted', 'the contract was not started')
    const { epoch } = checkpoint
    check(epoch > BigInt(last.epoch), 'alreadyAccepted', `epoch ${epoch} is accepted already`)
    const next = epoch === BigInt(last.epoch + 1)
    check(
      next && equalBytes(checkpoint.parent, last.root),
      'wrongParent',
      'not the next checkpoint',
    )
    const root = checkpointRoot(checkpoint)
    const again = this.cancelled.some(gone => equalBytes(gone.root, root) && round <= gone.round)
    check(!again, 'reverted', 'the root was cancelled, with votes of this round')
    const tree = committeeTree(committee.members)
    const { formed } = leftOf(this.#landings)
    const fits = formed === undefined || windowOf(round) === formed.window % WINDOWS
    check(fits, 'reverted', 'a round of another committee')
    const word = formed?.word ?? decode(Checkpoint, last.checkpoint).nextCommittee
    check(equalBytes(tree.word, word), 'reverted', 'another committee')
    const absent = new Set(committee.absent)
    const present = committee.members.filter((_, place) => !absent.has(place))
    const signed = present.reduce((sum, { weight }) => sum + weight, 0)
    check(quorum({ signed, total: tree.weight }), 'reverted', 'no quorum')
    const message = voteSigningRoot(
      { epoch, round: BigInt(round), checkpoint: root },
      this.#init.network,
    )
    const key = bls.aggregateKeys(present.map(member => member.key))
    check(this.#components.verifier.bls(message, key, signature), 'reverted', 'wrong signature')
  }

  #land(checkpoint: Checkpoint, round: number, submitter: Uint8Array): void {
    const root = checkpointRoot(checkpoint)
    const block = this.#head()
    const accepted = {
      epoch: this.accepted.length - 1,
      root,
      checkpoint: Checkpoint.serialize(checkpoint),
      round,
      block,
      transaction: hex(root),
      submitter,
      gasUsed: 0n,
    }
    this.#landings.push({ contract: 'checkpoints', type: 'accepted', block, accepted })
  }
}

interface BondChange {
  readonly block: bigint
  readonly node: number
  /** Base units, from this block on. */
  readonly bond: bigint
}

/** A penalty as it was taken. */
export interface Slashed {
  readonly block: bigint
  readonly epoch: number
  readonly node: number
  /** Base units. */
  readonly amount: bigint
  /** Most that is taken for the epoch, base units. */
  readonly cap: bigint
  readonly reporter: Uint8Array
}

/** Whom an offence is of, for which epoch's messages, and what it costs where that is said. */
interface Finding {
  readonly epoch: number
  readonly node: number
  readonly part?: bigint
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

/** The codes of the port pass; whatever else the contract meets reverts it. */
function refusalOf(error: unknown): unknown {
  if (!(error instanceof CairnError)) return error
  if (['alreadyAccepted', 'wrongParent', 'reverted'].includes(error.code)) return error
  return new CairnError('reverted', 'the contract refuses the submission', { cause: error })
}

interface ViewSource {
  blocks(): readonly BlockHeader[]
  registry(block: bigint): readonly RegistryEntry[]
  landings(): readonly CheckpointsEvent[]
  deposits(): readonly DepositsEvent[]
  parameters(): readonly ParameterChange[]
  founding: ReadonlyMap<string, bigint>
  submit(submission: Submission, signal: AbortSignal): Promise<void>
  fund(payouts: CheckpointPayouts): FundOutcome
  punish(offence: ProvenOffence): PunishOutcome
  veto(veto: Veto): VetoOutcome
  succession(landings: readonly CheckpointsEvent[]): Succession | undefined
  checkIn(checkIn: CheckIn): CheckInOutcome
  formCommittee(): FormOutcome
}

/** What one node sees; while it is down the view stands still. */
class View implements Chain {
  readonly #source: ViewSource
  readonly #listeners = new Set<() => void>()
  #height = 0
  #down = false

  constructor(source: ViewSource) {
    this.#source = source
    this.#height = source.blocks().length
  }

  async start(): Promise<void> {
    this.advance()
  }

  async stop(): Promise<void> {
    this.#listeners.clear()
  }

  setDown(down: boolean): void {
    this.#down = down
    this.advance()
  }

  advance(): void {
    if (this.#down) return
    this.#height = this.#source.blocks().length
    for (const listener of this.#listeners) listener()
  }

  head(): BlockHeader | undefined {
    return this.#source.blocks()[this.#height - 1]
  }

  healthy(): boolean {
    return !this.#down
  }

  lastBlockBefore(seconds: number): BlockHeader | undefined {
    const blocks = this.#source.blocks()
    if ((this.head()?.timestamp ?? Number.NEGATIVE_INFINITY) < seconds) return undefined
    for (let i = this.#height - 1; i >= 0; i--) {
      const block = blocks[i] as BlockHeader
      if (block.timestamp < seconds) return block
    }
    return undefined
  }

  block(number: bigint): BlockHeader | undefined {
    return number < BigInt(this.#height) ? this.#source.blocks()[Number(number)] : undefined
  }

  registryAt(block: bigint): readonly RegistryEntry[] {
    return this.#source.registry(block)
  }

  checkpointsAt(block: bigint): readonly AcceptedCheckpoint[] {
    return leftOf(this.#landingsTo(this.#seen(block))).accepted
  }

  cancelled(): readonly CancelledCheckpoint[] {
    return leftOf(this.#landingsTo(BigInt(this.#height - 1))).cancelled
  }

  succession(): Succession | undefined {
    return this.#source.succession(this.#landingsTo(BigInt(this.#height - 1)))
  }

  foundingParameters(): ReadonlyMap<string, bigint> {
    return this.#source.founding
  }

  parametersAt(block: bigint): readonly ParameterChange[] {
    const seen = this.#seen(block)
    return this.#source.parameters().filter(change => change.block <= seen)
  }

  #seen(block: bigint): bigint {
    return block < BigInt(this.#height) ? block : BigInt(this.#height - 1)
  }

  #landingsTo(block: bigint): readonly CheckpointsEvent[] {
    return this.#source.landings().filter(({ block: { number } }) => number <= block)
  }

  depositsAt(block: bigint): readonly DepositEntry[] {
    return depositEntries(this.#source.deposits().filter(event => event.block.number <= block))
  }

  genesis(): AcceptedCheckpoint | undefined {
    const head = this.head()
    return head === undefined ? undefined : this.checkpointsAt(head.number)[0]
  }

  onAdvance(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async submit(submission: Submission, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#requireUp()
    await this.#source.submit(submission, signal)
  }

  async fund(payouts: CheckpointPayouts, signal: AbortSignal): Promise<FundOutcome> {
    signal.throwIfAborted()
    this.#requireUp()
    return this.#source.fund(payouts)
  }

  async punish(offence: ProvenOffence, signal: AbortSignal): Promise<PunishOutcome> {
    signal.throwIfAborted()
    this.#requireUp()
    return this.#source.punish(offence)
  }

  async veto(veto: Veto, signal: AbortSignal): Promise<VetoOutcome> {
    signal.throwIfAborted()
    this.#requireUp()
    return this.#source.veto(veto)
  }

  async checkIn(checkIn: CheckIn, signal: AbortSignal): Promise<CheckInOutcome> {
    signal.throwIfAborted()
    this.#requireUp()
    return this.#source.checkIn(checkIn)
  }

  async formCommittee(signal: AbortSignal): Promise<FormOutcome> {
    signal.throwIfAborted()
    this.#requireUp()
    return this.#source.formCommittee()
  }

  #requireUp(): void {
    if (!this.#down) return
    throw new CairnError('chainUnavailable', 'no RPC answers', { next: 'it is tried again' })
  }
}
