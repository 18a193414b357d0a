/** What delegates may sign, and with whom. */
import { PLACES_MAX } from '../../file/layout.ts'
import type { EpochBase } from '../../kind.ts'
import { hex } from '../../ssz.ts'
import type { Deal } from './deal.ts'
import type { Delegation } from './delegation.ts'
import { dealIndex, delegationOf, type StorageState } from './state.ts'

/** Operators of the delegates that take part at a base, in hexadecimal. */
export function delegateOperators(
  { delegates }: Pick<Delegation, 'delegates'>,
  base: Pick<EpochBase, 'node'>,
): Set<string> {
  const entries = delegates.map(index => base.node(index))
  return new Set(entries.flatMap(entry => (entry === undefined ? [] : [hex(entry.operator)])))
}

/**
 * Identity keys that may sign a deal in its client's place at a base: those of its group's delegates, if the
 * deal is about a place of the group that no carried deal holds, is of the size of the group's pieces and
 * costs no more than the dearest of them, ends no later than the last, and is with another operator than
 * a delegate's.
 */
export function delegatedKeys(deal: Deal, base: EpochBase, state: StorageState): Uint8Array[] {
  const delegation = delegationOf(state, deal)
  const provider = base.node(deal.provider)
  if (delegation === undefined || provider === undefined) return []
  if (delegateOperators(delegation, base).has(hex(provider.operator))) return []
  const group = groupDeals(state, deal)
  if (deal.place >= PLACES_MAX || group.some(({ place }) => place === deal.place)) return []
  if (!group.some(other => isAsMuch(deal, other))) return []
  if (!group.some(({ endEpoch }) => deal.endEpoch <= endEpoch)) return []
  return delegation.delegates.flatMap(index => base.node(index)?.identity ?? [])
}

/** The carried deals of a client's group. */
export function groupDeals(
  state: StorageState,
  { client, group }: Pick<Delegation, 'client' | 'group'>,
): Deal[] {
  const name = hex(group)
  const deals = dealIndex(state).byClient.get(hex(client)) ?? []
  return deals.map(({ deal }) => deal).filter(deal => hex(deal.group) === name)
}

/** The pieces of a group have one size. */
function isAsMuch(deal: Deal, other: Deal): boolean {
  return deal.piece.payload === other.piece.payload && deal.pricePerEpoch <= other.pricePerEpoch
}
