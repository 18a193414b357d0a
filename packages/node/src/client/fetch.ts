/**
 * Gets rows of shards, one per place, from whoever keeps them. Each range is verified against its
 * piece as it arrives; a provider that refuses or lies is left, one that is slow is overtaken, and
 * others are asked instead, until enough rows are here or nobody is left to ask.
 */
import { CairnError, type Piece, type PieceRange, pieceCid } from '@cairn/protocol'
import { deadline } from '../clock.ts'
import type { Clock, Log } from '../ports.ts'

/** A provider that cannot send 1 MiB in this time is given up, ms. */
const RANGE_MAX_MS = 20_000
/** A provider is overtaken after so many times what ranges took until now, ms; before that is known. */
const OVERDUE_FACTOR = 4
const OVERDUE_MIN_MS = 500
const OVERDUE_FIRST_MS = 2_000
/** Weight of the last range in the running mean of what ranges take. */
const MEAN_WEIGHT = 0.2
/** A provider is not asked again after so many failures in a row. */
const STRIKES_MAX = 3
/** Rows are tried for so often before the download fails, so far apart, ms. */
const ATTEMPTS_MAX = 2
const ATTEMPT_WAIT_MS = 1_000
/** Codes that say that the bytes were not the piece's. */
const LIES: ReadonlySet<string> = new Set(['pieceDamaged', 'badLength', 'badEncoding'])

export interface FetchComponents {
  clock: Clock
  log: Log
  /** A verified range of a piece from a peer, or from this node itself. */
  range(peer: string, range: PieceRange, signal: AbortSignal): Promise<Uint8Array>
}

/** One way to get at a row. */
export interface Source {
  readonly place: number
  readonly piece: Piece
  readonly peer: string
}

export interface RowsInit {
  /** Bytes `start` to `stop` of every piece. */
  readonly start: number
  readonly stop: number
  /** Places that suffice. */
  readonly wanted: number
  /** Looks again, where it may, after those that it gave did not suffice. */
  sources(again: boolean): Promise<readonly Source[]>
  readonly signal: AbortSignal
}

/** All fetches of one download: what providers did in one counts in the next. */
export class Fetcher {
  readonly #components: FetchComponents
  readonly #peers = new Peers()

  constructor(components: FetchComponents) {
    this.#components = components
  }

  /**
   * Rows by place. When nobody is left to ask, everybody but liars is asked once more: a provider may
   * be back. Throws `fileUnavailable`.
   */
  async rows(init: RowsInit): Promise<Map<number, Uint8Array>> {
    const { clock } = this.#components
    const { signal } = init
    for (let attempt = 1; ; attempt++) {
      const sources = await init.sources(attempt > 1)
      try {
        return await new Fetch(this.#components, { ...init, peers: this.#peers, sources }).run()
      } catch (error) {
        if (signal.aborted || attempt === ATTEMPTS_MAX || !isUnavailable(error)) throw error
      }
      await clock.until(clock.now() + ATTEMPT_WAIT_MS, signal)
      this.#peers.forgive()
    }
  }
}

/** How the providers of one download behave. */
class Peers {
  /** Running mean of what a range takes, ms. */
  #mean: number | undefined
  readonly #conduct = new Map<string, { mean: number; strikes: number; code?: string }>()

