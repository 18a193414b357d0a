/** Which delegations are carried on, and which deals end because a delegate's operator keeps them. */
import { MessageType } from '../../messages.ts'
import { compareBytes, hex } from '../../ssz.ts'
import type { Deal } from './deal.ts'
import { delegateOperators } from './delegates.ts'
import type { Delegation } from './delegation.ts'
import type { StorageSettleInput } from './settle-input.ts'
import { delegationKey } from './state.ts'

export interface DelegationChanges {
  /** That hold from this epoch on, by `delegationKey`. */
  readonly held: ReadonlyMap<string, Delegation>
  /** True for a deal of a group that has delegates. */
  isDelegated(deal: Deal): boolean
  /** True for a deal that an operator of its group's delegates keeps, or would. */
  isOwn(deal: Deal): boolean
}

/** Of one group the highest sequence holds, of equals the one whose message has the lower id. */
export function settleDelegations({
  state,
  base,
  messages,
}: StorageSettleInput): DelegationChanges {
  const held = new Map(state.delegations.map(known => [delegationKey(known), known]))
  // In order of id.
  for (const { value } of messages.standing<Delegation>(MessageType.delegation)) {
    const key = delegationKey(value)
    if (value.sequence > (held.get(key)?.sequence ?? 0)) held.set(key, value)
  }
  const operators = new Map<string, Set<string>>()
  return {
    held,
    isDelegated: deal => (held.get(delegationKey(deal))?.delegates.length ?? 0) > 0,
    isOwn: deal => {
      const key = delegationKey(deal)
      const delegation = held.get(key)
      const provider = base.node(deal.provider)
      if (delegation === undefined || provider === undefined) return false
      const own = operators.get(key) ?? delegateOperators(delegation, base)
      operators.set(key, own)
      return own.has(hex(provider.operator))
    },
  }
}

/** In the order of the state; those of groups of which no deal goes on are forgotten. */
export function carriedDelegations(
  { held }: DelegationChanges,
  deals: readonly Deal[],
): Delegation[] {
  const groups = new Set(deals.map(delegationKey))
  return [...held]
    .filter(([key]) => groups.has(key))
    .map(([, delegation]) => delegation)
    .sort((a, b) => compareBytes(a.client, b.client) || compareBytes(a.group, b.group))
}
