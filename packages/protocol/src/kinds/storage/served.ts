/**
 * What an epoch's receipts move: for the bytes that no earlier receipt was paid for, the governed
 * price of a GiB, in order of client and provider, as far as the deposit goes.
 */
import type { Fee } from '../../kind.ts'
import { MessageType } from '../../messages.ts'
import { compareBytes, hex } from '../../ssz.ts'
import { STORAGE } from './deal.ts'
import { claimedBytes, paidBytes, type Receipt, servedFee } from './receipt.ts'
import type { StorageSettleInput } from './settle-input.ts'
import { type Served, servedKey } from './state.ts'

export interface ServedSettlement {
  readonly fees: readonly Fee[]
  /** What deposits have left after them, by client in hexadecimal. */
  readonly left: ReadonlyMap<string, bigint>
  /** The counters carried on, in order of client and provider. */
  readonly served: readonly Served[]
}

/** `left`: what the deals' fees left of deposits, by client in hexadecimal. */
export function settleReceipts(
  { state, base, messages, available }: StorageSettleInput,
  left: ReadonlyMap<string, bigint>,
): ServedSettlement {
  const receipts = messages
    .ofType<Receipt>(MessageType.receipt, STORAGE)
    .map(({ value }) => value)
    .sort((a, b) => compareBytes(a.client, b.client) || a.author - b.author)
  const after = new Map(left)
  const counters = new Map(state.served.map(served => [servedKey(served), served]))
  const fees: Fee[] = []
  for (const receipt of receipts) {
    const client = hex(receipt.client)
    const balance = after.get(client) ?? available(client)
    const covered = paidBytes(balance, base.profile)
    let bytes = claimedBytes(receipt, state)
    if (bytes > covered) bytes = covered
    const amount = bytes > 0n ? servedFee(bytes, base.profile) : 0n
    // Bytes that cost less than a unit wait until there are more of them.
    if (amount === 0n) continue
    after.set(client, balance - amount)
    fees.push({ client, node: receipt.author, amount })
    const counter = { client: receipt.client, provider: receipt.author }
    const key = servedKey(counter)
    counters.set(key, { ...counter, bytes: (counters.get(key)?.bytes ?? 0n) + bytes })
  }
  const served = [...counters.values()].sort(
    (a, b) => compareBytes(a.client, b.client) || a.provider - b.provider,
  )
  return { fees, left: after, served }
}
