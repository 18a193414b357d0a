/**
 * Places the pieces of a group: finds a provider of another operator for each, has it pull the piece,
 * and signs a deal with it. A few places are worked on at once. A provider that refuses is followed by
 * the next; one that is slow is overtaken by a second one while there are providers to spare.
 */
import {
  CairnError,
  type Deal,
  type Envelope,
  hex,
  type Piece,
  type Verifier,
} from '@cairn/protocol'
import { deadline } from '../clock.ts'
import { agree } from '../kinds/storage/agreement.ts'
import type { DealKey } from '../kinds/storage/deal-keys.ts'
import { PULLS_PER_PEER } from '../kinds/storage/provider.ts'
import {
  askTerms,
  isOfTerms,
  priceOf,
  type Shortfall,
  shortfallOf,
  shortfallText,
} from '../kinds/storage/terms.ts'
import type { Clock, Log, Network, Timer } from '../ports.ts'
import type { Candidate } from './arrange.ts'
import type { Offer, Spool } from './spool.ts'

/** A client waits this long for one provider, and longer by the piece's size: 128 KiB/s at least. */
const PLACE_MIN_MS = 60_000
const PLACE_BYTES_PER_MS = 128
/** Providers that pull at once, of all uploads: each has up to 3 MiB on the way, in several copies. */
export const PLACING_MAX = 8
/** Providers asked for one place at most. */
export const CANDIDATES_MAX = 32
/** A place is raced for when it has taken so many times what half of the others took. */
const OVERDUE_FACTOR = 2
/** But not before this time, ms; and while fewer than half are done, not before the second one. */
const OVERDUE_MIN_MS = 2_000
const OVERDUE_ALONE_MS = 15_000
/** Providers that race for one place. */
const RACERS_MAX = 2
/** Who was given the end of a piece signs within this time, ms: it has only to write and to sync. */
const SIGN_MS = 30_000
/** Who refused by its terms tells them in this time, ms, or is taken at its first word. */
const TERMS_MS = 2_000

export interface PlacementComponents {
  clock: Clock
  network: Network
  spool: Spool
  signer: DealKey
  verifier: Verifier
  log: Log
  /** Gossips a deal with both signatures. */
  publishDeal(envelope: Envelope): Promise<void>
}

export interface PlacementInit {
  /** Network id. */
  network: Uint8Array
  /** Base units for a GiB and epoch, paid where a provider asks for more than was offered. */
  maxPrice?: bigint
}

export interface PlaceInit {
  /** By place; the same piece may stand at several. */
  pieces: readonly Piece[]
  /** The place of each; 0, 1, ... unless given. */
  places?: readonly number[]
  /** In order of preference. */
  candidates: readonly Candidate[]
  /** What all deals have in common. */
  terms: Omit<Deal, 'client' | 'provider' | 'piece' | 'place' | 'nonce'>
  /** A nonce not used before. */
  nonce(): bigint
  /** Whose deals they are, and who signs them; the client itself unless given. */
  signer?: DealKey
  /** Base units that a deal may cost per epoch, whatever its provider asks. */
  mostPerEpoch?: bigint
  /** Told of each deal as it is signed, whatever becomes of the others. */
  agreed?(deal: Deal): void
  signal: AbortSignal
}

/** A provider that did not keep what it was asked to. */
export interface Refusal {
  /** Node index. */
  readonly provider: number
  readonly code: string
  /** By how much, where the provider tells its terms. */
  readonly shortfall?: Shortfall
}

export interface Placed {
  /** By place. */
  readonly deals: readonly Deal[]
  readonly refusals: readonly Refusal[]
}

export class Placement {
  readonly #components: PlacementComponents
  readonly #init: PlacementInit
  /** Proposals under way, by peer: a provider takes so many of one client at once. */
  readonly #ofPeer = new Map<string, number>()
  #underWay = 0
  /** Called when a proposal has ended. */
  readonly #waiting = new Set<() => void>()

  constructor(components: PlacementComponents, init: PlacementInit) {
    this.#components = components
    this.#init = init
  }

