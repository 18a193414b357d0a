/**
 * Keeps the network going where weight is gone for good. When the chain has accepted nothing for long,
 * every node that can sign checks in, and after the window those who did are the committee of the
 * epoch that waits, where they hold a majority of all weight. One of them forms it, and the next where
 * that one does not.
 */
import { CairnError, checkInSigningRoot, hex, type RegistryEntry, weightOf } from '@cairn/protocol'
import type { Epochs } from '../ledger/epochs.ts'
import type { Chain, Clock, Log, Succession, Timer } from '../ports.ts'
import type { Signer } from '../signer.ts'
import type { Checkpointer } from './checkpointer.ts'

export interface FallbackComponents {
  chain: Chain
  clock: Clock
  epochs: Epochs
  checkpointer: Pick<Checkpointer, 'hasQuorum'>
  /** Of every node that this daemon speaks for. */
  signers: readonly Signer[]
  log: Log
}

export interface FallbackInit {
  /** Network id. */
  network: Uint8Array
  /** Why a node signs nothing now; undefined: it may. */
  muted(epoch: number): string | undefined
}

/** What a network waits for where no committee signs; times in seconds since 1970. */
export interface Wait extends Pick<Succession, 'epoch' | 'since' | 'due'> {
  /** The window that is open, or was last in this wait. */
  window?: { end: number; isOver: boolean; nodes: number }
  /** The committee that formed and has not signed yet. */
  formed?: { nodes: number; chosen: boolean; isOwn: boolean }
  /** Of this daemon's nodes, those that came in this window. */
  came: number
  own: number
}

export class Fallback {
  readonly #components: FallbackComponents
  readonly #init: FallbackInit
  readonly #stopped = new AbortController()
  #acting: Promise<void> = Promise.resolve()
  #timer: Timer | undefined
  #looking = false
  /** The next look is no sooner, ms. */
  #lookAt = 0
  /** Windows opened when the contract said that too few had come to the last. */
  #tooFew = 0
  /** How long a quorum of an epoch that is due is waited for, ms since 1970. */
  #patience: { epoch: number; until: number } | undefined
  #leave: () => void = () => {}

  constructor(components: FallbackComponents, init: FallbackInit) {
    this.#components = components
    this.#init = init
  }

