/**
 * What an epoch's receipts move: for the bytes that no earlier receipt was paid for, the governed
 * price of a GiB, in order of client and provider, as far as the deposit goes.
 */
import { MessageType } from '../../messages.ts'
import { inOrder, type PaidClaims, payClaims } from '../../settle/claims.ts'
import { STORAGE } from './deal.ts'
import { claimedBytes, type Receipt, servedTariff } from './receipt.ts'
import type { StorageSettleInput } from './settle-input.ts'
import { type Served, servedKey } from './state.ts'

export interface ServedSettlement extends Omit<PaidClaims, 'paid'> {
  /** The counters carried on, in order of client and provider. */
  readonly served: readonly Served[]
}

/** `left`: what the deals' fees left of deposits, by client in hexadecimal. */
export function settleReceipts(
  { state, base, messages, available }: StorageSettleInput,
  left: ReadonlyMap<string, bigint>,
): ServedSettlement {
  const claims = messages.ofType<Receipt>(MessageType.receipt, STORAGE).map(({ value }) => ({
    client: value.client,
    node: value.author,
    units: claimedBytes(value, state),
  }))
  const { paid, ...rest } = payClaims(claims, {
    tariff: servedTariff(base.profile),
    available,
    left,
  })
  const counters = new Map(state.served.map(served => [servedKey(served), served]))
  for (const { client, node: provider, units } of paid) {
    const key = servedKey({ client, provider })
    counters.set(key, { client, provider, bytes: (counters.get(key)?.bytes ?? 0n) + units })
  }
  const served = [...counters.values()].sort((a, b) =>
    inOrder({ ...a, node: a.provider }, { ...b, node: b.provider }),
  )
  return { ...rest, served }
}
