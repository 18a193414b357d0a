/**
 * What a client's deposit has to cover before a deal is relayed or carried. A deal weighs what it
 * costs in its first `minDealEpochs`, or in those it has left when they are fewer: so a deal that
 * runs out makes room for its successor.
 */
import type { EpochBase } from '../../kind.ts'
import type { Profile } from '../../profile.ts'
import { hex } from '../../ssz.ts'
import type { Deal } from './deal.ts'
import { dealIndex, type StorageState } from './state.ts'

/** What a deal costs from an epoch on, for `minDealEpochs` at most, base units. */
export function outlay(
  { pricePerEpoch, startEpoch, endEpoch }: Deal,
  epoch: number,
  { minDealEpochs }: Pick<Profile, 'minDealEpochs'>,
): bigint {
  const left = Math.max(0, endEpoch - Math.max(startEpoch, epoch))
  return pricePerEpoch * BigInt(Math.min(left, minDealEpochs))
}

interface Outlays {
  readonly epoch: number
  readonly sums: Map<string, bigint>
}

// A state is asked about in one or two epochs, for every deal that arrives.
const known = new WeakMap<StorageState, Outlays>()

/** The outlay of all of a client's deals in this state, by key in hexadecimal. */
export function outlayOf(
  client: string,
  state: StorageState,
  { epoch, profile }: Pick<EpochBase, 'epoch' | 'profile'>,
): bigint {
  let outlays = known.get(state)
  if (outlays?.epoch !== epoch) {
    outlays = { epoch, sums: new Map() }
    known.set(state, outlays)
  }
  let sum = outlays.sums.get(client)
  if (sum === undefined) {
    const deals = dealIndex(state).byClient.get(client) ?? []
    sum = deals.reduce((total, { deal }) => total + outlay(deal, epoch, profile), 0n)
    outlays.sums.set(client, sum)
  }
  return sum
}

/** What the deposit covers at the base pays the client's deals, those that wait, and this one. */
export function isCovered(
  deal: Deal,
  base: EpochBase,
  { state, waiting = [] }: { state: StorageState; waiting?: readonly Deal[] },
): boolean {
  const client = hex(deal.client)
  const needed = [deal, ...waiting].reduce(
    (total, other) => total + outlay(other, base.epoch, base.profile),
    outlayOf(client, state, base),
  )
  return needed <= base.available(client)
}
