/** Which part of its fees each provider has earned. */
import { LEAVES_PER_CHALLENGE } from './question.ts'
import type { StorageSettleInput } from './settle-input.ts'
import type { Quotient } from './state.ts'
import type { Judged } from './verdicts.ts'

/**
 * The quotients that pay in this epoch, by provider: of this epoch's on-time challenges, else the
 * last one while it is carried.
 */
export function nextQuotients(
  { state, base }: StorageSettleInput,
  judged: readonly Judged[],
): Map<number, Quotient> {
  const { epoch, profile } = base
  const quotients = new Map<number, Quotient>()
  for (const quotient of state.quotients) {
    if (epoch - quotient.epoch <= profile.carryEpochs) quotients.set(quotient.provider, quotient)
  }
  const asked = new Map<number, Quotient>()
  for (const { record, answered } of judged) {
    if (!record.onTime) continue
    const provider = record.value.target
    const before = asked.get(provider) ?? { provider, answered: 0, asked: 0, epoch }
    asked.set(provider, {
      ...before,
      answered: before.answered + answered,
      asked: before.asked + LEAVES_PER_CHALLENGE,
    })
  }
  for (const [provider, quotient] of asked) quotients.set(provider, quotient)
  return quotients
}
