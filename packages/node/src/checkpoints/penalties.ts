/**
 * Has bond taken for what is proven. What an adopted checkpoint records, and double votes that this
 * node saw, are brought to the chain by one member of the committee, and by the next in rank where
 * that one does not: nobody has found them alone, since all of it was gossiped, so nothing is lost
 * when another one is first. Both are durable here until the chain has them.
 */
import { CairnError, Checkpoint, decode, type EpochBase, proposerOf } from '@cairn/protocol'
import type { Epochs } from '../ledger/epochs.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { KeptPenalty, Offences, PenaltyState } from '../ledger/offences.ts'
import type { Chain, Clock, DoubleVote, Log, ProvenOffence, Timer } from '../ports.ts'
import type { Speaker } from '../voice.ts'
import type { Adopted, Checkpointer } from './checkpointer.ts'
import type { Settled } from './work.ts'

export interface PenaltiesComponents {
  chain: Chain
  clock: Clock
  checkpointer: Checkpointer
  epochs: Epochs
  ledger: Ledger
  offences: Offences
  /** Of every node that this daemon speaks for. */
  speakers: readonly Speaker[]
  log: Log
}

/** Offences that wait for their turn at once; others are taken up at the next start. */
const WAITING_MAX = 1_024
/** Epochs after which an offence is given up: the contract knows the roots of so many. */
const EPOCHS_MAX = 256

export class Penalties {
  readonly #components: PenaltiesComponents
  /** By `nameOf`. */
  readonly #timers = new Map<string, Timer>()
  /** Whose turn cannot be told yet, by `nameOf`; at most `WAITING_MAX`. */
  readonly #early = new Map<string, Waiting>()
  readonly #running = new Set<Promise<void>>()
  readonly #stopped = new AbortController()

  constructor(components: PenaltiesComponents) {
    this.#components = components
  }

