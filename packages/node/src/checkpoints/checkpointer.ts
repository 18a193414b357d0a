/**
 * Brings each epoch to the chain. At the freeze a node notes what it holds; then rounds follow by
 * the clock. A round's proposer gathers what the members hold, settles it and shows the set and the
 * checkpoint; members fetch what they lack, redo the sum, and vote for the root that they get. With
 * a quorum anyone submits, the proposer first. What the chain accepts is adopted, whoever made it.
 *
 * While the chain is away the quorum of the lowest round stands in for the accepted checkpoint as
 * the parent of the next; the queue lands in order when the chain returns.
 *
 * What the chain takes back, by a cancellation or by a reorganisation, a node takes back too. Quorums
 * that were not cancelled are landed again; where one was, the epoch is voted again in later rounds.
 */
import {
  authorOf,
  bls,
  CairnError,
  Checkpoint,
  type CommitteeMember,
  checkpointRoot,
  decode,
  decodeEnvelope,
  type Envelope,
  type EpochBase,
  epochStart,
  equalBytes,
  hex,
  KERNEL_KIND,
  ListDepth,
  listRoot,
  type MessageSet,
  MessageType,
  messageSigningRoot,
  Proposal,
  proposerOf,
  type RegistryEntry,
  ROUNDS,
  roundIn,
  roundStart,
  type Settlement,
  unhex,
  type Verifier,
  Vote,
  windowOf,
} from '@cairn/protocol'
import { contactsOf } from '../contacts.ts'
import type { EpochRecord, Epochs } from '../ledger/epochs.ts'
import type { Arrival, Ingest, Outcome } from '../ledger/ingest.ts'
import { type Ledger, stored } from '../ledger/ledger.ts'
import type { Parent, Settlements } from '../ledger/settlements.ts'
import type { StateCache } from '../ledger/states.ts'
import { passCoded, type Sync, withDeadline } from '../ledger/sync.ts'
import { checkpointTopic } from '../ledger/topics.ts'
import type {
  Acceptance,
  AcceptedCheckpoint,
  CastVote,
  Chain,
  Clock,
  DoubleVote,
  Log,
  Network,
  Timer,
} from '../ports.ts'
import type { Speaker } from '../voice.ts'
import { EpochWork, type Quorum, ROUNDS_MAX, type Settled } from './work.ts'

export interface CheckpointerComponents {
  chain: Chain
  clock: Clock
  network: Network
  epochs: Epochs
  ingest: Ingest
  ledger: Ledger
  settlements: Settlements
  states: StateCache
  sync: Sync
  /** Of every node that this daemon speaks for, its own first. */
  speakers: readonly Speaker[]
  verifier: Verifier
  log: Log
  /** Counts what is heard of the checkpoint topic and is no vote: those the ledger counts. */
  count(outcome: Acceptance, reason: string): void
}

export interface CheckpointerInit {
  /** Network id. */
  network: Uint8Array
  /** Peer id of a registered node. */
  peerOf(entry: RegistryEntry): string
  /** Why this node proposes nothing and casts no vote in a round; undefined: it may. */
  mutedRound(epoch: number, round: number): string | undefined
  /** Keeps everything. */
  archive: boolean
}

/** An epoch that the chain accepted, as this node adopted it. */
export interface Adopted {
  readonly accepted: AcceptedCheckpoint
  /** Undefined where only the state could be had: a node that was off longer than its peers keep. */
  readonly settled: Settled | undefined
}

/** What was adopted, and in which block it landed. */
interface Adoption {
  readonly root: Uint8Array
  readonly block: bigint
}

/** Epochs in work at once; a longer queue waits its turn. */
const WORK_MAX = 64
/** Epochs behind the chain's newest for which a node still fetches the whole set. */
const REPLAY_EPOCHS = 4
/** Adopted epochs whose roots are remembered: as many as `Checkpoints` keeps, older ones are active. */
const ADOPTED_MAX = 256
/** Advances of the chain at which the peers are asked for such a set before its state will do. */
const SET_TRIES = 5

export class Checkpointer {
  readonly #components: CheckpointerComponents
  readonly #init: CheckpointerInit
  readonly #work = new Map<number, EpochWork>()
  readonly #timers = new Set<Timer>()
  /** By epoch, what waits for its next round. */
  readonly #rounds = new Map<number, { readonly round: number; readonly timer: Timer }>()
  readonly #running = new Set<Promise<void>>()
  readonly #listeners: ((adopted: Adopted) => void)[] = []
  readonly #doubleVotes: ((found: DoubleVote) => void)[] = []
  readonly #retreats: ((last: number) => void)[] = []
  /** By epoch. */
  readonly #adoptions = new Map<number, Adoption>()
  readonly #stopped = new AbortController()
  #adopted = -1
  /** Cancellations of the chain that were looked at. */
  #cancellations = 0
  /** How often the set of the epoch to be adopted next was asked for in vain. */
  #withoutSet = 0
  /** The last committee seen to form, by its epoch and block. */
  #formed: string | undefined
  #adopting: Promise<void> = Promise.resolve()
  #unfollow: () => void = () => {}

