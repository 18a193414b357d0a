/**
 * What an epoch of each deal costs:
 *
 *     fee(deal) = floor(price * answered / asked)      of its provider in this epoch
 *     fee(deal) = 0                                    while the deal has a debt
 */
import type { EpochBase, Fee } from '../../kind.ts'
import { hex } from '../../ssz.ts'
import { isLive } from './deal.ts'
import type { StorageSettleInput } from './settle-input.ts'
import { type Debt, dealIndex, type Quotient } from './state.ts'

export interface ChargesInit {
  quotients: ReadonlyMap<number, Quotient>
  /** After this epoch, by the deal's id in hexadecimal. */
  debts: ReadonlyMap<string, Debt>
}

/** Deals that were live at the base and are carried still, charged in order of id. */
export function chargeDeals(
  { state, base, baseState, available }: StorageSettleInput,
  { quotients, debts }: ChargesInit,
) {
  const fees: Fee[] = []
  const left = new Map<string, bigint>()
  const uncovered = new Set<string>()
  const stopped = new Set<string>()
  const carried = dealIndex(state).byId
  for (const { deal, key } of dealIndex(baseState).byId.values()) {
    if (!isLive(deal, base.epoch) || !carried.has(key) || debts.has(key)) continue
    const quotient = quotients.get(deal.provider)
    // A provider that left the registry cannot be paid; its deals run out.
    if (quotient === undefined || base.node(deal.provider) === undefined) continue
    const amount = (deal.pricePerEpoch * BigInt(quotient.answered)) / BigInt(quotient.asked)
    if (amount === 0n) continue
    const client = hex(deal.client)
    const balance = left.get(client) ?? available(client)
    if (amount <= balance) {
      left.set(client, balance - amount)
      fees.push({ client, node: deal.provider, amount })
    } else if (!stopped.has(client) || asksBack(client, base)) {
      // Only the first ends: the client has time to pay in before the others do. Not so for one that
      // asked for its deposit back: its providers would keep the others for nothing meanwhile.
      stopped.add(client)
      uncovered.add(key)
    }
  }
  return { fees, uncovered, left }
}

function asksBack(client: string, { deposits }: EpochBase): boolean {
  return deposits.get(client)?.requested !== undefined
}
