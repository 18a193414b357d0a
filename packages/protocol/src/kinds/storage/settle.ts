/**
 * Settles an epoch of storage: a verdict for each challenge, a quotient of leaves answered for each
 * provider, a fee for each deal, and which deals go on. Each step is a file of its own.
 */
import type { KindSettlement } from '../../kind.ts'
import { chargeDeals } from './charges.ts'
import { type EndedDeal, nextDeals } from './endings.ts'
import { nextQuotients } from './quotients.ts'
import type { StorageSettleInput } from './settle-input.ts'
import type { StorageState } from './state.ts'
import { judgeRecord } from './verdicts.ts'

export interface StorageSettlement extends KindSettlement<StorageState> {
  /** By ascending id. */
  readonly ended: readonly EndedDeal[]
}

export function settleStorage(input: StorageSettleInput): StorageSettlement {
  const judged = input.challenges.map(record => judgeRecord(record, input))
  const quotients = nextQuotients(input, judged)
  const { fees, uncovered, left } = chargeDeals(input, quotients)
  const { deals, ended } = nextDeals(input, uncovered, left)
  const proven = new Map<number, bigint>()
  for (const { node, amount } of fees) proven.set(node, (proven.get(node) ?? 0n) + amount)
  return {
    state: {
      deals: deals.map(({ deal }) => deal),
      quotients: [...quotients.values()].sort((a, b) => a.provider - b.provider),
    },
    verdicts: judged.map(({ verdict }) => verdict),
    proven,
    provenIsFees: true,
    served: new Map(),
    fees,
    ended,
  }
}
