/** The account that pays for gas, and what it sent, as the API shows them. */
import type { TransactionsView, TransactionView } from './api/node-view.ts'
import { actOf } from './chain/act.ts'
import type { Entry } from './chain/journal.ts'
import type { AccountOutlook } from './chain/transactions.ts'

/** The latest transaction first. */
export function accountView(account: AccountOutlook): TransactionsView {
  const { address, entries, balance, daysLeft, ...outlook } = account
  return {
    account: address,
    ...outlook,
    ...(balance !== undefined && { balance }),
    ...(daysLeft !== undefined && { daysLeft }),
    transactions: entries.map(transactionView).reverse(),
  }
}

function transactionView({ call, attempts, settled, ...entry }: Entry): TransactionView {
  const { nonce, purpose, state, key, orderedAt, at, minedAt } = entry
  const { name, about } = actOf(call)
  const transactions = attempts.map(({ hash }) => hash)
  return {
    nonce,
    purpose,
    act: name,
    about,
    state,
    key,
    ...(call.to && { to: call.to }),
    orderedAt,
    sentAt: at,
    transaction: settled?.transaction ?? (transactions.at(-1) as string),
    transactions,
    ...(settled && {
      ...(minedAt !== undefined && { minedAt }),
      block: settled.block,
      succeeded: settled.succeeded,
      cost: settled.cost,
    }),
  }
}
