/**
 * The epochs a node works on: for each its base and seed as soon as they are certain, and its
 * messages. Messages that come before the base wait there, without a verdict.
 */
import {
  absentNodes,
  CairnError,
  type Calendar,
  Checkpoint,
  type CommitteeMember,
  candidatesOf,
  chargeable,
  checkFounding,
  committeeWord,
  decode,
  drawCommittee,
  type EpochBase,
  epochAt,
  epochBase,
  epochSeed,
  epochStart,
  equalBytes,
  hex,
  idleNodes,
  isActive,
  type KnownMessages,
  MessageSet,
  PARAMETERS,
  type PlacedMessage,
  type Profile,
  parameterText,
  profileAt,
  type RegistryEntry,
  randomnessOf,
  roundAt,
  type State,
  termStart,
  type Verifier,
  WINDOWS,
  weightOf,
  windowOf,
} from '@cairn/protocol'
import { ignoreAbort } from '../abort.ts'
import type { EpochView } from '../kinds/kind.ts'
import type {
  AcceptedCheckpoint,
  Chain,
  Clock,
  FormedCommittee,
  Log,
  Randomness,
} from '../ports.ts'
import type { Ledger } from './ledger.ts'
import { Waiting } from './waiting.ts'

export interface DrandInit {
  /** The beacon's key, 96 bytes. */
  publicKey: Uint8Array
  /** Seconds since 1970, and between rounds. */
  genesis: number
  period: number
}

export interface EpochsComponents {
  chain: Chain
  clock: Clock
  randomness: Randomness
  ledger: Ledger
  states: States
  verifier: Verifier
  log: Log
}

export interface EpochsInit {
  network: Uint8Array
  profile: Profile
  /** Seconds since 1970. */
  genesis: number
  drand: DrandInit
  /** The state that a network without deals would begin with. */
  founding: State
}

/** Where carried states come from: the ledger, or a peer that proves them by their root. */
export interface States {
  /** The state that an accepted checkpoint commits to; undefined when nobody answers with it. */
  at(accepted: AcceptedCheckpoint): Promise<State | undefined>
}

/** Surplus messages kept per epoch; a set that needs more of them cannot be recomputed here. */
export const SURPLUS_MAX = 4096
/** Epochs kept in memory behind the present one; older ones are read from the ledger. */
const RECENT_EPOCHS = 8
/** Committees that formed and whose members are remembered: one is enough while it signs. */
const FORMED_MAX = 4
/** A founding base assigns no duties. */
const NO_SEED = new Uint8Array(32)
/** Between attempts to learn a seed, ms. */
const SEED_RETRY_MS = 200

/** What an epoch rests on. */
type BaseBlock = Checkpoint['base']

export interface EpochRecord {
  readonly epoch: number
  base: EpochBase | undefined
  /** Root of the checkpoint whose state the base carries. */
  rests: Uint8Array | undefined
  readonly set: MessageSet
  /**
   * Valid messages about whose subject the set holds two others: kept because another node's set may
   * hold this one instead, bounded by `SURPLUS_MAX`.
   */
  readonly surplus: Map<string, PlacedMessage>
  /** Messages that wait for the base or for what they refer to. */
  readonly waiting: Waiting
}

interface DrawnCommittee {
  readonly members: readonly CommitteeMember[]
  /** Hash of the block that it was drawn at. */
  readonly block: Uint8Array
  /** Root of the checkpoint by whose state it is known who was idle or absent; undefined: of none. */
  readonly rests: Uint8Array | undefined
  /** Active nodes that were no candidates, and why. */
  readonly leftOut: ReadonlyMap<number, LeftOut>
}

/** Why a node was not drawn from: silent, or without votes. */
export type LeftOut = 'idle' | 'absent'

interface Stayers {
  /** First epoch of the term, and hash of the block that the weights are of. */
  readonly start: number
  readonly block: Uint8Array
  readonly members: readonly CommitteeMember[]
}