  constructor(components: CheckpointerComponents, init: CheckpointerInit) {
    this.#components = components
    this.#init = init
    components.ingest.onArrival(arrival => {
      if (arrival.type === MessageType.vote) this.#voted(arrival)
    })
  }

  /** Last epoch whose accepted checkpoint this node adopted; -1: the genesis one. */
  get adopted(): number {
    return this.#adopted
  }

  onAdopted(listener: (adopted: Adopted) => void): void {
    this.#listeners.push(listener)
  }

  /** Told the last epoch that stays adopted when the chain took later ones back. */
  onRetreat(listener: (last: number) => void): void {
    this.#retreats.push(listener)
  }

  /** Told of two votes of one member in one round, at the second. */
  onDoubleVote(listener: (found: DoubleVote) => void): void {
    this.#doubleVotes.push(listener)
  }

  async start(): Promise<void> {
    const { chain, network, ledger } = this.#components
    this.#adopted = (await ledger.finalEpochs(1)).at(-1) ?? -1
    network.subscribe(checkpointTopic(this.#init.network), async data => {
      const { acceptance } = await this.heard(data)
      return acceptance
    })
    this.#unfollow = chain.onAdvance(() => this.#adoptSoon())
    this.#adoptSoon()
    this.#scheduleFreeze(Math.max(this.#adopted, this.#newestOnChain()) + 1)
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#unfollow()
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
    await this.#adopting
    await Promise.all(this.#running)
  }

  /** Whether a quorum for an epoch is known here, so that it can land yet. */
  hasQuorum(epoch: number): boolean {
    return this.#work.get(epoch)?.quorum !== undefined
  }

  /** Ids of a proposed or accepted set by its root: what `epoch` requests are answered from. */
  async setOf(epoch: number, root: Uint8Array): Promise<readonly Uint8Array[] | undefined> {
    const settled = this.#work.get(epoch)?.bySet(root)
    if (settled !== undefined) return settled.set.ids()
    const final = await this.#components.ledger.final(epoch)
    if (final === undefined) return undefined
    return equalBytes(listRoot(final.ids, ListDepth.messages), root) ? final.ids : undefined
  }

  /** Judges a message of the checkpoint topic: a vote or a proposal. */
  async heard(data: Uint8Array): Promise<Outcome> {
    const { ingest } = this.#components
    let envelope: Envelope
    try {
      envelope = decodeEnvelope(data)
    } catch (error) {
      return this.#outcome('reject', codeOf(error))
    }
    if (envelope.type === MessageType.vote) return await ingest.add(envelope, 'gossip')
    if (envelope.type !== MessageType.proposal) return this.#outcome('reject', 'wrongTopic')
    return this.#heardProposal(envelope)
  }

  #outcome(acceptance: Acceptance, reason: string): Outcome {
    this.#components.count(acceptance, reason)
    return { acceptance, reason }
  }

