/**
 * Looks at the committee that each accepted checkpoint names for the next epoch. Where it is not the
 * one that was drawn, and its members can be learnt, the contract is shown one that is not registered
 * with that key and weight, and cancels the checkpoint. Nodes come one after the other, so that one
 * transaction does it.
 *
 * A word says nothing of its members. Known are those of committees that this node drew itself, as
 * one of an earlier term, and what a peer tells: a committee of strangers that nobody tells of is left
 * to the guardian.
 */
import {
  CairnError,
  Checkpoint,
  committeeWord,
  decode,
  equalBytes,
  hex,
  type RegistryEntry,
  termStart,
  type WeightedKey,
  weightOf,
} from '@cairn/protocol'
import type { Epochs } from '../ledger/epochs.ts'
import type { Sync } from '../ledger/sync.ts'
import type { AcceptedCheckpoint, Chain, Clock, Log, Timer } from '../ports.ts'
import type { Speaker } from '../voice.ts'

export interface VetoesComponents {
  chain: Chain
  clock: Clock
  epochs: Epochs
  sync: Sync
  /** Of every node that this daemon speaks for. */
  speakers: readonly Speaker[]
  log: Log
}

/** Newest accepted checkpoints that are looked at: the delay is an epoch, and bases cost a state each. */
const LOOKED_AT_MAX = 4
/** Members that the contract is shown until it finds fault with one. */
const SHOWN_MAX = 8

export class Vetoes {
  readonly #components: VetoesComponents
  /** Landings of checkpoints that name the committee that was drawn, or are dealt with; newest last. */
  readonly #seen = new Set<string>()
  readonly #timers = new Set<Timer>()
  readonly #stopped = new AbortController()
  #looking: Promise<void> = Promise.resolve()
  /** The next look is no sooner, ms. */
  #lookAt = 0
  /** Peers are asked for members no sooner, ms. */
  #askAt = 0
  /** The landing that was complained of last. */
  #told: string | undefined
  #leave: () => void = () => {}

  constructor(components: VetoesComponents) {
    this.#components = components
  }

  start(): void {
    const { chain, clock, epochs } = this.#components
    this.#leave = chain.onAdvance(() => {
      // A base that cannot be had is not asked of the peers for every block.
      if (clock.now() < this.#lookAt) return
      this.#lookAt = clock.now() + epochs.calendar.profile.slotMs
      this.#soon(() => this.#look())
    })
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#leave()
    for (const timer of this.#timers) timer.cancel()
    await this.#looking
  }

