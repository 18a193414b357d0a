/**
 * What is left of a group of pieces, and when it has to be repaired. A group is n places, of which any
 * k give back what was stored; each place is kept by a deal of its own, and may have others: one on
 * its way, a successor, or one that somebody disputes.
 */
import {
  type Deal,
  dealIndex,
  debtIndex,
  hex,
  type KnownDeal,
  knownDeal,
  type Piece,
  type Profile,
  pieceKey,
  type StorageState,
} from '@cairn/protocol'
import { renewAhead } from '../kinds/storage/renewals.ts'
import type { Shape } from './shape.ts'

/**
 * Shards above k below which a group is repaired. Each shard that is made again costs the transfer of
 * k, so that a large group waits until several are missing; one that never had so many is repaired
 * at the first loss.
 */
export const SPARE_SHARDS = 5

/**
 * - `live`: under a deal that nobody disputes;
 * - `coming`: under a deal that waits for a checkpoint;
 * - `owing`: its provider owes an answer for a leaf;
 * - `ending`: its deal ends and ought to have been renewed by now;
 * - `contained`: its provider sealed a wrong leaf of it;
 * - `gone`: no deal is left.
 */
export type PlaceState = 'live' | 'coming' | 'owing' | 'ending' | 'contained' | 'gone'

/** From the best to the worst: a place is as well as the best of its deals. */
const ORDER: readonly PlaceState[] = ['live', 'coming', 'owing', 'ending', 'contained', 'gone']

/** A group as its owner knows it. */
export interface PieceGroup {
  /** The group that its deals name. */
  readonly id: Uint8Array
  /** k: places that suffice. */
  readonly data: number
  /** By place. */
  readonly pieces: readonly Piece[]
}

export interface GroupPlace {
  readonly state: PlaceState
  /** Its deals, the best first; those that ended are not known here. */
  readonly deals: readonly KnownDeal[]
}

export interface GroupHealth {
  readonly places: readonly GroupPlace[]
  readonly counts: Readonly<Record<PlaceState, number>>
  /** Fewer places than this that somebody keeps are too few. */
  readonly threshold: number
  /** Fewer places than this that nobody disputes are too few. */
  readonly critical: number
}

export interface GroupHealthInit {
  /** Deal key of the client, 32 bytes. */
  client: Uint8Array
  /** The present one. */
  epoch: number
  /** The epoch whose checkpoint carries `state`; -1: the genesis one. */
  settled: number
  profile: Profile
  state: StorageState
  /** Deals that no checkpoint holds yet. */
  pending: readonly Deal[]
}

/** `min(n, k + 5)`: below it a group is repaired until all n places are well. */
export function repairThreshold({ data, total }: Shape): number {
  return Math.min(total, data + SPARE_SHARDS)
}

/**
 * A quarter of the spare places above k: below it nobody waits any more until what is disputed is
 * lost. The same as the threshold at 10 of 30.
 */
export function criticalThreshold({ data, total }: Shape): number {
  return data + Math.ceil((total - data) / 4)
}

/** Deals of one client by group, in hexadecimal: made once for all of its groups. */
export function dealsByGroup({
  client,
  state,
  pending,
}: Pick<GroupHealthInit, 'client' | 'state' | 'pending'>): ReadonlyMap<string, KnownDeal[]> {
  const own = hex(client)
  const waiting = pending.filter(deal => hex(deal.client) === own).map(knownDeal)
  const all = [...(dealIndex(state).byClient.get(own) ?? []), ...waiting]
  return Map.groupBy(all, ({ deal }) => hex(deal.group))
}

export function groupHealth(
  group: PieceGroup,
  init: GroupHealthInit,
  deals: readonly KnownDeal[] = dealsByGroup(init).get(hex(group.id)) ?? [],
): GroupHealth {
  const shape = { data: group.data, total: group.pieces.length }
  const stateOf = stateAt(init, deals)
  const byPlace = Map.groupBy(deals, ({ deal }) => deal.place)
  const places = group.pieces.map((piece, place) => {
    const found = (byPlace.get(place) ?? [])
      .filter(({ deal }) => pieceKey(deal.piece) === pieceKey(piece))
      .map(deal => ({ deal, state: stateOf(deal) }))
      .filter(({ state }) => state !== 'gone')
      .sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state))
    return { state: found[0]?.state ?? ('gone' as const), deals: found.map(({ deal }) => deal) }
  })
  const counts = Object.fromEntries(
    ORDER.map(name => [name, places.filter(({ state }) => state === name).length]),
  ) as Record<PlaceState, number>
  return {
    places,
    counts,
    threshold: repairThreshold(shape),
    critical: criticalThreshold(shape),
  }
}

/** True iff nobody need wait: too few places are kept, or too few are beyond dispute. */
export function isDue({ counts, threshold, critical }: GroupHealth): boolean {
  const sound = counts.live + counts.coming
  return sound + counts.owing < threshold || sound < critical
}

/** True once every place is live. */
export function isWhole({ counts, places }: GroupHealth): boolean {
  return counts.live === places.length
}

/**
 * Places to be made again. An owing provider may be back before its deal ends, so that its place is
 * made again only when too few others are left.
 */
export function placesToRepair({ places, counts, critical }: GroupHealth): number[] {
  const urgent = counts.live + counts.coming < critical
  return [...places.keys()].filter(place => {
    const { state } = places[place] as GroupPlace
    return (
      state === 'ending' ||
      state === 'contained' ||
      state === 'gone' ||
      (urgent && state === 'owing')
    )
  })
}

function stateAt(
  { epoch, settled, profile, state }: GroupHealthInit,
  deals: readonly KnownDeal[],
): (deal: KnownDeal) => PlaceState {
  const carried = dealIndex(state).byId
  const debts = debtIndex(state)
  const contained = new Set(state.contained.map(({ deal }) => hex(deal)))
  const late = Math.floor(renewAhead(profile) / 2)
  return ({ key, deal }) => {
    // A deal that did not reach a checkpoint in time never will.
    if (!carried.has(key)) return deal.startEpoch <= settled ? 'gone' : 'coming'
    if (contained.has(key)) return 'contained'
    const followed = deals.some(
      ({ deal: next }) => next.place === deal.place && next.startEpoch >= deal.endEpoch,
    )
    if (deal.endEpoch - epoch <= late && !followed) return 'ending'
    return debts.has(key) ? 'owing' : 'live'
  }
}
