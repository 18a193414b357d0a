/**
 * What a challenge asks. The leaves of a provider's live deals, in order of the deals' ids, stand in
 * one row; twenty places in it follow from the challenger's verifiable random output, each drawn
 * from the whole row.
 */
import { sha256 } from '#crypto'
import { invariant } from '../../errors.ts'
import { dataLeaves } from '../../piece/piece.ts'
import { Bytes96, ContainerType, hex, Uint32 } from '../../ssz.ts'
import { isLive } from './deal.ts'
import { dealIndex, type KnownDeal, type StorageState } from './state.ts'

/** Leaves that one challenge asks: 1,440 a day from three challengers an hour. */
export const LEAVES_PER_CHALLENGE = 20

const LeafDraw = new ContainerType({ output: Bytes96, place: Uint32 }, { typeName: 'LeafDraw' })

/** What a provider is bound to keep in an epoch. */
export interface Inventory {
  /** Live deals by ascending id. */
  readonly deals: readonly KnownDeal[]
  /** Leaves up to and including each deal's. */
  readonly sums: readonly number[]
  /** All data leaves; 0: nothing to ask. */
  readonly leaves: number
}

/** One leaf asked for. */
export interface AskedLeaf {
  readonly deal: KnownDeal
  /** Its place in the deal's piece. */
  readonly leaf: number
}

/** `state` is the one carried at the epoch's base. */
export function inventoryOf(state: StorageState, provider: number, epoch: number): Inventory {
  const all = dealIndex(state).byProvider.get(provider) ?? []
  const deals = all.filter(({ deal }) => isLive(deal, epoch))
  let leaves = 0
  const sums = deals.map(({ deal }) => {
    leaves += dataLeaves(deal.piece)
    return leaves
  })
  return { deals, sums, leaves }
}

/** The twenty leaves; `output` is 96 bytes, the inventory not empty. */
export function askedLeaves(inventory: Inventory, output: Uint8Array): AskedLeaf[] {
  invariant(inventory.leaves > 0, 'only a provider with leaves is asked')
  const bound = BigInt(inventory.leaves)
  return Array.from({ length: LEAVES_PER_CHALLENGE }, (_, place) => {
    const word = BigInt(`0x${hex(sha256(LeafDraw.serialize({ output, place })))}`)
    return leafAt(inventory, Number(word % bound))
  })
}

/** By bisection of the running sums. */
function leafAt({ deals, sums }: Inventory, position: number): AskedLeaf {
  let low = 0
  let high = sums.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sums[middle] as number) <= position) low = middle + 1
    else high = middle
  }
  const deal = deals[low]
  invariant(deal !== undefined, 'a position below the sum falls into a deal')
  return { deal, leaf: position - (sums[low - 1] ?? 0) }
}