  /**
   * One deal per place, each with another operator. Throws `tooFewProviders` with what each provider
   * answered; deals that were signed until then stand.
   */
  async place(init: PlaceInit): Promise<Placed> {
    return await new Race(this.#components, init, {
      admits: peer => this.#admits(peer),
      agree: (candidate, place, options) => this.#agree(candidate, place, init, options),
      shortfall: ({ peer, entry }, place, code) =>
        this.#shortfall(peer, code, this.#deal(entry.index, place, init)),
      ended: signal => this.#ended(signal),
    }).run()
  }

  #admits(peer: string): boolean {
    return this.#underWay < PLACING_MAX && (this.#ofPeer.get(peer) ?? 0) < PULLS_PER_PEER
  }

  #deal(provider: number, place: number, init: PlaceInit): Deal {
    const { pieces, places, terms, signer = this.#components.signer } = init
    return {
      ...terms,
      place: places?.[place] ?? place,
      piece: pieces[place] as Piece,
      client: signer.key,
      provider,
      nonce: 0n,
    }
  }

  async #shortfall(peer: string, code: string, deal: Deal): Promise<Shortfall | undefined> {
    if (!isOfTerms(code)) return undefined
    const { clock, network } = this.#components
    const limit = deadline(clock, clock.now() + TERMS_MS)
    try {
      return shortfallOf(code, deal, await askTerms(network, peer, limit.signal))
    } catch (error) {
      if (error instanceof CairnError) return undefined
      throw error
    } finally {
      limit.clear()
    }
  }

  /** Resolves when any proposal has ended. */
  #ended(signal: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const end = () => {
        this.#waiting.delete(end)
        signal.removeEventListener('abort', end)
        resolve()
      }
      this.#waiting.add(end)
      signal.addEventListener('abort', end, { once: true })
    })
  }

  async #agree(
    candidate: Candidate,
    place: number,
    init: PlaceInit,
    { signal, onEnd }: AgreeOptions,
  ): Promise<Deal> {
    const { clock, spool, publishDeal } = this.#components
    const { signer = this.#components.signer } = init
    const { peer, entry } = candidate
    const deal = { ...this.#deal(entry.index, place, init), nonce: init.nonce() }
    const stalled = new AbortController()
    const unstalled = AbortSignal.any([signal, stalled.signal])
    let signing: Timer | undefined
    const offer: Offer = {
      piece: deal.piece,
      place,
      peer,
      onEnd: () => {
        signing ??= clock.at(clock.now() + SIGN_MS, () => stalled.abort(stalls()))
        onEnd()
      },
    }
    this.#underWay++
    this.#ofPeer.set(peer, (this.#ofPeer.get(peer) ?? 0) + 1)
    spool.offer(offer)
    try {
      const ask = async (asked: Deal) => {
        const withinMs = PLACE_MIN_MS + Math.ceil(deal.piece.payload / PLACE_BYTES_PER_MS)
        const id = this.#init.network
        const init = {
          deal: asked,
          key: signer,
          provider: candidate,
          id,
          withinMs,
          signal: unstalled,
        }
        await publishDeal(await agree(this.#components, init))
        return asked
      }
      return await ask(deal).catch(async (error: unknown) => {
        const { mostPerEpoch } = init
        const pricePerEpoch = await this.#dearer(error, deal, { peer, mostPerEpoch, signal })
        return await ask({ ...deal, pricePerEpoch, nonce: init.nonce() })
      })
    } catch (error) {
      throw stalled.signal.aborted ? stalled.signal.reason : error
    } finally {
      signing?.cancel()
      spool.withdraw(offer)
      this.#underWay--
      const left = (this.#ofPeer.get(peer) ?? 1) - 1
      if (left === 0) this.#ofPeer.delete(peer)
      else this.#ofPeer.set(peer, left)
      for (const wake of [...this.#waiting]) wake()
    }
  }

  /** What the provider asks for, where that is what it refused and it is paid; else rethrows. */
  async #dearer(
    refusal: unknown,
    { pricePerEpoch, piece }: Deal,
    {
      peer,
      mostPerEpoch,
      signal,
    }: { peer: string; mostPerEpoch: bigint | undefined; signal: AbortSignal },
  ): Promise<bigint> {
    const { maxPrice } = this.#init
    if (maxPrice === undefined || codeOf(refusal) !== 'priceTooLow') throw refusal
    const { clock, network } = this.#components
    const limit = deadline(clock, clock.now() + TERMS_MS, signal)
    try {
      const { pricePerGiB } = await askTerms(network, peer, limit.signal)
      const asked = priceOf(pricePerGiB, piece.payload)
      if (asked <= pricePerEpoch || pricePerGiB > maxPrice) throw refusal
      if (mostPerEpoch !== undefined && asked > mostPerEpoch) throw refusal
      return asked
    } finally {
      limit.clear()
    }
  }
}

interface Racer {
  readonly candidate: Candidate
  readonly place: number
  readonly began: number
  readonly stop: AbortController
}

interface AgreeOptions {
  signal: AbortSignal
  /** Called when the provider is given the end of the piece, which no other gets then. */
  onEnd(): void
}

interface Course {
  /** Whether a peer may be asked now. */
  admits(peer: string): boolean
  agree(candidate: Candidate, place: number, options: AgreeOptions): Promise<Deal>
  /** By how much a provider's terms were missed; undefined where they were not, or are not told. */
  shortfall(candidate: Candidate, place: number, code: string): Promise<Shortfall | undefined>
  /** Resolves when a proposal of any upload has ended. */
  ended(signal: AbortSignal): Promise<void>
}

/** One group on its way to its providers. */
class Race {
  readonly #components: PlacementComponents
  readonly #init: PlaceInit
  readonly #course: Course
  readonly #candidates: Candidate[]
  readonly #deals: (Deal | undefined)[]
  readonly #refusals: Refusal[] = []
  readonly #racers = new Map<Racer, Promise<void>>()
  /** Racers that were given the end of their piece. */
  readonly #first = new Set<Racer>()
  /** Operators that keep a piece of the group or are about to. */
  readonly #operators = new Set<string>()
  /** Networks of those, each once for each of them. */
  readonly #networks = new Map<string, number>()
  /** How long each place took, ms. */
  readonly #times: number[] = []

  constructor(components: PlacementComponents, init: PlaceInit, course: Course) {
    this.#components = components
    this.#init = init
    this.#course = course
    const { pieces, candidates } = init
    this.#candidates = candidates.slice(0, CANDIDATES_MAX * pieces.length)
    this.#deals = pieces.map(() => undefined)
  }

  async run(): Promise<Placed> {
    const { signal } = this.#init
    const over = new AbortController()
    try {
      while (this.#deals.includes(undefined)) {
        signal.throwIfAborted()
        const next = this.#fill()
        // Somebody may be left to ask whom another upload asks at present.
        if (this.#racers.size === 0 && !this.#candidates.some(free => this.#isFree(free))) {
          throw this.#tooFew()
        }
        await this.#news(next, AbortSignal.any([signal, over.signal]))
      }
      return { deals: this.#deals as Deal[], refusals: this.#refusals }
    } finally {
      over.abort()
      for (const racer of this.#racers.keys()) racer.stop.abort()
      await Promise.all(this.#racers.values())
    }
  }

  /** Starts what may start; gives the time at which a place becomes overdue. */
  #fill(): number {
    for (const place of this.#deals.keys()) {
      if (this.#deals[place] !== undefined || this.#racersOf(place).length > 0) continue
      const candidate = this.#take()
      if (candidate === undefined) return Number.POSITIVE_INFINITY
      this.#start(candidate, place)
    }
    return this.#overtake()
  }

  /** A second provider for each place that is overdue, the oldest first. */
  #overtake(): number {
    const { clock } = this.#components
    const patience = this.#patience()
    for (const { place, began } of [...this.#racers.keys()].sort((a, b) => a.began - b.began)) {
      if (this.#racersOf(place).length >= RACERS_MAX || this.#isWon(place)) continue
      if (!this.#candidates.some(free => this.#isFree(free))) break
      if (clock.now() < began + patience) return began + patience
      const candidate = this.#take()
      if (candidate === undefined) break
      this.#start(candidate, place)
    }
    return Number.POSITIVE_INFINITY
  }

  #patience(): number {
    const sorted = [...this.#times].sort((a, b) => a - b)
    const half = Math.floor(this.#deals.length / 2)
    if (sorted.length <= half) return OVERDUE_ALONE_MS
    return Math.max(OVERDUE_MIN_MS, OVERDUE_FACTOR * (sorted[half] as number))
  }

  #start(candidate: Candidate, place: number): void {
    const { clock, log } = this.#components
    const { signal } = this.#init
    const operator = hex(candidate.entry.operator)
    this.#operators.add(operator)
    this.#count(candidate, 1)
    const racer: Racer = { candidate, place, began: clock.now(), stop: new AbortController() }
    const stopping = AbortSignal.any([signal, racer.stop.signal])
    const ended = this.#course
      .agree(candidate, place, { signal: stopping, onEnd: () => this.#first.add(racer) })
      .then(
        deal => {
          this.#deals[place] = deal
          this.#init.agreed?.(deal)
          this.#times.push(clock.now() - racer.began)
          for (const other of this.#racersOf(place)) if (other !== racer) other.stop.abort()
        },
        async (error: unknown) => {
          this.#operators.delete(operator)
          this.#count(candidate, -1)
          if (stopping.aborted) return
          this.#first.delete(racer)
          // It could not have the end: not its fault, and it may be needed if the other stalls.
          if (this.#isWon(place)) return void this.#candidates.push(candidate)
          const { index } = candidate.entry
          const refusal = { provider: index, code: codeOf(error) }
          const shortfall = await this.#course.shortfall(candidate, place, refusal.code)
          this.#refusals.push({ ...refusal, ...(shortfall === undefined ? {} : { shortfall }) })
          const facts = { provider: index, place, ...shortfall }
          log.info({ err: error, ...facts }, 'a provider did not take a piece')
        },
      )
      .finally(() => this.#racers.delete(racer))
    this.#racers.set(racer, ended)
  }

  /**
   * The next in order; but whoever refused is followed by a neighbour of its own rather than by one
   * of those that took a piece.
   */
  #take(): Candidate | undefined {
    const free = this.#candidates.filter(
      candidate => this.#isFree(candidate) && this.#course.admits(candidate.peer),
    )
    const apart = ({ network, last }: Candidate) =>
      last !== true && (network === undefined || !this.#networks.has(network))
    const next = free.find(apart) ?? free[0]
    if (next !== undefined) this.#candidates.splice(this.#candidates.indexOf(next), 1)
    return next
  }

  #isWon(place: number): boolean {
    return this.#racersOf(place).some(racer => this.#first.has(racer))
  }

  #count({ network }: Candidate, change: 1 | -1): void {
    if (network === undefined) return
    const count = (this.#networks.get(network) ?? 0) + change
    if (count === 0) this.#networks.delete(network)
    else this.#networks.set(network, count)
  }

  #isFree({ entry }: Candidate): boolean {
    return !this.#operators.has(hex(entry.operator))
  }

  #racersOf(place: number): Racer[] {
    return [...this.#racers.keys()].filter(racer => racer.place === place)
  }

  /** Waits until a racer or another upload's proposal has ended, or the time has come. */
  async #news(time: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#components
    const limit = deadline(clock, Math.min(time, Number.MAX_SAFE_INTEGER), signal)
    try {
      await Promise.race([...this.#racers.values(), this.#course.ended(limit.signal)])
    } finally {
      limit.clear()
    }
  }

  #tooFew(): CairnError {
    const { pieces, candidates } = this.#init
    const placed = this.#deals.filter(deal => deal !== undefined).length
    const answers = summarise(this.#refusals)
    const why = answers === '' ? 'no other provider is connected' : answers
    return new CairnError(
      'tooFewProviders',
      `${placed} of ${pieces.length} providers of different operators took a piece: ${why}`,
      {
        facts: {
          wanted: pieces.length,
          placed,
          candidates: candidates.length,
          answers: this.#refusals.map(({ provider, code }) => `${provider}: ${code}`).join(', '),
        },
        next: 'ask for fewer shards with --shards K/N, or wait for more providers',
      },
    )
  }
}

/**
 * `2 x volumeFull (3: asked 500, most 20; 7), 1 x busy (5)`: how often each answer came, and from which
 * nodes, and by how much where that is known.
 */
export function summarise(refusals: readonly Refusal[]): string {
  const byCode = new Map<string, string[]>()
  for (const { provider, code, shortfall } of refusals) {
    const numbers = shortfall === undefined ? '' : `: ${shortfallText(code, shortfall)}`
    byCode.set(code, [...(byCode.get(code) ?? []), `${provider}${numbers}`])
  }
  return [...byCode]
    .map(([code, providers]) => `${providers.length} x ${code} (${providers.join('; ')})`)
    .join(', ')
}

function stalls(): CairnError {
  return new CairnError('timeout', 'the provider has the whole piece and does not sign')
}

function codeOf(error: unknown): string {
  return error instanceof CairnError ? error.code : 'internal'
}