  /** From the first epoch that the chain lacks, each at its end; those that ended before, now. */
  #scheduleFreeze(epoch: number): void {
    const { epochs } = this.#components
    this.#at(epochStart(epochs.calendar, epoch + 1), async () => {
      this.#scheduleFreeze(epoch + 1)
      this.#scheduleRound(epoch)
      if (this.#isInWork(epoch)) await this.#freeze(epoch)
    })
  }

  /** Waits for the next round that is to come, in place of what waited so far. */
  #scheduleRound(epoch: number): void {
    const round = this.#nextRound(epoch)
    this.#cancel(this.#rounds.get(epoch)?.timer)
    this.#rounds.delete(epoch)
    // Beyond the last one there is none to wait for: of two minutes each, they last four years.
    if (!this.#isInWork(epoch) || round % ROUNDS === ROUNDS - 1) return
    const start = roundStart(this.#components.epochs.calendar, epoch, round)
    const timer = this.#at(start, async () => {
      this.#rounds.delete(epoch)
      if (this.#isSettled(epoch)) return
      this.#scheduleRound(epoch)
      // Of a clock that was set back meanwhile the round is still to come, and waited for again.
      if (this.#components.clock.now() >= start) await this.#round(epoch, round)
    })
    this.#rounds.set(epoch, { round, timer })
  }

  /**
   * Each epoch that is over and has not landed waits for its next round, whatever ended that: a clock
   * that was set, work that was full, a quorum that was given up.
   */
  #keepRounds(): void {
    const { epochs } = this.#components
    const first = Math.max(this.#adopted, this.#newestOnChain()) + 1
    const end = Math.min(epochs.now(), this.#adopted + WORK_MAX + 1)
    for (let epoch = first; epoch < end; epoch++) {
      if (this.#isSettled(epoch)) continue
      if (this.#rounds.get(epoch)?.round !== this.#nextRound(epoch)) this.#scheduleRound(epoch)
    }
  }

  #roundMs(): number {
    const { roundSlots, slotMs } = this.#components.epochs.calendar.profile
    return roundSlots * slotMs
  }

  /** The first round that starts after now, of the committee that signs. */
  #nextRound(epoch: number): number {
    const { clock, epochs } = this.#components
    const passed = clock.now() - roundStart(epochs.calendar, epoch, 0)
    const round = Math.max(0, Math.floor(passed / this.#roundMs()) + 1)
    return roundIn(epochs.window(epoch), Math.min(round, ROUNDS - 1))
  }

  /** True once nothing is left to propose: accepted, or a quorum is known. */
  #isSettled(epoch: number): boolean {
    return epoch <= this.#adopted || this.#work.get(epoch)?.quorum !== undefined
  }

  #isInWork(epoch: number): boolean {
    return epoch <= this.#adopted + WORK_MAX
  }

  async #freeze(epoch: number): Promise<void> {
    const { epochs, ingest } = this.#components
    const record = epochs.replay(epoch)
    if (epoch > 0) await epochs.resolve(epoch - 1)
    await epochs.resolve(epoch)
    await ingest.collectStanding(record)
    this.#workOf(epoch).frozen = record.set.ids()
  }

  async #round(epoch: number, round: number): Promise<void> {
    const { epochs, log } = this.#components
    const base = await epochs.resolve(epoch)
    const committee = epochs.committee(epoch)
    const parent = await this.#parent(epoch)
    if (base === undefined || committee === undefined || parent === undefined) {
      log.debug({ epoch, round }, 'cannot take part in this round yet')
      return
    }
    const { speakers } = this.#components
    if (this.#init.mutedRound(epoch, round) !== undefined) return
    const seed = (await epochs.seed(epoch + 1)) ?? base.seed
    const drawn = proposerOf(committee, seed, round)
    const proposer = speakers.find(speaker => speaker.index(base) === drawn)
    if (drawn === undefined || proposer === undefined) return
    const record = epochs.replay(epoch)
    const work = this.#workOf(epoch)
    if (work.frozen === undefined) await this.#freeze(epoch)
    await this.#gather(record, base, committee)
    // A copy: what arrives while it is settled belongs to a later proposal.
    const settled = await this.#settle(record.set.canonical(record.surplus), base, parent)
    if (settled === undefined || work.quorum !== undefined) return
    log.debug({ epoch, round, messages: settled.set.size }, 'proposes a checkpoint')
    work.remember(settled)
    await proposer.propose(base, round, settled.settlement.checkpoint)
    await this.#vote(base, round, settled)
  }

  /** Fetches from every member what it holds and this node lacks. */
  async #gather(
    record: EpochRecord,
    base: EpochBase,
    committee: readonly CommitteeMember[],
  ): Promise<void> {
    const { network } = this.#components
    const own = this.#indexes(base)
    const connected = new Set(network.peers())
    const members = committee.filter(({ index }) => !own.has(index))
    const peers = new Set(
      members
        .map(({ index }) => base.node(index))
        .filter(entry => entry !== undefined)
        .flatMap(entry => contactsOf(entry, base, { peerOf: this.#init.peerOf, connected }))
        .filter(peer => connected.has(peer)),
    )
    const mine = record.set.root()
    await Promise.all([...peers].map(peer => this.#fetchSet(record, peer, { mine })))
  }

  /** Takes over a proposed set from the proposer, or who speaks for it. */
  async #fetchProposed(
    record: EpochRecord,
    proposer: RegistryEntry,
    base: EpochBase,
    root: Uint8Array,
  ): Promise<readonly Uint8Array[] | undefined> {
    const connected = new Set(this.#components.network.peers())
    for (const peer of contactsOf(proposer, base, { peerOf: this.#init.peerOf, connected })) {
      const ids = await this.#fetchSet(record, peer, { root })
      if (ids !== undefined) return ids
    }
    return undefined
  }

  /**
   * Takes over what a peer holds and this node lacks, or with `root` what a set has: resolves with
   * its ids. Undefined when the peer has nothing else, or is not done in half a round: the other half
   * is for what the set is wanted for.
   */
  async #fetchSet(
    record: EpochRecord,
    peer: string,
    wanted: { root: Uint8Array } | { mine: Uint8Array },
  ): Promise<readonly Uint8Array[] | undefined> {
    const { clock, sync } = this.#components
    return await withDeadline(clock, this.#roundMs() / 2, async deadline => {
      const signal = AbortSignal.any([deadline, this.#stopped.signal])
      const ids = await sync.ids(peer, record.epoch, { ...wanted, signal })
      if (ids !== undefined) await this.#fetchMissing(record, peer, { ids, signal })
      return ids
    }).catch(passCoded)
  }

  async #fetchMissing(
    record: EpochRecord,
    peer: string,
    { ids, signal }: { ids: readonly Uint8Array[]; signal: AbortSignal },
  ): Promise<void> {
    const { sync, ingest } = this.#components
    const missing = ids.filter(id => !record.set.has(id) && !record.surplus.has(hex(id)))
    if (missing.length === 0) return
    const envelopes = await sync.fetch(peer, missing, { signal })
    // Challenges first: attestations and seals are judged by them.
    envelopes.sort((a, b) => a.type - b.type)
    for (const envelope of envelopes) {
      if (await ingest.addStandingTo(record, envelope)) continue
      await ingest.add(envelope, 'sync')
    }
  }

  /** Settles a set that nothing is added to any more. */
  async #settle(set: MessageSet, base: EpochBase, parent: Parent): Promise<Settled | undefined> {
    const settlement = await this.#components.settlements.settle(base.epoch, set, parent)
    return settlement === undefined ? undefined : { settlement, set }
  }

  #heardProposal(envelope: Envelope): Outcome {
    const { epochs, verifier, clock, log } = this.#components
    let proposal: Proposal
    try {
      proposal = decode(Proposal, envelope.body)
    } catch (error) {
      return this.#outcome('reject', codeOf(error))
    }
    const { epoch, round, author } = proposal
    if (epoch <= this.#adopted) return this.#outcome('ignore', 'alreadyAccepted')
    const base = epochs.base(epoch)
    const committee = epochs.committee(epoch)
    if (base === undefined || committee === undefined || !this.#isInWork(epoch)) {
      return this.#outcome('ignore', 'noBase')
    }
    if (!equalBytes(proposal.base, base.tag)) return this.#outcome('ignore', 'otherBase')
    const entry = base.node(author)
    if (entry === undefined) return this.#outcome('ignore', 'unknownAuthor')
    const { skewMs } = epochs.calendar.profile
    if (clock.now() + skewMs < roundStart(this.#components.epochs.calendar, epoch, round)) {
      return this.#outcome('ignore', 'early')
    }
    if (windowOf(round) !== epochs.window(epoch)) return this.#outcome('ignore', 'otherCommittee')
    if (round + ROUNDS_MAX < this.#nextRound(epoch)) return this.#outcome('ignore', 'late')
    const next = epochs.knownSeed(epoch + 1)
    const seeds = next === undefined ? [base.seed] : [next, base.seed]
    if (!seeds.some(seed => proposerOf(committee, seed, round) === author)) {
      // Only who knows the next seed, and the committee, can tell that the author was not drawn.
      const unsure = next === undefined || epochs.mayForm(epoch)
      return this.#outcome(unsure ? 'ignore' : 'reject', 'noDuty')
    }
    const root = messageSigningRoot(envelope, this.#init.network)
    if (!verifier.ed25519(root, entry.identity, envelope.signature)) {
      return this.#outcome('reject', 'badSignature')
    }
    const work = this.#workOf(epoch)
    if (!work.isFirstProposal(round, author)) return this.#outcome('ignore', 'known')
    work.heard(checkpointRoot(proposal.checkpoint), proposal.checkpoint.parent)
    this.#run(async () => {
      const refusal = await this.#consider(base, proposal, entry)
      if (refusal !== undefined) {
        log.info({ epoch, round, proposer: author, refusal }, 'does not vote for a proposal')
      }
    })
    return this.#outcome('accept', 'new')
  }

  /** Redoes the sum and votes; resolves with the reason when it does not. */
  async #consider(
    base: EpochBase,
    { epoch, round, checkpoint }: Proposal,
    proposer: RegistryEntry,
  ): Promise<string | undefined> {
    const { epochs } = this.#components
    const root = checkpointRoot(checkpoint)
    const work = this.#workOf(epoch)
    if (work.quorum !== undefined && !equalBytes(work.quorum.root, root)) return 'otherQuorum'
    const parent = await this.#parent(epoch)
    if (parent === undefined) return 'noParent'
    const record = epochs.replay(epoch)
    await this.#components.ingest.collectStanding(record)
    const ids = equalBytes(record.set.root(), checkpoint.messages)
      ? record.set.ids()
      : await this.#fetchProposed(record, proposer, base, checkpoint.messages)
    if (ids === undefined) return 'setUnavailable'
    const subset = record.set.subset(ids, record.surplus)
    if (subset === undefined) return 'invalidMessages'
    const held = work.frozen ?? []
    const lacking = held.filter(id => !subset.covers(id, record.set.subjectOf(id) ?? '')).length
    if (lacking > 0) return `lacks ${lacking} of ${held.length} messages held at the freeze`
    const settled = await this.#settle(subset, base, parent)
    if (settled === undefined) return 'noBase'
    if (!equalBytes(settled.settlement.root, root)) {
      return `another result: ${difference(settled.settlement, checkpoint)}`
    }
    work.remember(settled)
    if (this.#indexes(base).size === 0) return undefined
    if (this.#init.mutedRound(epoch, round) !== undefined) return 'muted'
    return await this.#vote(base, round, settled)
  }

  /** Votes as every member that it speaks for; resolves with the reason when it does not. */
  async #vote(base: EpochBase, round: number, settled: Settled): Promise<string | undefined> {
    const { epochs, speakers, ledger } = this.#components
    const { epoch } = base
    const members = new Set(epochs.committee(epoch)?.map(({ index }) => index))
    const voters = speakers.filter(speaker => members.has(speaker.index(base) ?? -1))
    if (voters.length === 0) return undefined
    const { root, checkpoint } = settled.settlement
    await ledger.putVoted(epoch, root, {
      checkpoint: Checkpoint.serialize(checkpoint),
      ids: settled.set.ids(),
    })
    // Fetching and settling took time: a quorum may have been seen meanwhile, or the chain's word.
    if (epoch <= this.#adopted) return 'alreadyAccepted'
    const { quorum } = this.#workOf(epoch)
    if (quorum !== undefined && !equalBytes(quorum.root, root)) return 'otherQuorum'
    if (windowOf(round) !== epochs.window(epoch)) return 'otherCommittee'
    for (const voter of voters) await voter.vote(base, round, root)
    return undefined
  }

  #voted({ message, envelope, base, source, kept }: Arrival): void {
    const { epochs } = this.#components
    const vote = message.value as Vote
    const committee = epochs.committeeOfRound(vote.epoch, vote.round)
    if (committee === undefined || vote.epoch <= this.#adopted) return
    const work = this.#workOf(vote.epoch)
    const parent = this.#acceptedRoot(vote.epoch - 1)
    const quorum = work.count(vote, envelope.signature, committee, parent)
    this.#tellDoubleVote(work, vote, committee)
    if (quorum === undefined) return
    this.#submitInTurn(base, committee, work, quorum)
    if (!kept && source !== 'disk') this.#run(() => this.#keepQuorum(base, work, quorum))
    // Votes of before a restart: that their quorum was given up is not among what is on disk.
    if (source === 'disk' && parent !== undefined) {
      this.#run(() => this.#revote({ epoch: vote.epoch - 1, root: parent }))
    }
  }

  #tellDoubleVote(work: EpochWork, vote: Vote, committee: readonly CommitteeMember[]): void {
    const { epoch, round, author } = vote
    const casts = work.contradiction(vote)
    const key = committee.find(({ index }) => index === author)?.key
    if (casts === undefined || key === undefined) return
    const [first, second] = casts.map(({ root, signature }) => ({
      checkpoint: unhex(root),
      signature,
    })) as [CastVote, CastVote]
    for (const tell of this.#doubleVotes) {
      tell({ node: author, key, epoch, round, votes: [first, second] })
    }
  }

  /** What no set holds would be lost at a restart, and everybody would have to vote again. */
  async #keepQuorum(base: EpochBase, work: EpochWork, quorum: Quorum): Promise<void> {
    const { epoch, tag } = base
    const { round, root: checkpoint } = quorum
    const votes = [...work.signatures(quorum)].map(([author, signature]) => {
      const vote: Vote = { epoch, base: tag, kind: KERNEL_KIND, author, round, checkpoint }
      return stored({ type: MessageType.vote, body: Vote.serialize(vote), signature })
    })
    if (epoch > this.#adopted) await this.#components.ledger.putQuorum(epoch, votes)
  }

  /** The proposer submits at once, the others in order of rank, a slot apart. */
  #submitInTurn(
    base: EpochBase,
    committee: readonly CommitteeMember[],
    work: EpochWork,
    quorum: Quorum,
  ): void {
    const { epochs, clock } = this.#components
    const { epoch } = base
    const own = this.#indexes(base)
    if (own.size === 0) return
    const seed = epochs.knownSeed(epoch + 1) ?? base.seed
    const size = Math.max(1, committee.length)
    const turn = [...committee.keys()].findIndex(step =>
      own.has(proposerOf(committee, seed, quorum.round + step) ?? -1),
    )
    if (turn === -1) return
    const { slotMs } = epochs.calendar.profile
    const again = size * slotMs
    this.#submitAt(clock.now() + turn * slotMs, again, () => this.#submit(epoch, work))
  }

  /** Calls `submit` at `time` and then every `again` ms until it says that nothing is left. */
  #submitAt(time: number, again: number, submit: () => Promise<boolean>): void {
    this.#at(time, async () => {
      if (!(await submit())) this.#submitAt(this.#components.clock.now() + again, again, submit)
    })
  }

  /** True when there is nothing left to submit. */
  async #submit(epoch: number, work: EpochWork): Promise<boolean> {
    const { chain, epochs, log } = this.#components
    // What the chain has and this node did not adopt may be cancelled yet.
    if (epoch <= this.#adopted) return true
    const { quorum } = work
    const settled = quorum && (await this.#settledBy(epoch, quorum.root))
    const committee = quorum && epochs.committeeOfRound(epoch, quorum.round)
    if (quorum === undefined || settled === undefined || committee === undefined) return false
    if (this.#newestOnChain() !== epoch - 1) return false
    const signatures = work.signatures(quorum)
    const present = committee.filter(({ index }) => signatures.has(index))
    // Another quorum took its place meanwhile.
    if (present.length === 0) return false
    const absent = [...committee.entries()]
      .filter(([, { index }]) => !signatures.has(index))
      .map(([place]) => place)
    const signature = bls.aggregateSignatures(
      present.map(({ index }) => signatures.get(index) as Uint8Array),
    )
    const submission = {
      checkpoint: Checkpoint.serialize(settled.settlement.checkpoint),
      round: quorum.round,
      committee: { members: committee, absent },
      signature,
    }
    try {
      await chain.submit(submission, this.#stopped.signal)
      return true
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
      if (error.code === 'alreadyAccepted') return false
      if (this.#stopped.signal.aborted) return true
      log.warn({ epoch, code: error.code, err: error }, 'the checkpoint was not accepted yet')
      return false
    }
  }

  #acceptedRoot(epoch: number): Uint8Array | undefined {
    const { chain } = this.#components
    const head = chain.head()
    return head && chain.checkpointsAt(head.number).findLast(landed => landed.epoch === epoch)?.root
  }

  /** -1: the genesis checkpoint, or none that this node knows of. */
  #newestOnChain(): number {
    const { chain } = this.#components
    const head = chain.head()
    return (head && chain.checkpointsAt(head.number).at(-1)?.epoch) ?? -1
  }

  /** What epoch's checkpoint builds on: accepted, or while the chain is away, the quorum's. */
  async #parent(epoch: number): Promise<Parent | undefined> {
    const accepted = await this.#components.settlements.accepted(epoch - 1)
    if (accepted !== undefined) return accepted
    const quorum = this.#work.get(epoch - 1)?.quorum
    const settled = quorum && (await this.#settledBy(epoch - 1, quorum.root))
    if (settled === undefined) return undefined
    const { root, checkpoint, state } = settled.settlement
    return { root, checkpoint, state }
  }

  /** A checkpoint as it was settled here, or before a restart what this node voted for. */
  async #settledBy(epoch: number, root: Uint8Array): Promise<Settled | undefined> {
    const { epochs, ledger } = this.#components
    const work = this.#workOf(epoch)
    const known = work.settled(root)
    if (known !== undefined) return known
    const voted = await ledger.voted(epoch, root)
    if (voted === undefined) return undefined
    const base = await epochs.resolve(epoch)
    const parent = await this.#parent(epoch)
    if (base === undefined || parent === undefined) return undefined
    const { set, surplus } = epochs.replay(epoch)
    const subset = set.subset(voted.ids, surplus)
    const settled = subset && (await this.#settle(subset, base, parent))
    if (settled === undefined || !equalBytes(settled.settlement.root, root)) return undefined
    work.remember(settled)
    return settled
  }

  /** Adoption is strictly one epoch after the other. */
  #adoptSoon(): void {
    this.#adopting = this.#adopting
      .then(() => this.#adoptAll())
      .catch((error: unknown) => {
        if (this.#stopped.signal.aborted) return
        this.#components.log.error({ err: error }, 'could not adopt what the chain accepted')
      })
  }

  async #adoptAll(): Promise<void> {
    const { chain } = this.#components
    const head = chain.head()
    if (head === undefined) return
    const landed = chain.checkpointsAt(head.number)
    await this.#reconsider()
    await this.#retreat(landed, head.number)
    await this.#dropCancelled()
    this.#takeUpFormed()
    this.#keepRounds()
    const newest = landed.at(-1)?.epoch ?? -1
    for (const accepted of landed) {
      if (accepted.epoch <= this.#adopted || this.#stopped.signal.aborted) continue
      const settled = await this.#settledAs(accepted, newest)
      if (settled === undefined && accepted.epoch > newest - REPLAY_EPOCHS) {
        // The state alone lets the node go on, but a peer may be met by the next advance.
        if (++this.#withoutSet < SET_TRIES) return
        if ((await this.#components.states.at(accepted)) === undefined) return
      }
      this.#withoutSet = 0
      await this.#adopt(accepted, settled)
    }
  }

  /** The accepted settlement as computed here before, or recomputed from a peer's set. */
  async #settledAs(accepted: AcceptedCheckpoint, newest: number): Promise<Settled | undefined> {
    const known = this.#work.get(accepted.epoch)?.settled(accepted.root)
    if (known !== undefined || accepted.epoch <= newest - REPLAY_EPOCHS) return known
    const { epochs, network, log } = this.#components
    const { epoch } = accepted
    // The set holds votes about the epoch before, which are judged by its base.
    if (epoch > 0) await epochs.resolve(epoch - 1)
    const base = await epochs.resolve(epoch)
    const parent = await this.#parent(epoch)
    if (base === undefined || parent === undefined) return undefined
    const { messages } = decode(Checkpoint, accepted.checkpoint)
    const record = epochs.replay(epoch)
    for (const peer of network.peers()) {
      const ids = await this.#fetchSet(record, peer, { root: messages })
      if (ids === undefined) continue
      const subset = record.set.subset(ids, record.surplus)
      if (subset === undefined) continue
      const settled = await this.#settle(subset, base, parent)
      if (settled !== undefined && equalBytes(settled.settlement.root, accepted.root)) {
        return settled
      }
      log.error(
        { epoch, accepted: hex(accepted.root) },
        'the chain accepted a checkpoint that this node computes differently',
      )
      return undefined
    }
    return undefined
  }

  async #adopt(accepted: AcceptedCheckpoint, settled: Settled | undefined): Promise<void> {
    const { states, ledger, ingest, epochs } = this.#components
    const { epoch, checkpoint } = accepted
    if (settled !== undefined) {
      await states.put(settled.settlement.state)
      const ids = settled.set.ids()
      await ledger.putFinal(epoch, { checkpoint, ids })
      await ledger.putLanding(epoch, accepted.block.number)
      await ingest.settled(ids)
    }
    this.#adopted = epoch
    this.#adoptions.set(epoch, { root: accepted.root, block: accepted.block.number })
    this.#adoptions.delete(epoch - ADOPTED_MAX)
    this.#work.delete(epoch - 1)
    await ledger.dropVoted(epoch)
    epochs.forget(epoch)
    await epochs.learnDraw(epoch + 2)
    await this.#revote(accepted)
    await this.#prune(epoch)
    for (const listener of this.#listeners) listener({ accepted, settled })
  }

  /**
   * Begins epochs anew whose base a reorganisation or a cancellation took away: settlements and votes
   * about them are of no use. What this node said in the present one it does not say again.
   */
  async #reconsider(): Promise<void> {
    const { epochs, ledger, log } = this.#components
    const now = epochs.now()
    for (const epoch of epochs.reconsider()) {
      log.warn({ epoch }, 'the chain no longer has what an epoch rested on')
      this.#work.delete(epoch)
      await ledger.dropQuorum(epoch)
      if (epoch >= now) this.#run(() => epochs.follow(epoch))
      else if (epoch > this.#adopted) this.#scheduleRound(epoch)
    }
  }

  /** Goes back to the last adopted epoch that the chain has as this node adopted it. */
  async #retreat(landed: readonly AcceptedCheckpoint[], head: bigint): Promise<void> {
    const { ledger, ingest, log } = this.#components
    const from = this.#adopted
    const last = await this.#lastKept(landed, head)
    if (last === from) return
    log.warn({ from, to: last }, 'the chain took checkpoints back; this node follows it')
    for (let epoch = from; epoch > last; epoch--) {
      const final = await ledger.final(epoch)
      if (final !== undefined) {
        const root = checkpointRoot(decode(Checkpoint, final.checkpoint))
        // A quorum that was not cancelled is landed again by who can show what it is of.
        await ledger.putVoted(epoch, root, final)
        await ledger.dropFinal(epoch)
        await ingest.unsettled(final.ids)
      }
      this.#adoptions.delete(epoch)
    }
    this.#adopted = last
    for (const listener of this.#retreats) listener(last)
    for (let epoch = last + 1; epoch <= from; epoch++) await this.#takeUpAgain(epoch)
  }

  /**
   * What the view does not show yet is not taken back: after a restart, and after a reorganisation, it
   * is behind where it was.
   */
  async #lastKept(landed: readonly AcceptedCheckpoint[], head: bigint): Promise<number> {
    for (let epoch = this.#adopted; epoch >= 0; epoch--) {
      const own = await this.#adoption(epoch)
      const theirs = landed[epoch + 1]
      // Of an epoch that was adopted by its state alone nothing is known after a restart.
      if (own === undefined || (theirs && equalBytes(own.root, theirs.root))) return epoch
      if (theirs === undefined && head < own.block) return this.#adopted
    }
    return -1
  }

  async #adoption(epoch: number): Promise<Adoption | undefined> {
    const known = this.#adoptions.get(epoch)
    if (known !== undefined) return known
    const { ledger } = this.#components
    const final = await ledger.final(epoch)
    if (final === undefined) return undefined
    const root = checkpointRoot(decode(Checkpoint, final.checkpoint))
    const adoption = { root, block: (await ledger.landing(epoch)) ?? 0n }
    this.#adoptions.set(epoch, adoption)
    return adoption
  }

  /** Counts the votes of an epoch again, and lands their quorum or goes on with the rounds. */
  async #takeUpAgain(epoch: number): Promise<void> {
    const { epochs } = this.#components
    const base = await epochs.resolve(epoch)
    // Reads the votes from disk where they are no longer in memory.
    await epochs.resolve(epoch + 1)
    const committee = epochs.committee(epoch)
    const work = this.#workOf(epoch)
    if (base !== undefined && committee !== undefined) {
      for (const { envelope } of epochs.replay(epoch + 1).set.messages()) {
        if (envelope.type !== MessageType.vote) continue
        const vote = decode(Vote, envelope.body)
        const voters = epochs.committeeOfRound(vote.epoch, vote.round)
        if (vote.epoch === epoch && voters) work.count(vote, envelope.signature, voters)
      }
      const { quorum } = work
      if (quorum !== undefined) return this.#submitInTurn(base, committee, work, quorum)
    }
    this.#scheduleRound(epoch)
  }

  /**
   * A quorum that the chain cancelled is none: its epoch is voted again, and those after it, also by
   * who began when the chain still had them.
   */
  async #dropCancelled(): Promise<void> {
    const { chain, ledger, epochs } = this.#components
    const all = chain.cancelled()
    for (const cancelled of all) {
      const { epoch } = cancelled
      if (epoch <= this.#adopted || !this.#work.get(epoch)?.cancel(cancelled)) continue
      await ledger.dropQuorum(epoch)
      this.#scheduleRound(epoch)
    }
    const first = Math.min(...all.slice(this.#cancellations).map(({ epoch }) => epoch))
    this.#cancellations = all.length
    const end = Math.min(epochs.now(), this.#adopted + WORK_MAX)
    for (let epoch = Math.max(first, this.#adopted + 1); epoch < end; epoch++) {
      if (!this.#isSettled(epoch)) this.#scheduleRound(epoch)
    }
  }

  /** Where another committee signs than did, its rounds begin; also where a reorganisation took it. */
  #takeUpFormed(): void {
    const { chain, log } = this.#components
    const succession = chain.succession()
    if (succession === undefined) return
    const { epoch, formed } = succession
    this.#work.get(epoch)?.goesOn(this.#nextRound(epoch))
    const name = formed && `${epoch}/${hex(formed.block.hash)}`
    if (this.#formed === name) return
    this.#formed = name
    if (formed === undefined) return
    const { members, chosen } = formed
    const text = chosen ? 'the council chose another committee' : 'another committee formed'
    log.warn({ epoch, members: members.length }, `${text} where none signed`)
  }

  /**
   * The next epoch is voted again when its quorum builds on another parent than the chain accepted, or
   * on one that this node does not know. In that case it did not vote for it and cannot land it; but
   * more than two thirds of the weight did, and know: no other quorum comes about without them while
   * they hold to theirs.
   */
  async #revote({ epoch, root }: Pick<AcceptedCheckpoint, 'epoch' | 'root'>): Promise<void> {
    const work = this.#work.get(epoch + 1)
    const quorum = work?.quorum
    if (work === undefined || quorum === undefined) return
    const parent = work.parentOf(quorum.root) ?? (await this.#votedParent(epoch + 1, quorum))
    if (parent !== undefined && equalBytes(parent, root)) return
    work.voidBefore(this.#nextRound(epoch + 1))
    this.#scheduleRound(epoch + 1)
    await this.#components.ledger.dropQuorum(epoch + 1)
  }

  /** What a checkpoint builds on that this node voted for, also before a restart. */
  async #votedParent(epoch: number, { root }: Quorum): Promise<Uint8Array | undefined> {
    const voted = await this.#components.ledger.voted(epoch, root)
    return voted && decode(Checkpoint, voted.checkpoint).parent
  }

  /** Lets go of what is older than `retainEpochs`: others' messages, and the state. */
  async #prune(adopted: number): Promise<void> {
    const { ledger, epochs, chain, speakers } = this.#components
    const old = adopted - epochs.calendar.profile.retainEpochs
    if (old < 0 || this.#init.archive) return
    const stateOf = async (epoch: number) => {
      const final = await ledger.final(epoch)
      return final && decode(Checkpoint, final.checkpoint).state
    }
    const state = await stateOf(old)
    const next = await stateOf(old + 1)
    // An epoch in which nothing happened leaves the state as it was.
    if (state && !(next && equalBytes(state, next))) await ledger.dropState(state)
    const identities = new Set(speakers.map(({ identity }) => hex(identity)))
    const own = chain
      .registryAt(chain.head()?.number ?? 0n)
      .filter(({ identity }) => identities.has(hex(identity)))
      .map(({ index }) => index)
    await ledger.prune(old, ({ envelope }) => {
      const author = authorOf(envelope)
      return author !== undefined && own.includes(author)
    })
  }

  /** Of the nodes that it speaks for and that are active. */
  #indexes(base: EpochBase): Set<number> {
    const indexes = this.#components.speakers.map(speaker => speaker.index(base))
    return new Set(indexes.filter(index => index !== undefined))
  }

  #workOf(epoch: number): EpochWork {
    let work = this.#work.get(epoch)
    if (work === undefined) {
      work = new EpochWork(epoch)
      for (const cancelled of this.#components.chain.cancelled()) {
        if (cancelled.epoch === epoch) work.cancel(cancelled)
      }
      this.#work.set(epoch, work)
      for (const oldest of this.#work.keys()) {
        if (this.#work.size <= WORK_MAX) break
        this.#work.delete(oldest)
      }
    }
    // Also of a committee that formed just now: `#takeUpFormed` may wait for adoptions.
    work.goesOn(this.#nextRound(epoch))
    return work
  }

  #at(time: number, task: () => Promise<void>): Timer {
    const timer = this.#components.clock.at(time, () => {
      this.#timers.delete(timer)
      if (!this.#stopped.signal.aborted) this.#run(task)
    })
    this.#timers.add(timer)
    return timer
  }

  #cancel(timer: Timer | undefined): void {
    if (timer === undefined) return
    timer.cancel()
    this.#timers.delete(timer)
  }

  #run(task: () => Promise<void>): void {
    const running = task()
      .catch((error: unknown) => {
        if (this.#stopped.signal.aborted) return
        this.#components.log.error({ err: error }, 'a checkpoint round failed')
      })
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }
}

/** The first field in which a computed checkpoint differs from a proposed one. */
function difference({ checkpoint }: Settlement, proposed: Checkpoint): string {
  for (const [field, type] of Object.entries(Checkpoint.fields)) {
    const name = field as keyof Checkpoint
    const root = (value: unknown) => hex(type.hashTreeRoot(value as never))
    if (root(checkpoint[name]) !== root(proposed[name])) return field
  }
  return 'none'
}

function codeOf(error: unknown): string {
  if (error instanceof CairnError) return error.code
  throw error
}
