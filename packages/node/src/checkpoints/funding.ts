/**
 * Opens checkpoints for claims, so that what was earned can be claimed without anybody's doing. A few
 * times in a term a checkpoint is funded once it is active: by the member that proposed it, then by
 * the others in order of rank, until one has done it. The next makes up for one that nobody funded.
 */
import { CairnError, proposerOf } from '@cairn/protocol'
import type { Epochs } from '../ledger/epochs.ts'
import type { AcceptedCheckpoint, Chain, Clock, Log, Timer } from '../ports.ts'
import type { Speaker } from '../voice.ts'
import type { Checkpointer } from './checkpointer.ts'
import type { Settled } from './work.ts'

export interface FundingComponents {
  chain: Chain
  clock: Clock
  checkpointer: Checkpointer
  epochs: Epochs
  /** Of every node that this daemon speaks for. */
  speakers: readonly Speaker[]
  log: Log
}

/**
 * Fundings in a term of a committee: every six hours on a public network. Each costs 180,000 gas, as
 * much as most of a checkpoint, and pays nobody.
 */
const FUNDINGS_PER_TERM = 4
/** Checkpoints that wait to be active at once: the delay is shorter than a term. */
const WAITING_MAX = FUNDINGS_PER_TERM

export class Funding {
  readonly #components: FundingComponents
  /** By epoch. */
  readonly #timers = new Map<number, Timer>()
  readonly #running = new Set<Promise<void>>()
  readonly #stopped = new AbortController()

  constructor(components: FundingComponents) {
    this.#components = components
  }

  start(): void {
    const { checkpointer } = this.#components
    checkpointer.onAdopted(({ accepted, settled }) => {
      if (settled !== undefined && this.#isDue(accepted.epoch)) this.#inTurn(accepted, settled)
    })
    checkpointer.onRetreat(last => {
      for (const epoch of this.#timers.keys()) if (epoch > last) this.#forget(epoch)
    })
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    for (const epoch of this.#timers.keys()) this.#forget(epoch)
    await Promise.all(this.#running)
  }

  #isDue(epoch: number): boolean {
    const { termEpochs } = this.#components.epochs.calendar.profile
    return (epoch + 1) % Math.max(1, Math.floor(termEpochs / FUNDINGS_PER_TERM)) === 0
  }

  #inTurn(accepted: AcceptedCheckpoint, settled: Settled): void {
    const { epochs, clock, speakers } = this.#components
    const { epoch, round } = accepted
    const base = epochs.base(epoch)
    const committee = epochs.committee(epoch)
    if (base === undefined || committee === undefined || committee.length === 0) return
    const own = new Set(speakers.map(speaker => speaker.index(base)))
    const seed = epochs.knownSeed(epoch + 1) ?? base.seed
    const turn = [...committee.keys()].findIndex(step =>
      own.has(proposerOf(committee, seed, round + step)),
    )
    if (turn === -1) return
    const { roundSlots, slotMs } = epochs.calendar.profile
    const between = roundSlots * slotMs
    for (const oldest of this.#timers.keys()) {
      if (this.#timers.size < WAITING_MAX) break
      this.#forget(oldest)
    }
    this.#at(clock.now() + (turn + 1) * between, {
      accepted,
      settled,
      again: committee.length * between,
    })
  }

  /** Tries at a time, and again until nothing is left to do. */
  #at(time: number, task: { accepted: AcceptedCheckpoint; settled: Settled; again: number }): void {
    const { clock, log } = this.#components
    const { epoch } = task.accepted
    const timer = clock.at(time, () => {
      this.#timers.delete(epoch)
      const running = this.#fund(task.settled)
        .then(done => {
          if (!done && !this.#stopped.signal.aborted) this.#at(clock.now() + task.again, task)
        })
        .catch((error: unknown) => {
          if (this.#stopped.signal.aborted) return
          log.error({ epoch, err: error }, 'a checkpoint could not be opened for claims')
        })
        .finally(() => this.#running.delete(running))
      this.#running.add(running)
    })
    this.#timers.set(epoch, timer)
  }

  /** True when nothing is left to do. */
  async #fund({ settlement }: Settled): Promise<boolean> {
    const { chain, log } = this.#components
    const { checkpoint, state } = settlement
    const { epoch } = checkpoint
    try {
      const { payouts } = state.core
      const outcome = await chain.fund({ checkpoint, payouts }, this.#stopped.signal)
      if (outcome === 'funded') log.info({ epoch }, 'opened a checkpoint for claims')
      return outcome !== 'notActive'
    } catch (error) {
      if (this.#stopped.signal.aborted) return true
      if (!(error instanceof CairnError)) throw error
      log.warn({ epoch, code: error.code, err: error }, 'a checkpoint is not open for claims yet')
      // What the contract refuses it refuses for ever.
      return error.code === 'reverted'
    }
  }

  #forget(epoch: number): void {
    this.#timers.get(epoch)?.cancel()
    this.#timers.delete(epoch)
  }
}
