/** What an epoch paid to whom and for what, as the API shows it. */
import { type EpochBase, earnedParts, hex } from '@cairn/protocol'
import type { AccountEarnings, EarningPart, EarningsView } from './api/node-view.ts'
import type { SettledEpoch } from './ledger/settled-epochs.ts'

/** By account; of each the sum of its parts is what its leaf of the payouts grew by. */
export function earningsView(epoch: number, settled: SettledEpoch, base: EpochBase): EarningsView {
  const leaves = new Map(settled.payouts.map(payout => [hex(payout.account), payout]))
  const accounts = new Map<string, EarningPart[]>()
  for (const { source, node, account, amount } of earnedParts(settled, base)) {
    const kind = settled.kinds.find(({ name }) => name === source)
    const part: EarningPart = {
      source,
      ...(node !== undefined && { node }),
      earned: amount,
      ...(kind !== undefined &&
        node !== undefined && {
          proven: kind.proven.get(node) ?? 0n,
          served: kind.served.get(node) ?? 0n,
        }),
    }
    accounts.set(account, [...(accounts.get(account) ?? []), part])
  }
  return {
    epoch,
    accounts: [...accounts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([account, parts]): AccountEarnings => {
        const { earned, spent } = leaves.get(account) ?? { earned: 0n, spent: 0n }
        const sum = parts.reduce((total, part) => total + part.earned, 0n)
        return { account, earned: sum, parts, since: { earned, spent } }
      }),
  }
}
