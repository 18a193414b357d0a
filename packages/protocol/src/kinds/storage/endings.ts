/** Which deals go on, which end and why, and which are new. */
import { MessageType } from '../../messages.ts'
import { hex } from '../../ssz.ts'
import type { Deal } from './deal.ts'
import type { StorageSettleInput } from './settle-input.ts'
import { dealIndex, type KnownDeal, knownDeal, sortDeals } from './state.ts'

export type DealEnd = 'expired' | 'uncovered'

/** A deal that is not carried on. */
export interface EndedDeal {
  readonly id: Uint8Array
  readonly deal: Deal
  readonly reason: DealEnd
}

export function nextDeals(
  { state, base, messages, available }: StorageSettleInput,
  uncovered: ReadonlySet<string>,
  left: ReadonlyMap<string, bigint>,
) {
  const next = new Map<string, KnownDeal>()
  const ended: EndedDeal[] = []
  const committed = new Map<string, bigint>()
  const carry = (item: KnownDeal) => {
    const client = hex(item.deal.client)
    committed.set(client, (committed.get(client) ?? 0n) + item.deal.pricePerEpoch)
    next.set(item.key, item)
  }
  for (const item of dealIndex(state).byId.values()) {
    const { id, key, deal } = item
    if (uncovered.has(key)) ended.push({ id, deal, reason: 'uncovered' })
    else if (deal.endEpoch <= base.epoch + 1) ended.push({ id, deal, reason: 'expired' })
    else carry(item)
  }
  const minimum = BigInt(base.profile.minDealEpochs)
  for (const { value } of messages.standing<Deal>(MessageType.deal)) {
    const item = knownDeal(value)
    const client = hex(value.client)
    // A deal that ended cannot come back: it would have to begin before this epoch.
    if (dealIndex(state).byId.has(item.key) || value.startEpoch < base.epoch) continue
    const promised = ((committed.get(client) ?? 0n) + value.pricePerEpoch) * minimum
    if (promised <= (left.get(client) ?? available(client))) carry(item)
  }
  return { deals: sortDeals(next.values()), ended }
}
