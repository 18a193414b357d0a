/**
 * The client's own check of what it has stored: from each provider it fetches the part of a piece
 * around one leaf that nobody can foresee, with its proof. Of a leaf that it does not get it says so
 * in an audit, and the challengers of a later epoch ask the provider themselves. In the background a
 * few deals are looked at per epoch; `audit` looks at any.
 */
import {
  auditEnvelope,
  auditIndex,
  auditSigningRoot,
  CairnError,
  type Calendar,
  dataLeaves,
  dealIndex,
  debtIndex,
  type Envelope,
  type EpochBase,
  epochAt,
  hex,
  isLive,
  type KnownDeal,
  type RegistryEntry,
  slotStart,
  storageKind,
  subtreeRange,
} from '@cairn/protocol'
import { deadline } from '../../clock.ts'
import { pullPiece } from '../../pieces/transfer.ts'
import type { Clock, Log, Network } from '../../ports.ts'
import { Errands } from '../errands.ts'
import type { EpochView } from '../kind.ts'
import type { DealKeys } from './deal-keys.ts'

/** Deals looked at in an epoch without being asked to: 2 MiB. */
export const AUDITS_PER_EPOCH = 32
/** Deals looked at by one request of a user. */
export const AUDITS_MAX = 1_024
/** Providers asked at once. */
const AUDITING_MAX = 8
/** A provider that let a user wait so often is not waited for again in the same request. */
const WAITS_MAX = 2
const WAITED: ReadonlySet<string> = new Set(['timeout', 'unreachable'])
/** A provider that answers challenges answers within the deadline of one; a client is more patient. */
const DEADLINES = 2

/** `given`: the leaf came with its proof; else the code of why not. */
export interface AuditOutcome {
  readonly deal: KnownDeal
  readonly leaf: number
  readonly epoch: number
  readonly outcome: string
  /** The network knows: verifiers ask this leaf, or another of the deal. */
  readonly reported: boolean
}

export const GIVEN = 'given'
/** Of its provider nothing came before in the same request. */
const NOT_ASKED = 'notAsked'

export interface AuditorComponents {
  clock: Clock
  network: Network
  view: EpochView
  keys: DealKeys
  log: Log
  /** Bytes that nobody can guess. */
  random(length: number): Uint8Array
  /** Takes a complete message in and gossips it. */
  publishDeal(envelope: Envelope): Promise<void>
  peerOf(entry: RegistryEntry): string
}

export interface AuditorInit {
  calendar: Calendar
}

export class Auditor {
  readonly #components: AuditorComponents
  readonly #init: AuditorInit
  readonly #errands: Errands
  /** The last outcome of each own deal that was looked at, by id in hexadecimal. */
  readonly #outcomes = new Map<string, AuditOutcome>()
  /** The epoch of the last audit of each own deal, by id in hexadecimal. */
  readonly #reported = new Map<string, number>()

  constructor(components: AuditorComponents, init: AuditorInit) {
    this.#components = components
    this.#init = init
    this.#errands = new Errands(components)
  }

  async stop(): Promise<void> {
    await this.#errands.stop()
  }

  /** The last outcome of an own deal; undefined while none was looked at. */
  outcomeOf(id: Uint8Array): AuditOutcome | undefined {
    return this.#outcomes.get(hex(id))
  }

