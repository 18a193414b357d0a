/**
 * Hashes everything on a volume again, once in `days`, so that the operator knows of rotten bytes
 * before a challenge finds them. It reads no faster than it must to be through in time, gives way to
 * whoever else uses the volume, and goes on after a restart where it was.
 */
import { CairnError, type Piece, pieceCid, pieceKey } from '@cairn/protocol'
import type { Clock, Log } from '../ports.ts'
import type { Catalog, ScrubProgress } from './catalog.ts'
import type { PieceStore } from './store.ts'

/** Bytes per second at most, however late a round is. */
export const SCRUB_RATE_MAX = 64 * 1024 * 1024
/** At least: a small volume is through in minutes rather than spread over weeks. */
export const SCRUB_RATE_MIN = 1024 * 1024
/** A round aims to end in this part of its time: what is left makes up for a machine that is off. */
const AIM = 0.8
/** While others use the volume a read waits, and looks so often whether they are done, ms. */
const GIVE_WAY_MS = 20
/** It waits no longer than this for one read, ms: a volume that is always busy is scrubbed too. */
const GIVE_WAY_MAX_MS = 1_000
/** A volume with nothing to do, or that is away, is looked at again after this time, ms. */
const IDLE_MS = 10_000
/** Times that a piece is tried before the next round tries it again. */
const ATTEMPTS = 3
const DAY_MS = 86_400_000

export interface ScrubComponents {
  clock: Clock
  store: PieceStore
  catalog: Catalog
  log: Log
}

export interface ScrubInit {
  /** Days in which everything is hashed again. */
  days: number
}

export interface ScrubReport {
  /** When the last round ended, ms since 1970; absent: never. */
  finished?: number
  /** Bytes that the round under way has before it; absent between rounds. */
  left?: number
}

export class Scrub {
  readonly #components: ScrubComponents
  readonly #roundMs: number
  readonly #stopped = new AbortController()
  #running: Promise<void> | undefined
  #progress: ScrubProgress = { began: 0, finished: 0, after: undefined }
  /** Bytes that this round has before it; undefined between rounds. */
  #left: number | undefined
  /** The piece that could not be read last, and how often in a row. */
  #failed: { key: string; times: number } | undefined
  /** Before this time nothing more is read, ms. */
  #next = 0

  constructor(components: ScrubComponents, { days }: ScrubInit) {
    this.#components = components
    this.#roundMs = days * DAY_MS
  }

  get report(): ScrubReport {
    const { finished } = this.#progress
    return {
      ...(finished === 0 ? {} : { finished }),
      ...(this.#left === undefined ? {} : { left: this.#left }),
    }
  }

  start(): void {
    this.#running ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, catalog, log, store } = this.#components
    const { signal } = this.#stopped
    try {
      this.#progress = await catalog.scrub()
      for (;;) {
        await this.#suspects()
        if (this.#isDue() && store.absence === undefined && store.count > 0) await this.#round()
        await clock.until(clock.now() + IDLE_MS, signal)
      }
    } catch (error) {
      if (!signal.aborted) log.error({ err: error, location: store.location }, 'a scrub ended')
    }
  }

  /** A round is under way, or its time has come. */
  #isDue(): boolean {
    const { began, finished } = this.#progress
    return began > finished || this.#components.clock.now() >= began + this.#roundMs
  }

  /** From where the last one ended; ends early when the volume goes away. */
  async #round(): Promise<void> {
    const { clock, store, log } = this.#components
    const { after, began, finished } = this.#progress
    if (began <= finished) await this.#save({ ...this.#progress, began: clock.now() })
    const last = after === undefined ? '' : pieceKey(after)
    const pieces = store
      .list()
      .map(piece => ({ piece, key: pieceKey(piece) }))
      .filter(({ key }) => key > last)
      .sort((a, b) => (a.key < b.key ? -1 : 1))
    let left = pieces.reduce((sum, { piece }) => sum + piece.payload, 0)
    this.#left = left
    for (const { piece, key } of pieces) {
      await this.#suspects()
      if (!(await this.#verify(piece)) && !this.#isPassedOver(key)) return
      left -= piece.payload
      this.#left = left
      await this.#save({ ...this.#progress, after: piece })
    }
    this.#left = undefined
    await this.#save({ ...this.#progress, finished: clock.now(), after: undefined })
    log.info({ location: store.location, pieces: pieces.length }, 'a volume was scrubbed')
  }

  async #suspects(): Promise<void> {
    const { store } = this.#components
    for (const piece of store.suspects()) {
      // Of a volume that is away nothing can be said, and its pieces wait until it is back.
      if (store.absence !== undefined) return
      await this.#verify(piece)
    }
  }

  /** False: the volume is away. */
  async #verify(piece: Piece): Promise<boolean> {
    const { store, log } = this.#components
    const { signal } = this.#stopped
    try {
      await store.verify(piece, { paced: bytes => this.#pace(bytes), signal })
      return true
    } catch (error) {
      signal.throwIfAborted()
      // Deleted since the round began.
      if (error instanceof CairnError && error.code === 'pieceMissing') return true
      log.warn({ err: error, piece: pieceCid(piece) }, 'a piece could not be scrubbed now')
      return false
    }
  }

  /** One piece that cannot be read while the volume is there must not hold the others up. */
  #isPassedOver(key: string): boolean {
    if (this.#components.store.absence !== undefined) return false
    this.#failed = { key, times: this.#failed?.key === key ? this.#failed.times + 1 : 1 }
    return this.#failed.times >= ATTEMPTS
  }

  async #pace(bytes: number): Promise<void> {
    const { clock, store } = this.#components
    const { signal } = this.#stopped
    await clock.until(Math.max(clock.now(), this.#next), signal)
    const latest = clock.now() + GIVE_WAY_MAX_MS
    while (store.busy && clock.now() < latest) {
      await clock.until(clock.now() + GIVE_WAY_MS, signal)
    }
    this.#next = clock.now() + (1_000 * bytes) / this.#rate()
  }

  /** Bytes per second that end the round when it aims to. */
  #rate(): number {
    const { clock } = this.#components
    const aim = this.#progress.began + AIM * this.#roundMs
    const seconds = Math.max(1, (aim - clock.now()) / 1_000)
    return Math.min(SCRUB_RATE_MAX, Math.max(SCRUB_RATE_MIN, (this.#left ?? 0) / seconds))
  }

  async #save(progress: ScrubProgress): Promise<void> {
    this.#progress = progress
    await this.#components.catalog.setScrub(progress)
  }
}
