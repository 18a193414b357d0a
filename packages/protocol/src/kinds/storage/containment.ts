/**
 * Containment: the first sealed wrong leaf of a piece is a fail and no more, since a disk may lie to
 * its owner once. It puts the deal into containment, which everybody sees at the next bases. A second
 * one, asked in an epoch whose base already holds the containment, is the evidence of a penalty, and
 * ends the deal. Containment ends with the deal, or when the deal owes no answer and bases have held it
 * for `repairAfterEpochs`.
 */
import type { KindPenalty } from '../../kind.ts'
import { compareBytes, hex } from '../../ssz.ts'
import type { StorageSettleInput } from './settle-input.ts'
import { type Containment, containedIndex, type Debt, dealIndex, type KnownDeal } from './state.ts'
import type { FoundWrong, Judged } from './verdicts.ts'

export interface ContainmentChanges {
  /** After this epoch, by the deal's id in hexadecimal; those of ended deals are among them. */
  readonly contained: ReadonlyMap<string, Containment>
  /** Deals contained in this epoch. */
  readonly began: readonly KnownDeal[]
  /** Deals that end with a penalty, by the deal's id in hexadecimal. */
  readonly caught: ReadonlyMap<string, KindPenalty>
}

export function settleContainment(
  { base: { epoch, profile }, baseState, state }: StorageSettleInput,
  judged: readonly Judged[],
  debts: ReadonlyMap<string, Debt>,
): ContainmentChanges {
  // A checkpoint is made in the epoch after its own, and found by the bases of `lookback` later.
  const lasts = profile.lookback + 2 + profile.repairAfterEpochs
  const contained = new Map<string, Containment>()
  for (const containment of state.contained) {
    const key = hex(containment.deal)
    const over = epoch - containment.since >= lasts && !debts.has(key)
    if (!over) contained.set(key, containment)
  }
  const known = containedIndex(baseState)
  const carried = dealIndex(state).byId
  const began: KnownDeal[] = []
  const caught = new Map<string, KindPenalty>()
  for (const { asked, id } of judged.flatMap(({ wrong }) => wrong).sort(byId)) {
    const { deal } = asked
    if (!carried.has(deal.key)) continue
    if (!contained.has(deal.key)) {
      contained.set(deal.key, { deal: deal.id, since: epoch })
      began.push(deal)
    } else if (known.has(deal.key) && !caught.has(deal.key)) {
      caught.set(deal.key, { node: deal.deal.provider, evidence: id })
    }
  }
  return { contained, began, caught }
}

function byId(a: FoundWrong, b: FoundWrong): number {
  return compareBytes(a.id, b.id)
}
