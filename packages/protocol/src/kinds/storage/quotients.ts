/** Which part of its fees each provider has earned, and who is silent. */
import { LEAVES_PER_CHALLENGE } from './limits.ts'
import type { StorageSettleInput } from './settle-input.ts'
import { dealIndex, type Quotient, type Silence } from './state.ts'
import type { Judged } from './verdicts.ts'

/** Leaves of the epoch's on-time challenges of one provider. */
export interface Count {
  readonly provider: number
  /** New ones. */
  readonly asked: number
  readonly answered: number
  readonly askedAgain: number
  readonly answeredAgain: number
}

/** By provider; none for one that was not asked on time. */
export type Counts = ReadonlyMap<number, Count>

export function countLeaves(judged: readonly Judged[]): Counts {
  const counts = new Map<number, Count>()
  for (const { record, answered } of judged) {
    if (!record.onTime) continue
    const provider = record.value.target
    const before = counts.get(provider)
    const right = answered.slice(0, LEAVES_PER_CHALLENGE).filter(yes => yes).length
    const all = answered.filter(yes => yes).length
    counts.set(provider, {
      provider,
      asked: (before?.asked ?? 0) + LEAVES_PER_CHALLENGE,
      answered: (before?.answered ?? 0) + right,
      askedAgain: (before?.askedAgain ?? 0) + answered.length - LEAVES_PER_CHALLENGE,
      answeredAgain: (before?.answeredAgain ?? 0) + all - right,
    })
  }
  return counts
}

/**
 * The quotients that pay in this epoch, by provider: of the new leaves of this epoch's on-time
 * challenges, else the last one while it is carried.
 */
export function nextQuotients(
  { state, base: { epoch, profile } }: StorageSettleInput,
  counts: Counts,
): Map<number, Quotient> {
  const quotients = new Map<number, Quotient>()
  for (const quotient of state.quotients) {
    if (epoch - quotient.epoch <= profile.carryEpochs) quotients.set(quotient.provider, quotient)
  }
  for (const { provider, answered, asked } of counts.values()) {
    quotients.set(provider, { provider, answered, asked, epoch })
  }
  return quotients
}

/** Silent is who was asked on time and answered nothing, until it answers a leaf. */
export function nextSilent(
  { state, base: { epoch } }: StorageSettleInput,
  counts: Counts,
): Map<number, Silence> {
  const { byProvider } = dealIndex(state)
  const silent = new Map(
    state.silent
      .filter(({ provider }) => byProvider.has(provider))
      .map(silence => [silence.provider, silence]),
  )
  for (const { provider, answered, answeredAgain } of counts.values()) {
    if (answered + answeredAgain > 0) silent.delete(provider)
    else if (!silent.has(provider)) silent.set(provider, { provider, since: epoch })
  }
  return silent
}
