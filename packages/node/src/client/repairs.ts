/**
 * Keeps groups whole. At each checkpoint that is adopted every group is looked at; one below its
 * threshold is repaired until all its places are live again: what is missing is made again out of any
 * k others and kept by other providers under new deals.
 *
 * Before anything is proposed the places and the last epoch in which such a deal may yet be taken in
 * are durable. Until that epoch's checkpoint is adopted the place is left alone, so that neither a
 * crash nor a deal that got lost on its way pays for a place twice.
 */
import { CairnError, check, type Deal, type EndedDeal, hex, type KnownDeal } from '@cairn/protocol'
import { Errands } from '../kinds/errands.ts'
import type { DealKey } from '../kinds/storage/deal-keys.ts'
import type { Clock, Log, Store } from '../ports.ts'
import type { Sited } from './arrange.ts'
import type { Client, DealLimits } from './client.ts'
import {
  dealsByGroup,
  type GroupHealth,
  type GroupHealthInit,
  groupHealth,
  isDue,
  isWhole,
  placesToRepair,
} from './group-health.ts'
import type { OpenGroup } from './remake.ts'
import { type GroupRepairs, type Loss, type Repaired, RepairLog } from './repair-log.ts'

/** Groups repaired at once: each has a range of k pieces in memory and its places in the spool. */
export const REPAIRING_MAX = 2
/** Behind a checkpoint older than this much more may have changed than is seen, epochs. */
const STALE_EPOCHS = 4
/** Reasons for which a provider is not trusted with the group before others. */
const FAILURES: ReadonlySet<string> = new Set(['lost', 'gone', 'wrong'])

/** A group that this node repairs. */
export interface OwnGroup extends OpenGroup {
  /** What it belongs to, for people. */
  readonly of: string
  /** Operators that get nothing of it, in hexadecimal. */
  readonly barred?: ReadonlySet<string>
  /** Of another client's group: its deal key, and who signs in its place. */
  readonly client?: Uint8Array
  readonly signer?: DealKey
  /** What its deals may be at most, and the places that they may be for. */
  readonly limits?: DealLimits & { readonly places: ReadonlySet<number> }
  /** Epochs for which the group may be due before this node repairs it, when nobody else does. */
  readonly patience?: number
}

export interface RepairsComponents {
  clock: Clock
  log: Log
  /** A key space of its own. */
  store: Store
  client: Pick<Client, 'repair'>
  /** One after the other: they may be many. */
  groups(): AsyncIterable<OwnGroup>
  /** Undefined while no checkpoint or base is known. */
  look(): Promise<GroupHealthInit | undefined>
  /** Any provider of the base, connected or not. */
  providerAt(index: number): Sited | undefined
  /** False for a group whose file was removed since it was given. */
  isWanted(group: Uint8Array): boolean
}

export interface RepairsInit {
  terms: { epochs: number; pricePerGiB: bigint }
}

/** One group as it was found and left by a run. */
export interface GroupReport {
  readonly of: string
  readonly id: Uint8Array
  readonly health: GroupHealth
  readonly data: number
  readonly isManifest: boolean
  readonly underWay: boolean
  /** Fewer places are left than it takes to make the others again. */
  readonly isLost: boolean
  /** Deals of it that ended, and places that were made again: oldest first. */
  readonly losses: readonly Loss[]
  readonly repairs: readonly Repaired[]
  /** Why the last attempt did not repair all. */
  readonly error?: CairnError
}

/** How the last pass over all groups left them. */
export interface RepairTotals {
  groups: number
  /** Below their threshold once and not whole since. */
  underWay: number
  /** With fewer than k places left: nobody makes them whole again. */
  lost: number
  /** Where the last attempt did not repair all. */
  failing: number
  /** Places repaired since the node started. */
  repaired: number
}

export class Repairs {
  readonly #components: RepairsComponents
  readonly #init: RepairsInit
  readonly #log: RepairLog
  readonly #errands: Errands
  /** Of the last run, by id in hexadecimal: those that are not whole. */
  readonly #failures = new Map<string, CairnError>()
  readonly #listeners: ((totals: RepairTotals) => void)[] = []
  /** Since when a group wants repair without anybody at it, by id in hexadecimal. */
  readonly #dueSince = new Map<string, number>()
  #running: Promise<GroupReport[]> | undefined
  #following = false
  #again = false
  #totals: RepairTotals = { groups: 0, underWay: 0, lost: 0, failing: 0, repaired: 0 }

  constructor(components: RepairsComponents, init: RepairsInit) {
    this.#components = components
    this.#init = init
    this.#log = new RepairLog(components)
    this.#errands = new Errands(components)
  }

  get totals(): RepairTotals {
    return this.#totals
  }

