/**
 * What a client remembers of the repair of each group, beside its list of files: whether it is under
 * way, for which places deals were proposed, who lost a piece of it, and who keeps it since. With it a
 * restart begins nothing twice, and a piece does not go back to whoever lost it.
 */
import {
  ContainerType,
  decode,
  type EndReason,
  hex,
  PLACES_MAX,
  Uint8,
  Uint16,
  Uint32,
} from '@cairn/protocol'
import { ListCompositeType } from '@chainsafe/ssz'
import { withPrefix } from '../ledger/schema.ts'
import type { Store } from '../ports.ts'

/** Losses of a group, and repairs of it, that are remembered: each place four times; oldest go first. */
export const REMEMBERED_MAX = 4 * PLACES_MAX
/** Codes of reasons on disk. */
const REASONS: readonly EndReason[] = [
  'expired',
  'uncovered',
  'agreed',
  'lost',
  'gone',
  'wrong',
  'delegate',
]

const Proposed = new ContainerType({ place: Uint16, until: Uint32 })
const Lost = new ContainerType({ place: Uint16, provider: Uint32, reason: Uint8, epoch: Uint32 })
const Made = new ContainerType({ place: Uint16, provider: Uint32, epoch: Uint32 })

const RepairRecord = new ContainerType({
  underWay: Uint8,
  proposed: new ListCompositeType(Proposed, PLACES_MAX),
  losses: new ListCompositeType(Lost, REMEMBERED_MAX),
  repairs: new ListCompositeType(Made, REMEMBERED_MAX),
})

/** A deal that was not carried on. */
export interface Loss {
  readonly place: number
  /** Node index. */
  readonly provider: number
  readonly reason: EndReason
  readonly epoch: number
}

/** A place that was made again, and who keeps it since. */
export interface Repaired {
  readonly place: number
  /** Node index. */
  readonly provider: number
  /** In which the deal was signed. */
  readonly epoch: number
}

export interface GroupRepairs {
  /** Below its threshold once, and not whole since. */
  underWay: boolean
  /**
   * By place, the last epoch whose checkpoint may still take in a deal that was proposed. Whether one
   * was signed is not known before.
   */
  proposed: ReadonlyMap<number, number>
  /** Oldest first. */
  losses: readonly Loss[]
  /** Oldest first. */
  repairs: readonly Repaired[]
}

const NOTHING: GroupRepairs = { underWay: false, proposed: new Map(), losses: [], repairs: [] }

export class RepairLog {
  readonly #store: Store
  /** Changes follow each other, so that none is made to what another has replaced. */
  #changing: Promise<void> = Promise.resolve()

  constructor({ store }: { store: Store }) {
    this.#store = store
  }

  async of(group: Uint8Array): Promise<GroupRepairs> {
    const value = await this.#store.get(group)
    if (value === undefined) return NOTHING
    const { underWay, proposed, losses, repairs } = decode(RepairRecord, value)
    return {
      underWay: underWay === 1,
      proposed: new Map(proposed.map(({ place, until }) => [place, until])),
      losses: losses.map(({ reason, ...loss }) => ({
        ...loss,
        reason: REASONS[reason] as EndReason,
      })),
      repairs,
    }
  }

  /** Durable when it resolves. */
  async change(
    group: Uint8Array,
    change: (now: GroupRepairs) => Partial<GroupRepairs>,
  ): Promise<void> {
    const changed = this.#changing.then(async () => {
      const now = await this.of(group)
      await this.#put(group, { ...now, ...change(now) })
    })
    this.#changing = changed.catch(() => undefined)
    await changed
  }

  /** Forgets groups that are not among these, by id in hexadecimal. */
  async keep(groups: ReadonlySet<string>): Promise<void> {
    const writes = []
    for await (const [key] of this.#store.range(withPrefix(new Uint8Array(0)))) {
      if (!groups.has(hex(key))) writes.push({ key })
    }
    if (writes.length > 0) await this.#store.batch(writes)
  }

  async #put(group: Uint8Array, record: GroupRepairs): Promise<void> {
    const { underWay, proposed, losses, repairs } = record
    const value = RepairRecord.serialize({
      underWay: underWay ? 1 : 0,
      proposed: [...proposed].map(([place, until]) => ({ place, until })),
      losses: losses
        .slice(-REMEMBERED_MAX)
        .map(({ reason, ...loss }) => ({ ...loss, reason: REASONS.indexOf(reason) })),
      repairs: repairs.slice(-REMEMBERED_MAX).map(repair => ({ ...repair })),
    })
    await this.#store.batch([{ key: group, value }], { sync: true })
  }
}
