/**
 * The client's daemon keeps its deals going: well before one ends it agrees with the same provider on a
 * successor, of the same piece and place, that begins where the old one ends. Nothing is transferred:
 * the provider has the piece. What is proposed is durable first and asked again as it stands, so that
 * a restart makes no second successor.
 */
import {
  CairnError,
  type Calendar,
  containedIndex,
  Deal,
  dealIndex,
  debtIndex,
  decode,
  type Envelope,
  type EpochBase,
  hex,
  type KnownDeal,
  type Profile,
  type RegistryEntry,
  storageKind,
  type Verifier,
} from '@cairn/protocol'
import { deadline } from '../../clock.ts'
import { withPrefix } from '../../ledger/schema.ts'
import type { Clock, Log, Network, Store } from '../../ports.ts'
import { Errands } from '../errands.ts'
import { agree } from './agreement.ts'
import type { DealKey, DealKeys } from './deal-keys.ts'
import { askTerms, isRefusedByTerms, priceOf } from './terms.ts'

/** Renewals agreed on at once: one request each. */
export const RENEWING_MAX = 4
/** Terms are answered from memory, ms. */
const TERMS_MS = 10_000
/** Epochs a successor needs to show in a base, beyond the look-back. */
const SETTLING_EPOCHS = 2

export interface RenewalsComponents {
  clock: Clock
  network: Network
  /** A key space of its own: id of the old deal -> the successor proposed. */
  store: Store
  keys: DealKeys
  verifier: Verifier
  log: Log
  publishDeal(envelope: Envelope): Promise<void>
  peerOf(entry: RegistryEntry): string
  /** Both sides have agreed to end this deal, or its client wants no more of it. */
  isEnding(deal: KnownDeal): boolean
}

export interface RenewalsInit {
  calendar: Calendar
  /** Paid for a GiB and epoch at most, base units, when a provider asks for more than before. */
  maxPrice: bigint
}

/** What came of the last attempt to renew a deal. */
export type Renewal = { state: 'agreed' } | { state: 'refused'; reason: string }

export function renewalName(renewal: Renewal): string {
  return renewal.state === 'agreed' ? 'agreed' : renewal.reason
}

/** Epochs before its end in which a deal is renewed: half of the shortest deal, or what it takes. */
export function renewAhead({ minDealEpochs, lookback }: Profile): number {
  const ahead = Math.max(Math.ceil(minDealEpochs / 2), lookback + SETTLING_EPOCHS)
  return Math.min(minDealEpochs, ahead)
}

/** Own deals that end soon and that the base shows no successor of, by ascending end. */
export function dueDeals(base: EpochBase, keys: DealKeys): KnownDeal[] {
  const index = dealIndex(base.state(storageKind))
  const until = base.epoch + renewAhead(base.profile)
  return keys
    .all()
    .flatMap(({ key }) => index.byClient.get(hex(key)) ?? [])
    .filter(({ deal }) => base.epoch < deal.endEpoch && deal.endEpoch <= until)
    .filter(old => successorIn(index.byClient.get(hex(old.deal.client)) ?? [], old) === undefined)
    .sort((a, b) => a.deal.endEpoch - b.deal.endEpoch)
}

/** Why a deal is not to go on with its provider: what it did not answer would be forgotten with it. */
function distrust(key: string, base: EpochBase): string | undefined {
  const state = base.state(storageKind)
  if ((debtIndex(state).get(key)?.again ?? 0) > 0) return 'owesAnswer'
  return containedIndex(state).has(key) ? 'contained' : undefined
}

/** What keeps the same place going after a deal, whoever the provider is. */
function successorIn(deals: readonly KnownDeal[], { deal: old }: KnownDeal): KnownDeal | undefined {
  return deals.find(
    ({ deal }) =>
      deal.startEpoch >= old.endEpoch &&
      deal.place === old.place &&
      hex(deal.group) === hex(old.group),
  )
}

export class Renewals {
  readonly #components: RenewalsComponents
  readonly #init: RenewalsInit
  readonly #errands: Errands
  /** Of deals that are due, by id in hexadecimal. */
  readonly #outcomes = new Map<string, Renewal & { epoch: number }>()
  #working = false

  constructor(components: RenewalsComponents, init: RenewalsInit) {
    this.#components = components
    this.#init = init
    this.#errands = new Errands(components)
  }

  async stop(): Promise<void> {
    await this.#errands.stop()
  }

  /** Undefined while nothing was tried. */
  outcomeOf(id: Uint8Array): Renewal | undefined {
    return this.#outcomes.get(hex(id))
  }