export class Epochs implements EpochView {
  readonly calendar: Calendar & { profile: Profile }
  readonly #components: EpochsComponents
  readonly #init: EpochsInit
  readonly #records = new Map<number, EpochRecord>()
  readonly #seeds = new Map<number, Uint8Array>()
  /** By the first epoch of their term. */
  readonly #committees = new Map<number, DrawnCommittee>()
  /** Members of committees that formed where none signed, by their words. */
  readonly #formed = new Map<string, readonly CommitteeMember[]>()
  /** Who of these stays until the term ends, and words: asked for with every vote. */
  readonly #stayers = new WeakMap<readonly CommitteeMember[], Stayers>()
  readonly #words = new WeakMap<readonly CommitteeMember[], Uint8Array>()
  readonly #listeners: ((base: EpochBase, record: EpochRecord) => void | Promise<void>)[] = []
  readonly #stopped = new AbortController()
  readonly #resolving = new Map<number, Promise<EpochBase | undefined>>()
  /** The chain is known to have begun with the manifest's parameters. */
  #founded = false
  #mismatch: CairnError | undefined
  /** The chain has shown a cancellation: from then on each base is held against what is accepted. */
  #hadCancelled = false

  constructor(components: EpochsComponents, init: EpochsInit) {
    this.#components = components
    this.#init = init
    this.calendar = { genesis: init.genesis, profile: init.profile }
  }