  /** Called after each run. */
  onRun(listener: (totals: RepairTotals) => void): void {
    this.#listeners.push(listener)
  }

  async stop(): Promise<void> {
    await this.#errands.stop()
    // One that was asked for is nobody's errand.
    await Promise.allSettled([this.#running])
  }

  /**
   * The checkpoint of an epoch was adopted, which ended some deals. Those that come while a run lasts
   * are followed by one more run.
   */
  adopted(epoch: number, ended: () => Promise<readonly EndedDeal[]>): void {
    this.#errands.run(async () => {
      await this.#note(await ended(), epoch)
      this.#again = true
      if (this.#following) return
      this.#following = true
      try {
        // One that was asked for may have looked before this checkpoint.
        await Promise.allSettled([this.#running])
        while (this.#again && !this.#errands.signal.aborted) {
          this.#again = false
          await this.run()
        }
      } finally {
        this.#following = false
      }
    })
  }

  /** Repairs what is due; a run that is under way is joined. */
  async run(): Promise<GroupReport[]> {
    this.#running ??= this.#runOnce().finally(() => {
      this.#running = undefined
    })
    return await this.#running
  }

  /** How all groups are at present. */
  async reports(): Promise<GroupReport[]> {
    return (await this.#pass(async ({ report }) => report)) ?? []
  }

  async #runOnce(): Promise<GroupReport[]> {
    const reports = await this.#pass(found => this.#repair(found))
    if (reports === undefined || this.#errands.signal.aborted) return reports ?? []
    const known = new Set(reports.map(({ id }) => hex(id)))
    await this.#log.keep(known)
    for (const group of this.#failures.keys()) if (!known.has(group)) this.#failures.delete(group)
    for (const group of this.#dueSince.keys()) if (!known.has(group)) this.#dueSince.delete(group)
    const count = (of: (report: GroupReport) => boolean) => reports.filter(of).length
    this.#totals = {
      groups: reports.length,
      underWay: count(({ underWay }) => underWay),
      lost: count(({ isLost }) => isLost),
      failing: count(({ error }) => error !== undefined),
      repaired: this.#totals.repaired,
    }
    for (const listener of this.#listeners) listener(this.#totals)
    return reports
  }

  /** Undefined while nothing is known of the deals. */
  async #pass(task: (found: Found) => Promise<GroupReport>): Promise<GroupReport[] | undefined> {
    const present = await this.#components.look()
    if (present === undefined) return undefined
    const ofClient = new Map<string, ReturnType<typeof dealsByGroup>>()
    const dealsOf = (client: Uint8Array) => {
      const key = hex(client)
      const deals = ofClient.get(key) ?? dealsByGroup({ ...present, client })
      ofClient.set(key, deals)
      return deals
    }
    const reports: GroupReport[] = []
    const left = this.#components.groups()[Symbol.asyncIterator]()
    const work = async () => {
      for (let next = await left.next(); next.done !== true; next = await left.next()) {
        if (this.#errands.signal.aborted) return
        const { client = present.client } = next.value
        reports.push(await task(await this.#find(next.value, present, dealsOf(client))))
      }
    }
    await Promise.all(Array.from({ length: REPAIRING_MAX }, work))
    return reports
  }

  async #find(
    group: OwnGroup,
    present: GroupHealthInit,
    deals: ReadonlyMap<string, KnownDeal[]>,
  ): Promise<Found> {
    const { id, of, data } = group
    const health = groupHealth(group, present, deals.get(hex(id)) ?? [])
    const record = await this.#log.of(id)
    const error = this.#failures.get(hex(id))
    const underWay = !isWhole(health) && (record.underWay || isDue(health))
    const report: GroupReport = {
      of,
      id,
      data,
      isManifest: group.keys === undefined,
      health,
      underWay,
      isLost: group.payload === undefined && group.pieces.length - health.counts.gone < data,
      losses: record.losses,
      repairs: record.repairs,
      ...(error === undefined || !underWay ? {} : { error }),
    }
    return { group, present, record, report }
  }

  async #repair(found: Found): Promise<GroupReport> {
    const { group, present, record, report } = found
    const { id } = group
    const { underWay, health } = report
    if (present.epoch - present.settled > STALE_EPOCHS) return report
    // Whether a deal was signed for these is not known yet.
    const waiting = new Set(
      [...record.proposed].filter(([, until]) => until > present.settled).map(([place]) => place),
    )
    const missing = (underWay ? placesToRepair(health) : [])
      .filter(place => !waiting.has(place))
      .filter(place => group.limits?.places.has(place) ?? true)
    const places = this.#isTurn(found, missing) ? missing : []
    if (underWay !== record.underWay) await this.#log.change(id, () => ({ underWay }))
    if (places.length === 0) {
      if (waiting.size === 0) this.#failures.delete(hex(id))
      return report
    }
    const { error: _, ...rest } = report
    const deals: Deal[] = []
    try {
      await this.#remake(found, places, deals)
      this.#failures.delete(hex(id))
      return { ...rest, repairs: await this.#done(found, places, deals) }
    } catch (error) {
      const repairs = await this.#done(found, places, deals)
      if (this.#errands.signal.aborted) return { ...rest, repairs }
      return { ...rest, repairs, error: this.#failed(found, places, error) }
    }
  }

  /** Whether nobody else has done anything for as long as this node is to be patient. */
  #isTurn({ group, present, report }: Found, missing: readonly number[]): boolean {
    const { id, patience = 0 } = group
    const key = hex(id)
    if (missing.length === 0 || report.health.counts.coming > 0) {
      this.#dueSince.delete(key)
      return patience === 0
    }
    const since = this.#dueSince.get(key) ?? present.epoch
    this.#dueSince.set(key, since)
    return present.epoch - since >= patience
  }

  /** Adds the deals to a list as they are signed. */
  async #remake(
    { group, present, record, report }: Found,
    places: readonly number[],
    deals: Deal[],
  ): Promise<void> {
    const { client, providerAt, isWanted } = this.#components
    const failed = new Set(
      record.losses.filter(({ reason }) => FAILURES.has(reason)).map(({ provider }) => provider),
    )
    const keepers = report.health.places
      .flatMap(place => place.deals.map(({ deal }) => providerAt(deal.provider)))
      .filter(keeper => keeper !== undefined)
    const { barred, signer, limits } = group
    await client.repair({
      ...(limits === undefined ? {} : { limits }),
      ...(barred === undefined ? {} : { barred }),
      ...(signer === undefined ? {} : { signer }),
      group,
      places,
      keepers,
      failed,
      ...this.#init.terms,
      proposing: async until => {
        // To make the pieces takes long; a deal signed after the removal would never be ended.
        check(isWanted(group.id), 'notListed', 'the file was removed while it was repaired')
        await this.#log.change(group.id, ({ proposed }) => ({
          proposed: new Map([
            ...[...proposed].filter(([, last]) => last > present.settled),
            ...places.map(place => [place, until] as const),
          ]),
        }))
      },
      agreed: deal => deals.push(deal),
      signal: this.#errands.signal,
    })
  }

  /**
   * Remembers who agreed. Places that nobody agreed to are free for the next run, unless somebody may
   * have signed whom this node, being stopped, did not hear.
   */
  async #done(
    { group, present: { epoch }, record }: Found,
    places: readonly number[],
    deals: readonly Deal[],
  ): Promise<readonly Repaired[]> {
    const made = deals.map(({ place, provider }) => ({ place, provider, epoch }))
    const taken = new Set(made.map(({ place }) => place))
    this.#totals = { ...this.#totals, repaired: this.#totals.repaired + taken.size }
    if (made.length > 0) {
      this.#components.log.info(
        { file: group.of, places: [...taken].join(', '), epoch },
        'repaired what was missing of a file',
      )
    }
    const isFree = (place: number) =>
      !this.#errands.signal.aborted && places.includes(place) && !taken.has(place)
    await this.#log.change(group.id, ({ proposed, repairs }) => ({
      proposed: new Map([...proposed].filter(([place]) => !isFree(place))),
      repairs: [...repairs, ...made],
    }))
    return [...record.repairs, ...made]
  }

  #failed({ group, report }: Found, places: readonly number[], cause: unknown): CairnError {
    const error =
      cause instanceof CairnError ? cause : new CairnError('internal', 'a repair failed', { cause })
    const before = this.#failures.get(hex(group.id))
    this.#failures.set(hex(group.id), error)
    const { live } = report.health.counts
    const facts = { err: cause, file: group.of, live, needed: group.data, places: places.length }
    const text = 'a file could not be repaired; tries again at the next checkpoint'
    if (before?.code === error.code) this.#components.log.debug(facts, text)
    else this.#components.log.warn(facts, text)
    return error
  }

  /** Who lost what, of groups that are known; those of others are forgotten by the next run. */
  async #note(ended: readonly EndedDeal[], epoch: number): Promise<void> {
    for (const { deal, reason } of ended) {
      const { place, provider } = deal
      await this.#log.change(deal.group, ({ losses }) => ({
        losses: [...losses, { place, provider, reason, epoch }],
      }))
    }
  }
}

interface Found {
  readonly group: OwnGroup
  readonly present: GroupHealthInit
  readonly record: GroupRepairs
  readonly report: GroupReport
}
