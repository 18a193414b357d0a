/** Which deals go on, which end and why, and which are new. */
import { MessageType } from '../../messages.ts'
import { compareBytes, hex } from '../../ssz.ts'
import type { Deal } from './deal.ts'
import { canEnd, type DealEnd } from './deal-end.ts'
import { outlay } from './funds.ts'
import type { StorageSettleInput } from './settle-input.ts'
import {
  dealIndex,
  delegationKey,
  type KnownDeal,
  knownDeal,
  type StorageState,
  type StruckDeal,
  sortDeals,
  struckIndex,
} from './state.ts'

/**
 * `agreed`: by client and provider; `lost`: a debt was not answered in time; `gone`: nor anything else;
 * `wrong`: a second wrong leaf was sealed in containment; `delegate`: its provider's operator may repair
 * its group, and who repairs a group keeps none of it.
 */
export type EndReason = 'expired' | 'uncovered' | 'agreed' | 'lost' | 'gone' | 'wrong' | 'delegate'

/** A deal that is not carried on. */
export interface EndedDeal {
  readonly id: Uint8Array
  readonly deal: Deal
  readonly reason: EndReason
}

export interface EndingsInit {
  /** Deals that end before their time, by id in hexadecimal. */
  early: ReadonlyMap<string, EndReason>
  /** Providers that take part no more: no deal of theirs goes on or begins. */
  gone: ReadonlySet<number>
  /** What the epoch's charges left of deposits, by client in hexadecimal. */
  left: ReadonlyMap<string, bigint>
  /** True for a deal with an operator of its group's delegates. */
  isOwn(deal: Deal): boolean
  /** True for a deal of a group that has delegates. */
  isDelegated(deal: Deal): boolean
}

export function nextDeals(
  { state, base, baseState, messages, available }: StorageSettleInput,
  { early, gone, left, isOwn, isDelegated }: EndingsInit,
) {
  const next = new Map<string, KnownDeal>()
  const ended: EndedDeal[] = []
  const committed = new Map<string, bigint>()
  // What was taken in since the base: the delegates of its group could not know of it.
  const since = new Map<string, Deal[]>()
  const atBase = dealIndex(baseState).byId
  // This epoch is charged already.
  const weigh = (deal: Deal) => outlay(deal, base.epoch + 1, base.profile)
  const carry = (item: KnownDeal) => {
    const client = hex(item.deal.client)
    committed.set(client, (committed.get(client) ?? 0n) + weigh(item.deal))
    next.set(item.key, item)
    if (atBase.has(item.key) || !isDelegated(item.deal)) return
    const place = placeKey(item.deal)
    since.set(place, [...(since.get(place) ?? []), item.deal])
  }
  const agreed = new Set(
    messages.standing<DealEnd>(MessageType.dealEnd).map(({ value }) => hex(value.deal)),
  )
  for (const item of dealIndex(state).byId.values()) {
    const { id, key, deal } = item
    const reason = early.get(key) ?? (gone.has(deal.provider) ? 'gone' : undefined)
    if (reason !== undefined) ended.push({ id, deal, reason })
    else if (deal.endEpoch <= base.epoch + 1) ended.push({ id, deal, reason: 'expired' })
    else if (isOwn(deal)) ended.push({ id, deal, reason: 'delegate' })
    else if (agreed.has(key) && canEnd(deal, base.epoch)) ended.push({ id, deal, reason: 'agreed' })
    else carry(item)
  }
  for (const { value } of messages.standing<Deal>(MessageType.deal)) {
    const item = knownDeal(value)
    const client = hex(value.client)
    // A deal that ended cannot come back: it began before this epoch, or is struck.
    if (dealIndex(state).byId.has(item.key) || value.startEpoch < base.epoch) continue
    if (struckIndex(state).has(item.key)) continue
    if (gone.has(value.provider) || isOwn(value)) continue
    if (since.get(placeKey(value))?.some(other => isBeside(value, other))) continue
    const promised = (committed.get(client) ?? 0n) + weigh(value)
    if (promised <= (left.get(client) ?? available(client))) carry(item)
  }
  return { deals: sortDeals(next.values()), ended, struck: nextStruck(state, ended, base.epoch) }
}

function placeKey(deal: Deal): string {
  return `${delegationKey(deal)}/${deal.place}`
}

/** Both are live in some epoch. */
function isBeside(deal: Deal, other: Deal): boolean {
  return deal.startEpoch < other.endEpoch && other.startEpoch < deal.endEpoch
}

/** Those that the next epoch could take in again. */
function nextStruck(
  { struck }: StorageState,
  ended: readonly EndedDeal[],
  epoch: number,
): StruckDeal[] {
  const now = ended.map(({ id, deal: { startEpoch } }) => ({ deal: id, startEpoch }))
  return [...struck, ...now]
    .filter(({ startEpoch }) => startEpoch > epoch)
    .sort((a, b) => compareBytes(a.deal, b.deal))
}