  /** Own deals of this base whose leaf was not given when it was last looked at. */
  failed(base: EpochBase): AuditOutcome[] {
    return this.#own(base)
      .map(({ key }) => this.#outcomes.get(key))
      .filter(found => found !== undefined && found.outcome !== GIVEN) as AuditOutcome[]
  }

  /** Looks at some deals, spread over the part of the epoch in which an audit still arrives. */
  epoch(base: EpochBase): void {
    const own = this.#own(base)
    this.#forget(own)
    const some = this.#pick(own, AUDITS_PER_EPOCH)
    const { attestUntilSlot, slotMs } = base.profile
    const span = attestUntilSlot * slotMs
    for (const [place, deal] of some.entries()) {
      const time =
        slotStart(base, base.epoch, 0) + Math.floor(((place + 1) * span) / (some.length + 1))
      this.#errands.at(time, async () => {
        await this.#audit(deal, base)
      })
    }
  }

  /** Looks at own live deals now; at a part of them, picked at random, where they are too many. */
  async audit(
    base: EpochBase,
    wanted: (deal: KnownDeal) => boolean = any,
  ): Promise<AuditOutcome[]> {
    const some = this.#pick(this.#own(base).filter(wanted), AUDITS_MAX)
    const outcomes: AuditOutcome[] = []
    const waits = new Map<number, number>()
    const next = async () => {
      for (let deal = some.shift(); deal !== undefined; deal = some.shift()) {
        const { provider } = deal.deal
        const waited = () => waits.get(provider) ?? 0
        const found =
          waited() < WAITS_MAX ? await this.#audit(deal, base) : this.#passedOver(deal, base)
        if (WAITED.has(found.outcome)) waits.set(provider, waited() + 1)
        outcomes.push(found)
      }
    }
    await Promise.all(Array.from({ length: AUDITING_MAX }, next))
    return outcomes
  }

  #passedOver(deal: KnownDeal, { epoch }: EpochBase): AuditOutcome {
    return { deal, leaf: this.#leafOf(deal), epoch, outcome: NOT_ASKED, reported: false }
  }

  #leafOf({ deal }: KnownDeal): number {
    return Number(this.#below(dataLeaves(deal.piece)))
  }

  async #audit(deal: KnownDeal, base: EpochBase): Promise<AuditOutcome> {
    const { log } = this.#components
    const leaf = this.#leafOf(deal)
    const outcome = await this.#ask(deal, leaf, base)
    const reported = outcome !== GIVEN && (await this.#report(deal, leaf))
    const found = { deal, leaf, epoch: base.epoch, outcome, reported }
    if (this.#errands.signal.aborted) return found
    this.#outcomes.set(deal.key, found)
    if (outcome !== GIVEN) {
      const facts = { deal: deal.key, provider: deal.deal.provider, leaf, outcome, reported }
      log.warn(facts, 'a provider did not give a leaf of a deal')
    }
    return found
  }

  /** `GIVEN`, or the code of why not. */
  async #ask({ deal }: KnownDeal, leaf: number, base: EpochBase): Promise<string> {
    const { clock, peerOf } = this.#components
    const entry = base.node(deal.provider)
    if (entry === undefined) return 'unknownProvider'
    const limit = deadline(
      clock,
      clock.now() + DEADLINES * base.profile.proofDeadlineMs,
      this.#errands.signal,
    )
    let refused: string | undefined
    try {
      const pull = pullPiece(this.#components, {
        piece: deal.piece,
        peers: [peerOf(entry)],
        ...subtreeRange(deal.piece, leaf),
        signal: limit.signal,
        onRefused: (_, code) => {
          refused = code
        },
      })
      for await (const _ of pull);
      return GIVEN
    } catch (error) {
      if (refused !== undefined) return refused
      if (limit.signal.aborted) return 'timeout'
      return error instanceof CairnError ? error.code : 'internal'
    } finally {
      limit.clear()
    }
  }

  /** False where it cannot be said now. */
  async #report({ id, key, deal }: KnownDeal, leaf: number): Promise<boolean> {
    const { keys, view, clock, publishDeal, log } = this.#components
    const epoch = epochAt(this.#init.calendar, clock.now())
    const base = view.base(epoch)
    const signer = keys.of(deal.client)
    if (base === undefined || signer === undefined || this.#errands.signal.aborted) return false
    const state = base.state(storageKind)
    if (debtIndex(state).has(key) || auditIndex(state).has(key)) return true
    // Until a base can hold the one that is out, another would change nothing.
    const before = this.#reported.get(key)
    if (before !== undefined && epoch - before < base.profile.lookback + 2) return true
    const audit = { client: deal.client, deal: id, leaf, epoch }
    try {
      await publishDeal(auditEnvelope(audit, signer.sign(auditSigningRoot(audit, base.network))))
      this.#reported.set(key, epoch)
      return true
    } catch (error) {
      // The deal is over, or there is no room.
      log.debug({ err: error, deal: key }, 'an audit is not taken in')
      return false
    }
  }

  #own(base: EpochBase): KnownDeal[] {
    const { byClient } = dealIndex(base.state(storageKind))
    return this.#components.keys
      .all()
      .flatMap(({ key }) => byClient.get(hex(key)) ?? [])
      .filter(({ deal }) => isLive(deal, base.epoch))
  }

  #forget(own: readonly KnownDeal[]): void {
    const kept = new Set(own.map(({ key }) => key))
    for (const map of [this.#outcomes, this.#reported]) {
      for (const key of map.keys()) if (!kept.has(key)) map.delete(key)
    }
  }

  /** So many of them at random, in random order. */
  #pick(deals: readonly KnownDeal[], most: number): KnownDeal[] {
    const left = [...deals]
    for (let place = 0; place < Math.min(most, left.length); place++) {
      const other = place + Number(this.#below(left.length - place))
      const deal = left[other] as KnownDeal
      left[other] = left[place] as KnownDeal
      left[place] = deal
    }
    return left.slice(0, most)
  }

  /** Even up to 2^-32: a piece has fewer than 2^26 leaves. */
  #below(bound: number): bigint {
    return BigInt(`0x${hex(this.#components.random(8))}`) % BigInt(bound)
  }
}

const any = () => true
