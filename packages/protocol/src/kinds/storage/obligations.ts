/** What a carried state says of one provider beside its deals: what a node shows of itself. */
import { hex } from '../../ssz.ts'
import { dealIndex, debtIndex, type StorageState } from './state.ts'

export interface Obligations {
  /** Leaves that it owes an answer for. */
  readonly owed: number
  /** Epoch of the oldest; undefined while it owes none. */
  readonly since: number | undefined
  /** Of those, how many were asked again in vain: they end deals from the epoch `until` on. */
  readonly askedAgain: number
  readonly until: number | undefined
  /** Deals of which another sealed wrong leaf costs bond. */
  readonly contained: number
}

export function obligationsOf(
  state: StorageState,
  provider: number,
  { repairAfterEpochs }: { repairAfterEpochs: number },
): Obligations {
  const deals = dealIndex(state).byProvider.get(provider) ?? []
  const open = debtIndex(state)
  const debts = deals.map(({ key }) => open.get(key)).filter(debt => debt !== undefined)
  const again = debts.filter(debt => debt.again > 0)
  const contained = new Set(state.contained.map(({ deal }) => hex(deal)))
  return {
    owed: debts.length,
    since: least(debts.map(({ since }) => since)),
    askedAgain: again.length,
    until: least(again.map(debt => debt.again + repairAfterEpochs)),
    contained: deals.filter(({ key }) => contained.has(key)).length,
  }
}

function least(numbers: readonly number[]): number | undefined {
  return numbers.length === 0 ? undefined : numbers.reduce((a, b) => Math.min(a, b))
}
