/** What was ordered under a reference: the same is not paid twice, and nothing else under its name. */
import { CairnError } from '@cairn/protocol'
import type { Hex } from 'viem'
import { actOf } from './act.ts'
import type { Entry } from './journal.ts'
import { keyOf, type Transactions } from './transactions.ts'

/**
 * The first of the calls where it was ordered under the reference, and waits or succeeded; the others
 * are steps to it. Rejects with `referenceUsed` where anything else was.
 */
export async function orderedBefore(
  transactions: Pick<Transactions, 'ordered'>,
  reference: string | undefined,
  calls: readonly Hex[],
): Promise<Entry | undefined> {
  if (reference === undefined) return undefined
  const keys = calls.map(data => keyOf(reference, data))
  const entries = await transactions.ordered(reference)
  const other = entries.find(({ key }) => !keys.includes(key))
  if (other !== undefined) {
    const { about } = actOf(other.call)
    const at = new Date(other.orderedAt).toISOString()
    const transaction = other.settled?.transaction ?? other.attempts.at(-1)?.hash ?? ''
    throw new CairnError('referenceUsed', `'${reference}' was used at ${at} to ${about}`, {
      facts: { reference, about, orderedAt: other.orderedAt, transaction },
      next: 'pass another --reference for another payment; nothing was sent',
    })
  }
  return entries.find(({ key }) => key === keys[0])
}
