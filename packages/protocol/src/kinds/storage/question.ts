/**
 * What a challenge asks: twenty new leaves, then debts again, then leaves that clients audit. The
 * leaves of a provider's live deals, in order of the deals' ids, stand in one row; twenty places in it
 * follow from the challenger's verifiable random output, each drawn from the whole row. The provider's
 * debts and audits at the base are dealt to the challengers of the epoch one by one, in the order of
 * the duty.
 */
import { sha256 } from '#crypto'
import { invariant } from '../../errors.ts'
import { dataLeaves } from '../../piece/piece.ts'
import { Bytes96, ContainerType, hex, Uint32 } from '../../ssz.ts'
import { isLive } from './deal.ts'
import { LEAVES_PER_CHALLENGE } from './limits.ts'
import { auditIndex, dealIndex, debtIndex, type KnownDeal, type StorageState } from './state.ts'

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

/** The twenty new leaves; `output` is 96 bytes, the inventory not empty. */
export function askedLeaves(inventory: Inventory, output: Uint8Array): AskedLeaf[] {
  return Array.from({ length: LEAVES_PER_CHALLENGE }, (_, place) =>
    drawnLeaf(inventory, output, place),
  )
}

/** The leaf that an output draws at one place; `output` is 96 bytes, the inventory not empty. */
export function drawnLeaf(inventory: Inventory, output: Uint8Array, place: number): AskedLeaf {
  invariant(inventory.leaves > 0, 'only a provider with leaves is asked')
  const word = BigInt(`0x${hex(sha256(LeafDraw.serialize({ output, place })))}`)
  return leafAt(inventory, Number(word % BigInt(inventory.leaves)))
}

/** Everything that one challenge asks: the new leaves, then what is dealt to its challenger. */
export function askedOf(
  state: StorageState,
  inventory: Inventory,
  { output, ...dealt }: DealtInit & { output: Uint8Array },
): AskedLeaf[] {
  return [...askedLeaves(inventory, output), ...dealtLeaves(state, inventory, dealt)]
}

export interface DealtInit {
  /** The challenger's place in the duty, and how many challengers there are. */
  order: number
  challengers: number
  /** Most debts and audits of one challenge. */
  most: number
}

/**
 * What one challenge asks behind its new leaves: debts, then leaves that clients audit, each oldest
 * first; `state` is the one that the inventory is of.
 */
export function dealtLeaves(
  state: StorageState,
  inventory: Inventory,
  { order, challengers, most }: DealtInit,
): AskedLeaf[] {
  return [...oldestFirst(inventory, debtIndex(state)), ...oldestFirst(inventory, auditIndex(state))]
    .filter((_, place) => place % challengers === order)
    .slice(0, most)
}

function oldestFirst(
  { deals }: Inventory,
  open: ReadonlyMap<string, { leaf: number; since: number }>,
): AskedLeaf[] {
  if (open.size === 0) return []
  const owed = deals.flatMap(deal => {
    const entry = open.get(deal.key)
    return entry === undefined ? [] : [{ deal, leaf: entry.leaf, since: entry.since }]
  })
  // The inventory is in order of id, and the sort keeps it among those of one epoch.
  return owed.sort((a, b) => a.since - b.since).map(({ deal, leaf }) => ({ deal, leaf }))
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