  now(): number {
    return epochAt(this.calendar, this.#components.clock.now())
  }

  stop(): void {
    this.#stopped.abort()
  }

  /** Called once per epoch, in the turn in which its base became known. */
  onBase(listener: (base: EpochBase, record: EpochRecord) => void | Promise<void>): void {
    this.#listeners.push(listener)
  }

  /** The record of an epoch near the present; undefined for one too far off. */
  record(epoch: number): EpochRecord | undefined {
    const known = this.#records.get(epoch)
    if (known !== undefined) return known
    const now = this.now()
    if (epoch < Math.max(0, now - RECENT_EPOCHS) || epoch > now + 1) return undefined
    return this.#open(epoch)
  }

  /** A record whatever its age: for replaying what the chain accepted. */
  replay(epoch: number): EpochRecord {
    return this.#records.get(epoch) ?? this.#open(epoch)
  }

  /** Before genesis: what epoch 0 would rest on, for the deals that a network begins with. */
  base(epoch: number): EpochBase | undefined {
    if (epoch < 0) return this.#founding()
    return this.#records.get(epoch)?.base
  }

  /** What the newest epoch runs on whose base is known; before any, what the network began with. */
  profile(): Profile {
    const newest = Math.max(...this.#records.keys())
    for (let epoch = newest; epoch > newest - RECENT_EPOCHS; epoch--) {
      const base = this.#records.get(epoch)?.base
      if (base !== undefined) return base.profile
    }
    return this.#init.profile
  }

  /** `otherParameters`, where the chain did not begin with what the manifest says. */
  get mismatch(): CairnError | undefined {
    return this.#mismatch
  }

  known(epoch: number): KnownMessages {
    return this.#records.get(epoch)?.set ?? new MessageSet()
  }

  /**
   * Resolves the base as soon as it can be known, and once all listeners are done with it; undefined
   * when it cannot be yet. A listener must not wait for it.
   */
  async resolve(epoch: number): Promise<EpochBase | undefined> {
    // While the listeners are at work the record has its base, but not its messages from disk.
    const running = this.#resolving.get(epoch)
    if (running !== undefined) return await running
    const record = this.replay(epoch)
    if (record.base !== undefined) return record.base
    const attempt = this.#resolve(record).finally(() => this.#resolving.delete(epoch))
    this.#resolving.set(epoch, attempt)
    return await attempt
  }

  /** The block that an epoch rests on; undefined until it is final and certain. */
  baseBlock(epoch: number): BaseBlock | undefined {
    const { chain } = this.#components
    const started = chain.genesis()
    if (started === undefined) return undefined
    const { lookback } = this.#init.profile
    if (epoch < lookback) return firstBase(started)
    const before = epochStart(this.calendar, epoch - lookback) / 1_000
    return chain.lastBlockBefore(before)
  }

  /**
   * Checkpoints landed after the base of the epoch before and up to this one's; undefined while one
   * of the two is not known.
   */
  landed(epoch: number): readonly AcceptedCheckpoint[] | undefined {
    const block = this.baseBlock(epoch)
    const before = epoch === 0 ? block : this.baseBlock(epoch - 1)
    if (block === undefined || before === undefined) return undefined
    return this.#components.chain
      .checkpointsAt(block.number)
      .filter(({ block: { number }, epoch: landed }) => number > before.number && landed >= 0)
  }

  /**
   * The committee that signs an epoch's checkpoint: the one that formed for it, else the one that the
   * checkpoint before names. Undefined while that is not known.
   */
  committee(epoch: number): readonly CommitteeMember[] | undefined {
    const formed = this.formedFor(epoch)
    return formed === undefined ? this.named(epoch) : this.#membersOf(formed)
  }

  /**
   * The committee that votes in a round, whoever signs in the end: what was said in its name stays
   * valid where another one forms. Undefined where none is known by its window.
   */
  committeeOfRound(epoch: number, round: number): readonly CommitteeMember[] | undefined {
    const window = windowOf(round)
    if (window === 0) return this.named(epoch)
    const formed = this.#components.chain
      .succession()
      ?.committees.findLast(one => one.epoch === epoch && one.window % WINDOWS === window)
    return formed && this.#membersOf(formed)
  }

  /** Of the committee that signs an epoch's checkpoint, modulo `WINDOWS`; 0: it did not form by one. */
  window(epoch: number): number {
    return (this.formedFor(epoch)?.window ?? 0) % WINDOWS
  }

  /**
   * The committee that the checkpoint before names for an epoch. Whoever formed one in the same term
   * stays until its end, with the weights that the contract knows of its first epoch's base, unless
   * those that had weight there held no majority: then the one that was drawn signs again. Undefined while the base is not known, or what the term was drawn by (`learnDraw` learns it).
   */
  named(epoch: number): readonly CommitteeMember[] | undefined {
    const start = termStart(epoch, this.#init.profile)
    const drawn = this.drawn(epoch)
    for (let before = epoch - 1; before >= start; before--) {
      const formed = this.formedFor(before)
      if (formed !== undefined) return this.#stayersOf(formed, start) ?? drawn
    }
    return drawn
  }

  /** Who was drawn for an epoch's term, whoever signs; undefined as for `named`. */
  drawn(epoch: number): readonly CommitteeMember[] | undefined {
    const start = termStart(epoch, this.#init.profile)
    return this.#committees.get(start)?.members ?? this.#drawnBeforeStates(start)
  }

  /** Why a node was left out of the draw of an epoch's term; undefined: it was not, or is not known. */
  leftOut(epoch: number, node: number): LeftOut | undefined {
    return this.#committees.get(termStart(epoch, this.#init.profile))?.leftOut.get(node)
  }

  /** Whether a committee formed for an epoch, or may before this node hears of it. */
  mayForm(epoch: number): boolean {
    if (this.formedFor(epoch) !== undefined) return true
    const succession = this.#components.chain.succession()
    // Nobody has said yet when it is due: it may be.
    if (succession === undefined) return true
    if (epoch < succession.epoch) return false
    return this.#components.clock.now() >= succession.due * 1_000
  }

  /**
   * Draws the committee of the term that begins two epochs after a checkpoint, by whose state it is
   * known who was idle or absent; what is drawn by another one is forgotten.
   */
  draw({ epoch, root, state }: { epoch: number; root: Uint8Array; state: State }): void {
    const start = epoch + 2
    const { profile } = this.#init
    if (start !== termStart(start, profile)) return
    const known = this.#committees.get(start)
    if (known?.rests !== undefined && equalBytes(known.rests, root)) return
    this.#draw(start, { state, epoch, root })
  }

  /** Draws the committee of an epoch's term by what the chain accepted, where that is not done. */
  async learnDraw(epoch: number): Promise<void> {
    const { states } = this.#components
    const start = termStart(epoch, this.#init.profile)
    if (start < 1 || this.#committees.has(start)) return
    const accepted = this.#landed(start - 2)
    if (accepted === undefined || (await this.seed(start - 1)) === undefined) return
    const state = await states.at(accepted)
    if (state !== undefined) this.draw({ epoch: start - 2, root: accepted.root, state })
  }

  #word(members: readonly CommitteeMember[]): Uint8Array {
    let word = this.#words.get(members)
    if (word === undefined) {
      word = committeeWord(members)
      this.#words.set(members, word)
    }
    return word
  }

  /** Of the first term, which begins before anybody can be idle or absent. */
  #drawnBeforeStates(start: number): readonly CommitteeMember[] | undefined {
    return start === 0 ? this.#draw(start, undefined) : undefined
  }

  #draw(
    start: number,
    by: { epoch: number; root: Uint8Array; state: State } | undefined,
  ): readonly CommitteeMember[] | undefined {
    const { profile } = this.#init
    const block = this.baseBlock(start)
    const seed = this.#seeds.get(start - 1)
    if (block === undefined || (start > 0 && seed === undefined)) return undefined
    const active = this.#activeAt(block, start)
    const left = by && {
      idle: idleNodes(active, { ...this.calendar, state: by.state, stateEpoch: by.epoch }),
      absent: absentNodes(by.state.core, profile),
    }
    const candidates = left === undefined ? active : candidatesOf(active, left, profile)
    const members = drawCommittee(candidates, profile, seed)
    const drawnFrom = new Set(candidates.map(({ index }) => index))
    const leftOut = new Map<number, LeftOut>()
    for (const { index } of active) {
      if (!drawnFrom.has(index)) leftOut.set(index, left?.idle.has(index) ? 'idle' : 'absent')
    }
    this.#committees.set(start, { members, block: block.hash, rests: by?.root, leftOut })
    return members
  }

  #activeAt({ number }: BaseBlock, epoch: number): readonly RegistryEntry[] {
    return this.#components.chain
      .registryAt(number)
      .filter(entry => isActive(entry, epoch, this.calendar))
  }

  /**
   * The committee that formed for an epoch: of one that has a checkpoint, where it signed; of the next
   * one, where it will.
   */
  formedFor(epoch: number): FormedCommittee | undefined {
    if (epoch < 0) return undefined
    const landed = this.#landed(epoch)
    if (landed !== undefined) return landed.formed
    const formed = this.#components.chain.succession()?.formed
    return formed?.epoch === epoch ? formed : undefined
  }

  /** In the order of their coming. */
  #membersOf({ word, members }: FormedCommittee): readonly CommitteeMember[] {
    const known = this.#formed.get(hex(word))
    if (known !== undefined) return known
    const found = members.map(({ node, key, weight }) => ({ index: node, key, weight }))
    this.#formed.set(hex(word), found)
    for (const oldest of this.#formed.keys()) {
      if (this.#formed.size <= FORMED_MAX) break
      this.#formed.delete(oldest)
    }
    return found
  }

  /**
   * By ascending index; undefined where they are too few. A majority may have come that had no bond yet
   * where the term was drawn: a third of all weight could then be two thirds of who is left.
   */
  #stayersOf(formed: FormedCommittee, start: number): readonly CommitteeMember[] | undefined {
    const block = this.baseBlock(start)
    if (block === undefined) return undefined
    const members = this.#membersOf(formed)
    const known = this.#stayers.get(members)
    if (known?.start === start && equalBytes(known.block, block.hash)) return known.members
    const { profile } = this.#init
    const here = new Set(members.map(({ index }) => index))
    const stayers = this.#components.chain
      .registryAt(block.number)
      .filter(({ index }) => here.has(index))
      .map(({ index, voting, bond }) => ({ index, key: voting, weight: weightOf(bond, profile) }))
      .filter(({ weight }) => weight > 0)
      .sort((a, b) => a.index - b.index)
    const active = this.#activeAt(block, start)
    const total = active.reduce((sum, { bond }) => sum + weightOf(bond, profile), 0)
    const stay = stayers.reduce((sum, { weight }) => sum + weight, 0)
    if (stayers.length === 0 || (!formed.chosen && 2 * stay <= total)) return undefined
    this.#stayers.set(members, { start, block: block.hash, members: stayers })
    return stayers
  }

  /**
   * Forgets what rests on blocks that the chain no longer has, or on a checkpoint that it cancelled, and
   * returns the epochs whose base is gone, ascending. What was said in one whose block is gone names that
   * block, and is void.
   */
  reconsider(): number[] {
    const isOther = (epoch: number, hash: Uint8Array) => {
      const block = this.baseBlock(epoch)
      // While the view is behind, nothing is known of it.
      return block !== undefined && !equalBytes(block.hash, hash)
    }
    for (const [start, { block, rests }] of this.#committees) {
      const before = this.#landed(start - 2)?.root
      const other = rests !== undefined && before !== undefined && !equalBytes(before, rests)
      if (other || isOther(start, block)) this.#committees.delete(start)
    }
    this.#hadCancelled ||= this.#components.chain.cancelled().length > 0
    const gone = [...this.#records.values()]
      .filter(({ epoch, base, rests }) => {
        if (base === undefined || rests === undefined) return false
        if (isOther(epoch, base.block.hash)) return true
        if (!this.#hadCancelled) return false
        const block = this.baseBlock(epoch)
        const last = block && this.#lastAt(block)
        return last !== undefined && !equalBytes(last.root, rests)
      })
      .map(({ epoch }) => epoch)
    for (const epoch of gone) this.#records.delete(epoch)
    return gone.sort((a, b) => a - b)
  }

  #landed(epoch: number): AcceptedCheckpoint | undefined {
    const { chain } = this.#components
    const head = chain.head()
    return head && chain.checkpointsAt(head.number)[epoch + 1]
  }

  /** A committee that this node has drawn lately, or seen form, by its word. */
  committeeOf(word: Uint8Array): readonly CommitteeMember[] | undefined {
    const formed = this.#formed.get(hex(word))
    if (formed !== undefined) return formed
    for (const { members } of this.#committees.values()) {
      if (members.length > 0 && equalBytes(this.#word(members), word)) return members
    }
    return undefined
  }

  /** An epoch's seed; learnt once, verified, and kept in the ledger. */
  async seed(epoch: number): Promise<Uint8Array | undefined> {
    const known = this.#seeds.get(epoch)
    if (known !== undefined) return known
    const { ledger, randomness, verifier, log } = this.#components
    const { drand, network } = this.#init
    const round = roundAt({ ...drand, seconds: epochStart(this.calendar, epoch) / 1_000 })
    const kept = await ledger.seed(epoch)
    const signature = kept ?? (await randomness.round(round, this.#stopped.signal))
    if (signature === undefined) return undefined
    if (!verifier.drand({ publicKey: drand.publicKey, round, signature })) {
      log.warn({ round }, 'the randomness source sent a round with a wrong signature')
      return undefined
    }
    if (kept === undefined) await ledger.putSeed(epoch, signature)
    const seed = epochSeed({ network, epoch, randomness: randomnessOf(signature) })
    this.#seeds.set(epoch, seed)
    return seed
  }

  /** A seed that was learnt before. */
  knownSeed(epoch: number): Uint8Array | undefined {
    return this.#seeds.get(epoch)
  }

  /** Keeps trying to learn the seed and base of an epoch until it is over. */
  async follow(epoch: number): Promise<void> {
    const { clock } = this.#components
    const end = epochStart(this.calendar, epoch + 1)
    const { signal } = this.#stopped
    while (clock.now() < end && !signal.aborted) {
      if ((await this.resolve(epoch)) !== undefined) return
      await clock.until(clock.now() + SEED_RETRY_MS, signal).catch(ignoreAbort(signal))
    }
  }

  /** Lets go of epochs that are settled. */
  forget(before: number): void {
    for (const epoch of this.#records.keys()) {
      if (epoch < before - RECENT_EPOCHS) this.#records.delete(epoch)
    }
    const { roundEpochs, termEpochs } = this.#init.profile
    // Of the round that is going on, and the one that the term's committee was drawn by.
    const needed = before - RECENT_EPOCHS - Math.max(roundEpochs, termEpochs + 1)
    for (const epoch of this.#seeds.keys()) if (epoch < needed) this.#seeds.delete(epoch)
    for (const start of this.#committees.keys()) {
      if (start < needed) this.#committees.delete(start)
    }
  }

  #open(epoch: number): EpochRecord {
    const record: EpochRecord = {
      epoch,
      base: undefined,
      rests: undefined,
      set: new MessageSet(),
      surplus: new Map(),
      waiting: new Waiting(),
    }
    this.#records.set(epoch, record)
    return record
  }

  #founding(): EpochBase | undefined {
    const { chain } = this.#components
    const head = chain.head()
    if (head === undefined) return undefined
    const { network, profile, genesis, founding } = this.#init
    return epochBase({
      epoch: 0,
      network,
      profile,
      genesis,
      block: { number: head.number, hash: head.hash },
      seed: NO_SEED,
      earlierSeeds: new Map(),
      registry: chain.registryAt(head.number),
      deposits: chargeable(chain.depositsAt(head.number)),
      state: founding,
      stateEpoch: -1,
    })
  }

  async #resolve(record: EpochRecord): Promise<EpochBase | undefined> {
    const { chain, states } = this.#components
    const { network, genesis } = this.#init
    const block = this.baseBlock(record.epoch)
    if (block === undefined) return undefined
    const last = this.#lastAt(block)
    if (last === undefined) return undefined
    const state = await states.at(last)
    if (state === undefined) return undefined
    const seed = await this.seed(record.epoch)
    if (seed === undefined) return undefined
    const earlierSeeds = await this.#earlierSeeds(record.epoch)
    if (earlierSeeds === undefined || !(await this.#hasTermSeeds(record.epoch))) return undefined
    const profile = this.#profileAt(block)
    if (profile === undefined) return undefined
    const base = epochBase({
      epoch: record.epoch,
      network,
      profile,
      genesis,
      block: { number: block.number, hash: block.hash },
      seed,
      earlierSeeds,
      registry: chain.registryAt(block.number),
      deposits: chargeable(chain.depositsAt(block.number)),
      state,
      stateEpoch: last.epoch,
    })
    this.#tellChanges(base)
    record.base = base
    record.rests = last.root
    for (const listener of this.#listeners) await listener(base, record)
    return base
  }

  /**
   * The last checkpoint accepted in a block that was not cancelled since. With a checkpoint go all that
   * follow it, those of epochs that rest on it among them: what is accepted rests on what is accepted.
   */
  #lastAt({ number }: BaseBlock): AcceptedCheckpoint | undefined {
    const { chain } = this.#components
    const head = chain.head()
    const left = head === undefined ? [] : chain.checkpointsAt(head.number)
    const last = chain.checkpointsAt(number).findLast(({ epoch, root }) => {
      const now = left[epoch + 1]
      return now !== undefined && equalBytes(now.root, root)
    })
    // What the network begins with counts from the first base on, which may be before the start.
    return last ?? left[0]
  }

  /** An operator is to see from which epoch on a vote counts. */
  #tellChanges({ epoch, profile }: EpochBase): void {
    const before = this.#records.get(epoch - 1)?.base?.profile
    if (before === undefined) return
    for (const parameter of PARAMETERS) {
      const [was, is] = [before, profile].map(of => parameterText(parameter, parameter.of(of)))
      if (was === is) continue
      const facts = { epoch, parameter: parameter.name, was, is }
      this.#components.log.info(facts, 'a vote changes a parameter from this epoch on')
    }
  }

  /** Undefined while it is not known what the chain began with, and where it is not the manifest's. */
  #profileAt({ number }: BaseBlock): Profile | undefined {
    const { profile } = this.#init
    // What an endpoint said wrongly it may say rightly later.
    this.#founded ||= this.#isFounded()
    return this.#founded
      ? profileAt(profile, this.#components.chain.parametersAt(number))
      : undefined
  }

  /** False while it is not known, too. */
  #isFounded(): boolean {
    const { chain, log } = this.#components
    const founding = chain.foundingParameters()
    const started = chain.genesis()
    if (founding === undefined || started === undefined) return false
    const votes = chain.parametersAt(started.block.number)
    try {
      const voted = votes.map(({ name, value }) => [name, value] as const)
      checkFounding(this.#init.profile, new Map([...founding, ...voted]))
      this.#mismatch = undefined
      return true
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
      if (this.#mismatch?.message !== error.message) {
        this.#mismatch = error
        log.error({ err: error }, 'the chain runs on other parameters: this node takes no part')
      }
      return false
    }
  }

  /** Learns the seeds that the committees of the last, this and the next epoch are drawn by. */
  async #hasTermSeeds(epoch: number): Promise<boolean> {
    for (const signed of [epoch - 1, epoch, epoch + 1]) {
      const drawnBy = termStart(Math.max(0, signed), this.#init.profile) - 1
      if (drawnBy >= 0 && (await this.seed(drawnBy)) === undefined) return false
      await this.learnDraw(Math.max(0, signed))
    }
    return true
  }

  /** All of them or undefined: settlement must not depend on which of them a node knows. */
  async #earlierSeeds(epoch: number): Promise<Map<number, Uint8Array> | undefined> {
    const { roundEpochs } = this.#init.profile
    const seeds = new Map<number, Uint8Array>()
    for (let e = Math.floor(epoch / roundEpochs) * roundEpochs; e < epoch; e++) {
      const seed = await this.seed(e)
      if (seed === undefined) return undefined
      seeds.set(e, seed)
    }
    return seeds
  }
}

/**
 * Of the first epochs: the block that the genesis checkpoint names, so that nobody who registers,
 * bonds or leaves while the network is started changes who signs; that of the start where it names
 * none before it.
 */
export function firstBase({ checkpoint, block }: AcceptedCheckpoint): BaseBlock {
  const { base } = decode<Checkpoint>(Checkpoint, checkpoint)
  return base.number > 0n && base.number < block.number ? base : block
}