  /** After what time a provider is overtaken, ms. */
  get patience(): number {
    if (this.#mean === undefined) return OVERDUE_FIRST_MS
    return Math.max(OVERDUE_MIN_MS, OVERDUE_FACTOR * this.#mean)
  }

  answered(peer: string, ms: number): void {
    const before = this.#conduct.get(peer)
    const mean = before === undefined ? ms : before.mean + MEAN_WEIGHT * (ms - before.mean)
    this.#conduct.set(peer, { mean, strikes: 0 })
    this.#mean = this.#mean === undefined ? ms : this.#mean + MEAN_WEIGHT * (ms - this.#mean)
  }

  failed(peer: string, code: string): void {
    const { mean, strikes } = this.#conduct.get(peer) ?? { mean: this.patience, strikes: 0 }
    this.#conduct.set(peer, { mean, strikes: LIES.has(code) ? STRIKES_MAX : strikes + 1, code })
  }

  /** Did not answer in time; it may yet. */
  overtaken(peer: string, ms: number): void {
    const { mean, strikes } = this.#conduct.get(peer) ?? { mean: ms, strikes: 0 }
    this.#conduct.set(peer, { mean: Math.max(mean, ms), strikes: strikes + 1, code: 'slow' })
  }

  /** Everybody but liars may be asked again. */
  forgive(): void {
    for (const [peer, { code = '' }] of this.#conduct) {
      if (!LIES.has(code)) this.#conduct.delete(peer)
    }
  }

  /** Why it is not asked any more. */
  refusal(peer: string): string | undefined {
    const conduct = this.#conduct.get(peer)
    return conduct !== undefined && conduct.strikes >= STRIKES_MAX ? conduct.code : undefined
  }

  /** Those without a fault first; of these the shards of the file itself, which need no decoding. */
  ranked(sources: readonly Source[], data: number): Source[] {
    const rank = ({ peer, place }: Source) => {
      const { strikes = 0, mean = 0 } = this.#conduct.get(peer) ?? {}
      return [strikes, place < data ? 0 : 1, mean] as const
    }
    return sources
      .filter(({ peer }) => this.refusal(peer) === undefined)
      .map(source => ({ source, ranks: rank(source) }))
      .sort((a, b) => {
        const at = a.ranks.findIndex((value, i) => value !== b.ranks[i])
        return at === -1 ? 0 : (a.ranks[at] as number) - (b.ranks[at] as number)
      })
      .map(({ source }) => source)
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof CairnError && error.code === 'fileUnavailable'
}

interface FetchInit extends Omit<RowsInit, 'sources'> {
  sources: readonly Source[]
  peers: Peers
}

/** Rows on their way here. */
class Fetch {
  readonly #components: FetchComponents
  readonly #init: FetchInit
  readonly #rows = new Map<number, Uint8Array>()
  /** Requests under way with the time at which each is overtaken; `Infinity` once it was. */
  readonly #running = new Map<Source, { due: number; ended: Promise<void> }>()
  readonly #asked = new Set<Source>()
  readonly #answers: string[] = []

  constructor(components: FetchComponents, init: FetchInit) {
    this.#components = components
    this.#init = init
  }

  /** Throws `fileUnavailable`. */
  async run(): Promise<Map<number, Uint8Array>> {
    const { wanted, signal } = this.#init
    const over = new AbortController()
    const stopping = AbortSignal.any([signal, over.signal])
    try {
      for (;;) {
        signal.throwIfAborted()
        this.#overtake()
        this.#fill(stopping)
        if (this.#rows.size >= wanted) return this.#rows
        if (this.#running.size === 0) throw this.#unavailable()
        await this.#news(signal)
      }
    } finally {
      over.abort()
      await Promise.all([...this.#running.values()].map(({ ended }) => ended))
    }
  }

  #fill(signal: AbortSignal): void {
    const { wanted, sources, peers } = this.#init
    const coming = () => [...this.#running].filter(([, { due }]) => due !== Infinity)
    for (let missing = wanted - this.#rows.size - coming().length; missing > 0; missing--) {
      const busy = new Set(coming().map(([{ place }]) => place))
      const next = peers
        .ranked(sources, wanted)
        .find(
          source =>
            !this.#asked.has(source) && !this.#rows.has(source.place) && !busy.has(source.place),
        )
      if (next === undefined) return
      this.#start(next, signal)
    }
  }

  #overtake(): void {
    const { clock } = this.#components
    const { peers } = this.#init
    for (const [{ peer }, request] of this.#running) {
      if (request.due > clock.now()) continue
      request.due = Number.POSITIVE_INFINITY
      peers.overtaken(peer, peers.patience)
    }
  }

  #start(source: Source, signal: AbortSignal): void {
    const { clock, log } = this.#components
    const { peers } = this.#init
    const { peer, place, piece } = source
    const began = clock.now()
    this.#asked.add(source)
    const ended = this.#row(source, signal)
      .then(
        bytes => {
          this.#rows.set(place, bytes)
          peers.answered(peer, clock.now() - began)
        },
        (error: unknown) => {
          if (signal.aborted) return
          const code = error instanceof CairnError ? error.code : 'internal'
          this.#answers.push(`${peer}: ${code}`)
          peers.failed(peer, code)
          log.info({ err: error, peer, piece: pieceCid(piece) }, 'a provider did not give a shard')
        },
      )
      .finally(() => this.#running.delete(source))
    this.#running.set(source, { due: began + peers.patience, ended })
  }

  async #row({ peer, piece }: Source, signal: AbortSignal): Promise<Uint8Array> {
    const { clock, range } = this.#components
    const { start, stop } = this.#init
    const limit = deadline(clock, clock.now() + RANGE_MAX_MS, signal)
    try {
      return await range(peer, { piece, offset: start, length: stop - start }, limit.signal)
    } finally {
      limit.clear()
    }
  }

  /** Resolves when a request has ended or is overdue. */
  async #news(signal: AbortSignal): Promise<void> {
    const { clock } = this.#components
    const due = Math.min(...[...this.#running.values()].map(request => request.due))
    const wake = new AbortController()
    const time = due === Infinity ? [] : [clock.until(due, wake.signal).catch(() => undefined)]
    const ended = [...this.#running.values()].map(request => request.ended)
    const abort = () => wake.abort()
    signal.addEventListener('abort', abort, { once: true })
    await Promise.race([...ended, ...time])
    signal.removeEventListener('abort', abort)
    wake.abort()
  }

  #unavailable(): CairnError {
    const { wanted, sources, peers, start } = this.#init
    const refused = new Set(
      sources.flatMap(({ peer }) => {
        const code = peers.refusal(peer)
        return code === undefined ? [] : [`${peer}: ${code}`]
      }),
    )
    const answers = [...new Set([...refused, ...this.#answers])]
    return new CairnError(
      'fileUnavailable',
      `${this.#rows.size} of the ${wanted} shards came that are needed`,
      {
        facts: {
          offset: start,
          needed: wanted,
          found: this.#rows.size,
          holders: sources.length,
          answers: answers.join(', '),
        },
        next: 'try again later: a provider may come back',
      },
    )
  }
}