  /** Renews what is due; an attempt that is still under way is left to end. */
  epoch(base: EpochBase): void {
    if (this.#working) return
    this.#working = true
    this.#errands.run(async () => {
      try {
        await this.#renewAll(base)
      } finally {
        this.#working = false
      }
    })
  }

  async #renewAll(base: EpochBase): Promise<void> {
    await this.#forget(base)
    const due = dueDeals(base, this.#components.keys).filter(old => this.#isToTry(old, base))
    for (let at = 0; at < due.length; at += RENEWING_MAX) {
      const some = due.slice(at, at + RENEWING_MAX)
      await Promise.all(some.map(old => this.#renew(old, base)))
    }
  }

  /** One that was agreed on is asked again only when no base shows it in time. */
  #isToTry(old: KnownDeal, base: EpochBase): boolean {
    if (this.#components.isEnding(old)) return false
    const { key } = old
    const reason = distrust(key, base)
    if (reason !== undefined) {
      this.#outcomes.set(key, { state: 'refused', reason, epoch: base.epoch })
      return false
    }
    const outcome = this.#outcomes.get(key)
    const settling = base.profile.lookback + SETTLING_EPOCHS
    return outcome?.state !== 'agreed' || base.epoch - outcome.epoch >= settling
  }

  async #renew(old: KnownDeal, base: EpochBase): Promise<void> {
    const { keys, log } = this.#components
    const key = keys.of(old.deal.client)
    if (key === undefined) return
    const { epoch } = base
    try {
      const envelope = await this.#agreed(old, key, base)
      await this.#components.publishDeal(envelope)
      this.#outcomes.set(old.key, { state: 'agreed', epoch })
      log.info({ deal: old.key, provider: old.deal.provider }, 'a deal is renewed')
    } catch (error) {
      if (this.#errands.signal.aborted) return
      const reason = error instanceof CairnError ? error.code : 'internal'
      const before = this.#outcomes.get(old.key)
      this.#outcomes.set(old.key, { state: 'refused', reason, epoch })
      const isNew = before?.state !== 'refused' || before.reason !== reason
      const facts = { err: error, deal: old.key, provider: old.deal.provider }
      const text = 'a deal could not be renewed; tries again next epoch'
      if (isNew) log.warn({ ...facts, endsIn: old.deal.endEpoch - epoch }, text)
      else log.debug(facts, text)
    }
  }

  async #agreed(old: KnownDeal, key: DealKey, base: EpochBase): Promise<Envelope> {
    const proposed = (await this.#proposed(old)) ?? successorOf(old.deal)
    try {
      return await this.#propose(old, proposed, key, base)
    } catch (error) {
      if (!isRefusedByTerms(error)) throw error
      return await this.#propose(old, await this.#onTheirTerms(proposed, base, error), key, base)
    }
  }

  async #propose(old: KnownDeal, deal: Deal, key: DealKey, base: EpochBase): Promise<Envelope> {
    const { store, peerOf } = this.#components
    const entry = base.node(deal.provider)
    if (entry === undefined) {
      throw new CairnError('unknownProvider', 'the provider left the registry', {
        facts: { provider: deal.provider },
      })
    }
    await store.batch([{ key: old.id, value: Deal.serialize(deal) }], { sync: true })
    const provider = { entry, peer: peerOf(entry) }
    const { signal } = this.#errands
    return await agree(this.#components, { deal, key, provider, id: base.network, signal })
  }

  /** The successor on the provider's present terms; rethrows the refusal where they do not suit. */
  async #onTheirTerms(deal: Deal, base: EpochBase, refusal: unknown): Promise<Deal> {
    const { network, peerOf, clock } = this.#components
    const entry = base.node(deal.provider)
    if (entry === undefined) throw refusal
    const limit = deadline(clock, clock.now() + TERMS_MS, this.#errands.signal)
    try {
      const terms = await askTerms(network, peerOf(entry), limit.signal)
      const epochs = Math.min(deal.endEpoch - deal.startEpoch, terms.longestDeal)
      const asked = priceOf(terms.pricePerGiB, deal.piece.payload)
      const dearer = asked > deal.pricePerEpoch
      if (dearer && asked > priceOf(this.#init.maxPrice, deal.piece.payload)) {
        throw new CairnError('tooDear', 'the provider asks for more than this client pays', {
          facts: { asked: terms.pricePerGiB, most: this.#init.maxPrice },
          next: 'raise `client.maxPrice`, or store the file again with other providers',
        })
      }
      const suits = epochs >= base.profile.minDealEpochs
      if (!suits || deal.piece.payload > terms.largestPiece) throw refusal
      const endEpoch = deal.startEpoch + epochs
      return { ...deal, endEpoch, ...(dearer ? { pricePerEpoch: asked } : {}) }
    } finally {
      limit.clear()
    }
  }

  async #proposed({ id }: KnownDeal): Promise<Deal | undefined> {
    const bytes = await this.#components.store.get(id)
    return bytes === undefined ? undefined : decode(Deal, bytes)
  }

  /** Of deals that no base carries any more. */
  async #forget(base: EpochBase): Promise<void> {
    const { store } = this.#components
    const carried = dealIndex(base.state(storageKind)).byId
    const writes = []
    for await (const [id] of store.range(withPrefix(new Uint8Array(0)))) {
      if (!carried.has(hex(id))) writes.push({ key: id })
    }
    if (writes.length > 0) await store.batch(writes)
    for (const name of this.#outcomes.keys()) if (!carried.has(name)) this.#outcomes.delete(name)
  }
}

const EPOCH_MAX = 2 ** 32 - 1

/** As long as the old one; its id differs by the epochs alone. */
function successorOf(old: Deal): Deal {
  const endEpoch = Math.min(EPOCH_MAX, 2 * old.endEpoch - old.startEpoch)
  return { ...old, startEpoch: old.endEpoch, endEpoch }
}
