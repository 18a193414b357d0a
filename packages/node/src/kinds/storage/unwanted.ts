/**
 * Groups of deals that their client wants no more: those of files that it removed, and of uploads that
 * did not come to their end. Each deal is ended by agreement as soon as it has begun and its provider
 * can be asked; none is renewed. What is wanted no more is durable, and so is what is being stored, so
 * that of an upload that a crash cut off it is known what it left.
 */
import {
  canEnd,
  dealIndex,
  type EpochBase,
  epochAt,
  type FullCalendar,
  hex,
  type KnownDeal,
  storageKind,
  unhex,
} from '@cairn/protocol'
import { readU32, u32, withPrefix } from '../../ledger/schema.ts'
import type { Clock, Log, Store } from '../../ports.ts'
import { Errands } from '../errands.ts'
import type { EpochView } from '../kind.ts'
import { presentBase } from '../present.ts'
import type { DealKeys } from './deal-keys.ts'
import type { Endings } from './endings.ts'

/** Deals ended at once: one request each. */
export const ENDING_MAX = 4
/** Groups that are being stored, on disk: no epoch, all others are. */
const STORING = 2 ** 32 - 1
/** Epochs after which no set takes in a deal that this node proposed: it has begun by then. */
const AHEAD_EPOCHS = 2

export interface UnwantedComponents {
  clock: Clock
  /** A key space of its own: group id -> last epoch whose checkpoint may hold a deal of it. */
  store: Store
  view: EpochView
  keys: DealKeys
  endings: Pick<Endings, 'end' | 'isAgreed'>
  log: Log
}

export interface UnwantedInit {
  calendar: FullCalendar
}

export class Unwanted {
  readonly #components: UnwantedComponents
  readonly #init: UnwantedInit
  readonly #errands: Errands
  /** By group in hexadecimal, the last epoch whose checkpoint may hold a deal of it. */
  readonly #groups = new Map<string, number>()
  #cutOff: Uint8Array[] = []
  #working = false

  constructor(components: UnwantedComponents, init: UnwantedInit) {
    this.#components = components
    this.#init = init
    this.#errands = new Errands(components)
  }

  async start(): Promise<void> {
    const { store } = this.#components
    for await (const [group, value] of store.range(withPrefix(new Uint8Array(0)))) {
      const until = readU32(value)
      if (until === STORING) this.#cutOff.push(group.slice())
      else this.#groups.set(hex(group), until)
    }
  }

  async stop(): Promise<void> {
    await this.#errands.stop()
  }

  /** Groups that were being stored when the process before ended; each is to be kept or dropped. */
  get cutOff(): readonly Uint8Array[] {
    return this.#cutOff
  }

  /** A group is being stored, until it is kept or dropped. Durable when it resolves. */
  async storing(group: Uint8Array): Promise<void> {
    await this.#components.store.batch([{ key: group, value: u32(STORING) }], { sync: true })
  }

  /** Groups were stored. */
  async keep(groups: readonly Uint8Array[]): Promise<void> {
    await this.#components.store.batch(groups.map(key => ({ key })))
    this.#decided(groups)
  }

  /** From now on no deal of these groups is wanted. Durable when it resolves. */
  async drop(groups: readonly Uint8Array[]): Promise<void> {
    const { clock, store } = this.#components
    const { calendar } = this.#init
    const now = Math.max(0, epochAt(calendar, clock.now()))
    const until = now + AHEAD_EPOCHS
    await store.batch(
      groups.map(key => ({ key, value: u32(until) })),
      { sync: true },
    )
    for (const group of groups) this.#groups.set(hex(group), until)
    this.#decided(groups)
    const base = presentBase(this.#components, calendar)
    if (base !== undefined) this.epoch(base)
  }

  /** Its deals are to end. */
  has(group: Uint8Array): boolean {
    return this.#groups.has(hex(group))
  }

  /** Ends what can be ended, and forgets groups of which nothing is left and nothing can come. */
  epoch(base: EpochBase): void {
    if (this.#working || this.#groups.size === 0) return
    this.#working = true
    this.#errands.run(async () => {
      try {
        await this.#end(base)
      } finally {
        this.#working = false
      }
    })
  }

  async #end(base: EpochBase): Promise<void> {
    const { keys, endings, store } = this.#components
    const index = dealIndex(base.state(storageKind))
    const own = keys.all().flatMap(({ key }) => index.byClient.get(hex(key)) ?? [])
    const deals = own.filter(({ deal }) => this.has(deal.group))
    const due = deals.filter(({ id, deal }) => canEnd(deal, base.epoch) && !endings.isAgreed(id))
    const left = due[Symbol.iterator]()
    const work = async () => {
      for (const known of left) {
        if (this.#errands.signal.aborted) return
        await this.#ask(known)
      }
    }
    await Promise.all(Array.from({ length: ENDING_MAX }, work))
    const carried = new Set(deals.map(({ deal }) => hex(deal.group)))
    const over = [...this.#groups]
      .filter(([group, until]) => until < base.stateEpoch && !carried.has(group))
      .map(([group]) => group)
    if (over.length === 0) return
    await store.batch(over.map(group => ({ key: unhex(group) })))
    for (const group of over) this.#groups.delete(group)
  }

  #decided(groups: readonly Uint8Array[]): void {
    const decided = new Set(groups.map(hex))
    this.#cutOff = this.#cutOff.filter(group => !decided.has(hex(group)))
  }

  async #ask({ id, key, deal }: KnownDeal): Promise<void> {
    try {
      await this.#components.endings.end(id)
    } catch (error) {
      // A provider that is away is asked again in the next epoch; the deal is paid until then.
      const facts = { err: error, deal: key, provider: deal.provider }
      this.#components.log.debug(facts, 'a deal that is not wanted could not be ended yet')
    }
  }
}