  start(): void {
    const { chain, clock, epochs } = this.#components
    this.#leave = chain.onAdvance(() => {
      if (this.#looking || clock.now() < this.#lookAt) return
      this.#lookAt = clock.now() + epochs.calendar.profile.slotMs
      this.#looking = true
      this.#soon(() => this.#look().finally(() => (this.#looking = false)))
    })
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#leave()
    this.#timer?.cancel()
    await this.#acting
  }

  /** Undefined while an epoch may still be accepted in the one after it. */
  waiting(): Wait | undefined {
    const { chain, epochs, signers } = this.#components
    const succession = chain.succession()
    const head = chain.head()
    if (succession === undefined || head === undefined) return undefined
    const { epoch, since, due, window, formed } = succession
    if (formed === undefined && epochs.now() <= epoch + 1) return undefined
    const keys = new Set(signers.map(({ voting }) => hex(voting)))
    const isOwn = ({ key }: { key: Uint8Array }) => keys.has(hex(key))
    const own = chain.registryAt(head.number).filter(({ voting }) => keys.has(hex(voting))).length
    const { end, members = [] } = window ?? {}
    return {
      ...{ epoch, since, due, own, came: members.filter(isOwn).length },
      ...(end !== undefined && {
        window: { end, isOver: head.timestamp > end, nodes: members.length },
      }),
      ...(formed !== undefined && {
        formed: {
          nodes: formed.members.length,
          chosen: formed.chosen,
          isOwn: formed.members.some(isOwn),
        },
      }),
    }
  }

  #soon(task: () => Promise<void>): void {
    this.#acting = this.#acting
      .then(() => (this.#stopped.signal.aborted ? undefined : task()))
      .catch((error: unknown) => {
        if (this.#stopped.signal.aborted) return
        const { log } = this.#components
        if (!(error instanceof CairnError)) {
          log.error({ err: error }, 'could not take part where no committee signs')
          return
        }
        log.warn({ code: error.code, err: error }, 'a committee cannot form yet')
      })
  }

  async #look(): Promise<void> {
    const { chain, epochs, checkpointer } = this.#components
    const succession = chain.succession()
    const head = chain.head()
    if (succession === undefined || head === undefined) return
    const { epoch, due, window, windows } = succession
    if (head.timestamp < due || this.#init.muted(epochs.now()) !== undefined) return
    if (checkpointer.hasQuorum(epoch) && this.#mayLand(epoch)) return
    if (window === undefined) return await this.#checkIn(epoch, windows + 1, [])
    if (head.timestamp <= window.end) return await this.#checkIn(epoch, windows, window.members)
    if (this.#tooFew < windows) return this.#formInTurn(succession, window)
    await this.#checkIn(epoch, windows + 1, [])
  }

  /**
   * What a quorum signed while the chain was away lands now. One that does not in an epoch is none that
   * the chain takes.
   */
  #mayLand(epoch: number): boolean {
    const { clock, epochs } = this.#components
    const { slotMs, slotsPerEpoch } = epochs.calendar.profile
    if (this.#patience?.epoch !== epoch) {
      this.#patience = { epoch, until: clock.now() + slotMs * slotsPerEpoch }
    }
    return clock.now() < this.#patience.until
  }

  async #checkIn(
    epoch: number,
    window: number,
    present: readonly { node: number }[],
  ): Promise<void> {
    const { chain, log, signers } = this.#components
    const came = new Set(present.map(({ node }) => node))
    const eligible = new Map((await this.#eligible(epoch)).map(entry => [hex(entry.voting), entry]))
    const data = { epoch: BigInt(epoch), window: BigInt(window) }
    const message = checkInSigningRoot(data, this.#init.network)
    for (const signer of signers) {
      const entry = eligible.get(hex(signer.voting))
      if (entry === undefined || came.has(entry.index)) continue
      const { index: node, voting: key } = entry
      const signature = signer.signVoting(message)
      const outcome = await chain.checkIn({ node, key, signature }, this.#stopped.signal)
      if (outcome === 'done') {
        // Of a window that another block opened a majority may wait, which this node took for too few.
        this.#tooFew = 0
        continue
      }
      log.warn({ epoch, window, node }, 'checked in: no committee has signed for long')
    }
  }

  /**
   * Whom the contract takes and who can vote: bonded when the last checkpoint was accepted and still,
   * and of the base of the epoch that waits.
   */
  async #eligible(epoch: number): Promise<readonly RegistryEntry[]> {
    const { chain, epochs } = this.#components
    const head = chain.head()
    const base = await epochs.resolve(epoch)
    if (head === undefined || base === undefined) return []
    const last = chain.checkpointsAt(head.number).at(-1)
    const then = new Set(
      chain
        .registryAt(last?.block.number ?? 0n)
        .filter(entry => this.#weight(entry) > 0)
        .map(({ index }) => index),
    )
    return chain
      .registryAt(head.number)
      .filter(entry => entry.exitAt === 0 && this.#weight(entry) > 0)
      .filter(({ index }) => then.has(index) && base.node(index) !== undefined)
  }

  /** Who checked in first forms the committee, then the others, a round's length apart. */
  #formInTurn({ epoch }: Succession, { members }: { members: readonly { node: number }[] }): void {
    const { chain, clock, epochs, signers } = this.#components
    const head = chain.head()
    if (this.#timer !== undefined || head === undefined) return
    const own = new Set(signers.map(({ voting }) => hex(voting)))
    const nodes = new Set(
      chain
        .registryAt(head.number)
        .filter(({ voting }) => own.has(hex(voting)))
        .map(({ index }) => index),
    )
    const place = members.findIndex(({ node }) => nodes.has(node))
    // Who did not check in helps where none does who did: while they wait nobody else can come.
    const turn = place === -1 ? members.length : place
    const { roundSlots, slotMs } = epochs.calendar.profile
    this.#timer = clock.at(clock.now() + turn * roundSlots * slotMs, () => {
      this.#timer = undefined
      this.#soon(() => this.#form(epoch))
    })
  }

  async #form(epoch: number): Promise<void> {
    const { chain, log } = this.#components
    const succession = chain.succession()
    if (succession?.epoch !== epoch || succession.window === undefined) return
    const outcome = await chain.formCommittee(this.#stopped.signal)
    if (outcome === 'tooFew') this.#tooFew = succession.windows
    if (outcome === 'formed') log.warn({ epoch }, 'formed a committee of those who checked in')
  }

  #weight({ bond }: RegistryEntry): number {
    return weightOf(bond, this.#components.epochs.calendar.profile)
  }
}