  #soon(task: () => Promise<void>): void {
    this.#looking = this.#looking
      .then(() => (this.#stopped.signal.aborted ? undefined : task()))
      .catch((error: unknown) => {
        if (this.#stopped.signal.aborted) return
        this.#components.log.error({ err: error }, 'a named committee could not be looked at')
      })
  }

  async #look(): Promise<void> {
    for (const accepted of this.#landed().slice(1).slice(-LOOKED_AT_MAX)) {
      const landing = landingOf(accepted)
      if (!this.#seen.has(landing) && (await this.#judge(accepted))) this.#seen.add(landing)
    }
    for (const oldest of this.#seen) {
      if (this.#seen.size <= 2 * LOOKED_AT_MAX) break
      this.#seen.delete(oldest)
    }
  }

  /** True when nothing is left to find out. */
  async #judge(accepted: AcceptedCheckpoint): Promise<boolean> {
    const { epochs, sync, clock, log } = this.#components
    const { epoch } = accepted
    const base = await epochs.resolve(epoch)
    await epochs.learnDraw(epoch + 1)
    const drawn = epochs.named(epoch + 1)
    if (base === undefined || drawn === undefined || drawn.length === 0) return false
    const { nextCommittee } = decode(Checkpoint, accepted.checkpoint)
    if (equalBytes(committeeWord(drawn), nextCommittee)) return true
    const now = clock.now()
    const known = epochs.committeeOf(nextCommittee)
    if (known === undefined && now < this.#askAt) return false
    this.#askAt = now + this.#turnMs()
    if (this.#told !== landingOf(accepted)) {
      this.#told = landingOf(accepted)
      const next = 'where no node has it cancelled, only the guardian can'
      log.error({ epoch, next }, 'a checkpoint names another committee than was drawn')
    }
    const members = known ?? (await sync.committee(nextCommittee))
    if (members === undefined) return false
    const turn = this.#turn(accepted, base.nodes)
    if (turn === undefined) return true
    this.#at(now + turn * this.#turnMs(), () => this.#veto(accepted, members))
    return true
  }

  /** Shows the contract one member after the other, those first that have no entry at all. */
  async #veto(accepted: AcceptedCheckpoint, members: readonly WeightedKey[]): Promise<void> {
    const { chain, clock, log } = this.#components
    const { epoch } = accepted
    const term = termStart(epoch + 1, this.#components.epochs.calendar.profile)
    try {
      for (const place of this.#suspects(accepted, members).slice(0, SHOWN_MAX)) {
        // Another node may have been first.
        if (!this.#isAccepted(accepted)) return
        const outcome = await chain.veto({ epoch, term, members, place }, this.#stopped.signal)
        if (outcome === 'vetoed') log.warn({ epoch, place }, 'had a checkpoint cancelled')
        if (outcome !== 'refused') return
      }
    } catch (error) {
      if (this.#stopped.signal.aborted || !(error instanceof CairnError)) throw error
      log.warn({ epoch, code: error.code, err: error }, 'a checkpoint is not cancelled yet')
      this.#at(clock.now() + this.#turnMs(), () => this.#veto(accepted, members))
    }
  }

  /** Positions of members that are not registered with that weight where the term is drawn. */
  #suspects(
    { epoch, block }: AcceptedCheckpoint,
    members: readonly WeightedKey[],
  ): readonly number[] {
    const { chain, epochs } = this.#components
    const { profile } = epochs.calendar
    const term = termStart(epoch + 1, profile)
    const first = term <= epoch ? this.#landed()[term + 1] : undefined
    // Where the term has no checkpoint yet the contract knows its base to lie before this block.
    const at = first === undefined ? block.number : decode(Checkpoint, first.checkpoint).base.number
    const entries = new Map(chain.registryAt(at).map(entry => [hex(entry.voting), entry]))
    return [...members.entries()]
      .map(([place, { key, weight }]) => ({ place, weight, entry: entries.get(hex(key)) }))
      .filter(
        ({ weight, entry }) => entry === undefined || weightOf(entry.bond, profile) !== weight,
      )
      .sort((a, b) => Number(a.entry !== undefined) - Number(b.entry !== undefined))
      .map(({ place }) => place)
  }

  /** How many nodes come before the first that this daemon speaks for. */
  #turn({ root }: AcceptedCheckpoint, nodes: readonly RegistryEntry[]): number | undefined {
    const own = new Set(this.#components.speakers.map(({ identity }) => hex(identity)))
    const begin =
      new DataView(root.buffer, root.byteOffset).getUint32(0) % Math.max(1, nodes.length)
    const turn = [...nodes.slice(begin), ...nodes.slice(0, begin)].findIndex(({ identity }) =>
      own.has(hex(identity)),
    )
    return turn === -1 ? undefined : turn
  }

  #turnMs(): number {
    const { roundSlots, slotMs } = this.#components.epochs.calendar.profile
    return roundSlots * slotMs
  }

  #isAccepted({ epoch, root }: AcceptedCheckpoint): boolean {
    const now = this.#landed()[epoch + 1]
    return now !== undefined && equalBytes(now.root, root)
  }

  /** The genesis checkpoint first. */
  #landed(): readonly AcceptedCheckpoint[] {
    const { chain } = this.#components
    const head = chain.head()
    return head === undefined ? [] : chain.checkpointsAt(head.number)
  }

  #at(time: number, task: () => Promise<void>): void {
    const timer = this.#components.clock.at(time, () => {
      this.#timers.delete(timer)
      this.#soon(task)
    })
    this.#timers.add(timer)
  }
}

/** A cancelled checkpoint may land again, in a later round. */
function landingOf({ root, round }: AcceptedCheckpoint): string {
  return `${hex(root)}/${round}`
}