  /** Takes up what was left open before, without keeping the node waiting: old bases take time. */
  start(): void {
    const { checkpointer, offences } = this.#components
    checkpointer.onDoubleVote(found => this.#run(() => this.#keepVotes(found)))
    checkpointer.onAdopted(adopted => {
      this.#run(() => this.#keep(adopted))
      this.#run(() => this.#goOn())
    })
    checkpointer.onRetreat(last => this.#run(() => offences.dropAfter(last)))
    this.#run(() => this.#takeUp())
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
    await Promise.all(this.#running)
  }

  async #takeUp(): Promise<void> {
    const { offences } = this.#components
    await offences.dropDoubleVotesBefore(this.#oldest())
    for (const votes of await offences.doubleVotes()) await this.#wait({ votes })
    for (const penalty of await offences.all()) {
      const isOpen = penalty.state === 'open' && penalty.epoch >= this.#oldest()
      if (isOpen) await this.#wait({ penalty })
    }
  }

  /** The chain has gone on: more bases may be known, and the oldest offences are past. */
  async #goOn(): Promise<void> {
    await this.#components.offences.dropDoubleVotesBefore(this.#oldest())
    const early = [...this.#early.values()]
    this.#early.clear()
    for (const waiting of early) {
      if (epochOf(waiting) >= this.#oldest()) await this.#wait(waiting)
    }
  }

  /** First epoch whose offences are not given up. */
  #oldest(): number {
    return this.#components.epochs.now() - EPOCHS_MAX
  }

  async #keepVotes(votes: DoubleVote): Promise<void> {
    const { offences, log } = this.#components
    if (!(await offences.putDoubleVote(votes))) return
    const { epoch, round, node } = votes
    log.warn({ epoch, round, node }, 'a node voted twice in one round: its bond is at stake')
    await this.#wait({ votes })
  }

  async #keep({ accepted: { epoch }, settled }: Adopted): Promise<void> {
    if (settled === undefined || settled.settlement.penalties.length === 0) return
    const penalties = keptOf(epoch, settled)
    await this.#components.offences.put(epoch, penalties)
    for (const penalty of penalties) await this.#wait({ penalty })
  }

  /** Until it is this node's turn, and again until the chain has it. */
  async #wait(waiting: Waiting): Promise<void> {
    const { epochs, clock, speakers } = this.#components
    if (this.#stopped.signal.aborted) return
    const { epoch, node } = 'votes' in waiting ? waiting.votes : waiting.penalty
    const base = await epochs.resolve(epoch)
    const committee = epochs.committee(epoch)
    if (base === undefined || committee === undefined) {
      if (this.#early.size < WAITING_MAX) this.#early.set(nameOf(waiting), waiting)
      return
    }
    const own = new Set(speakers.map(speaker => speaker.index(base)))
    // Who is punished leaves it to others, or would get a part of it back.
    if (own.has(node) || this.#timers.size >= WAITING_MAX) return
    const seed = epochs.knownSeed(epoch + 1) ?? base.seed
    const turn = [...committee.keys()].findIndex(step =>
      own.has(proposerOf(committee, seed, step) ?? -1),
    )
    if (turn === -1) return
    const { roundSlots, slotMs } = epochs.calendar.profile
    const between = roundSlots * slotMs
    this.#at(clock.now() + (turn + 1) * between, waiting, {
      base,
      again: committee.length * between,
    })
  }

  #at(time: number, waiting: Waiting, { base, again }: { base: EpochBase; again: number }): void {
    if (this.#stopped.signal.aborted) return
    const { clock } = this.#components
    const name = nameOf(waiting)
    this.#timers.get(name)?.cancel()
    const timer = clock.at(time, () => {
      this.#timers.delete(name)
      this.#run(async () => {
        const done = await this.#punish(waiting)
        if (!done && base.epoch >= this.#oldest()) {
          this.#at(clock.now() + again, waiting, { base, again })
        }
      })
    })
    this.#timers.set(name, timer)
  }

  /** True when nothing is left to do. */
  async #punish(waiting: Waiting): Promise<boolean> {
    const { chain, offences, log } = this.#components
    const offence = await this.#offence(waiting)
    if (offence === undefined) return true
    const { epoch, node } = 'votes' in waiting ? waiting.votes : waiting.penalty
    let state: PenaltyState
    try {
      const outcome = await chain.punish(offence, this.#stopped.signal)
      if (outcome === 'notActive') return false
      if (outcome === 'taken') log.info({ epoch, node }, 'had bond taken for what is proven')
      state = outcome === 'before' ? 'taken' : outcome
      if (state !== 'taken') log.warn({ epoch, node, state }, 'no bond is taken for what is proven')
    } catch (error) {
      if (this.#stopped.signal.aborted) return true
      if (!(error instanceof CairnError)) throw error
      log.warn({ epoch, node, code: error.code, err: error }, 'a penalty was not taken yet')
      return false
    }
    if ('votes' in waiting) await offences.closeDoubleVote(waiting.votes, state)
    else await offences.close(waiting.penalty, state)
    return true
  }

  /** Undefined where the chain took its checkpoint back. */
  async #offence(waiting: Waiting): Promise<ProvenOffence | undefined> {
    if ('votes' in waiting) return { type: 'doubleVote', ...waiting.votes }
    const { ledger, offences } = this.#components
    const { epoch, node } = waiting.penalty
    const final = await ledger.final(epoch)
    const penalties = await offences.all(epoch)
    const position = penalties.findIndex(penalty => penalty.node === node)
    if (final === undefined || position === -1) return undefined
    return {
      type: 'recorded',
      checkpoint: decode<Checkpoint>(Checkpoint, final.checkpoint),
      penalties,
      position,
    }
  }

  #run(task: () => Promise<void>): void {
    const running = task()
      .catch((error: unknown) => {
        if (this.#stopped.signal.aborted) return
        this.#components.log.error({ err: error }, 'a penalty could not be followed up')
      })
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }
}

type Waiting = { readonly votes: DoubleVote } | { readonly penalty: KeptPenalty }

function epochOf(waiting: Waiting): number {
  return 'votes' in waiting ? waiting.votes.epoch : waiting.penalty.epoch
}

function nameOf(waiting: Waiting): string {
  if ('votes' in waiting) return `votes/${waiting.votes.epoch}/${waiting.votes.node}`
  return `${waiting.penalty.epoch}/${waiting.penalty.node}`
}

function keptOf(epoch: number, { settlement, set }: Settled): KeptPenalty[] {
  const contradictions = new Map(
    set.contradictions().map(found => [`${found.author}/${found.first.join()}`, found]),
  )
  return settlement.penalties.map(({ node, amount, evidence }) => {
    const found = contradictions.get(`${node}/${evidence.join()}`)
    return {
      epoch,
      node,
      amount,
      evidence,
      rival: found?.second,
      messageType: found?.type,
      state: 'open',
    }
  })
}
