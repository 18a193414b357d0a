/**
 * Settles an epoch of storage: a verdict for each challenge, debts and containment, a quotient of
 * leaves answered for each provider, a fee for each deal and for what was delivered, and which deals go
 * on. Each step is a file of its own.
 */
import type { Fee, KindSettlement } from '../../kind.ts'
import { feesByNode } from '../../settle/claims.ts'
import { compareBytes, hex } from '../../ssz.ts'
import { newAudits, settleAudits } from './audits.ts'
import { chargeDeals } from './charges.ts'
import { settleContainment } from './containment.ts'
import { settleDebts } from './debts.ts'
import { carriedDelegations, settleDelegations } from './delegations.ts'
import { type EndedDeal, type EndReason, nextDeals } from './endings.ts'
import { storageFindings } from './findings.ts'
import { countLeaves, nextQuotients, nextSilent } from './quotients.ts'
import { settleReceipts } from './served.ts'
import type { StorageSettleInput } from './settle-input.ts'
import type { KnownDeal, StorageState } from './state.ts'
import { type StrangersOf, settleStrangers } from './strangers.ts'
import { judgeRecord } from './verdicts.ts'

export interface StorageSettlement extends KindSettlement<StorageState> {
  /** By ascending id. */
  readonly ended: readonly EndedDeal[]
}

export function settleStorage(input: StorageSettleInput): StorageSettlement {
  const { profile } = input.base
  const judged = input.challenges.map(record => judgeRecord(record, input))
  const counts = countLeaves(judged)
  const quotients = nextQuotients(input, counts)
  const silent = nextSilent(input, counts)
  const onTime = judged.filter(({ record }) => record.onTime)
  const audits = settleAudits(input, onTime)
  const debts = settleDebts(input, onTime, { silent, confirmed: audits.confirmed })
  const audited = newAudits(input, audits.pending, debts.open)
  const containment = settleContainment(input, judged, debts.open)
  const charged = chargeDeals(input, { quotients, debts: debts.open })
  const { uncovered } = charged
  const receipts = settleReceipts(input, charged.left)
  const strangers = settleStrangers(input)
  const delivered = feesByNode(receipts.fees)
  const early = new Map<string, EndReason>([...uncovered].map(key => [key, 'uncovered']))
  for (const { key } of debts.lost) early.set(key, 'lost')
  for (const key of containment.caught.keys()) early.set(key, 'wrong')
  const delegations = settleDelegations(input)
  const { isOwn, isDelegated } = delegations
  const { deals, ended, struck } = nextDeals(input, {
    early,
    gone: debts.gone,
    left: receipts.left,
    isOwn,
    isDelegated,
  })
  const waiting = new Map([...audits.pending].filter(([key]) => !debts.open.has(key)))
  for (const audit of audited) waiting.set(hex(audit.deal), audit)
  const going = new Set(deals.map(({ key }) => key))
  const providers = new Set(deals.map(({ deal }) => deal.provider))
  const ofGoing = <V extends { deal: Uint8Array }>(values: ReadonlyMap<string, V>): V[] =>
    [...values]
      .filter(([key]) => going.has(key))
      .map(([, value]) => value)
      .sort((a, b) => compareBytes(a.deal, b.deal))
  return {
    state: {
      deals: deals.map(({ deal }) => deal),
      quotients: [...quotients.values()].sort((a, b) => a.provider - b.provider),
      debts: ofGoing(debts.open),
      audits: ofGoing(waiting),
      silent: [...silent.values()]
        .filter(({ provider }) => providers.has(provider))
        .sort((a, b) => a.provider - b.provider),
      contained: ofGoing(containment.contained),
      served: [...receipts.served],
      delegations: carriedDelegations(
        delegations,
        deals.map(({ deal }) => deal),
      ),
      struck,
    },
    verdicts: judged.map(({ verdict }) => verdict),
    findings: storageFindings({
      input,
      counts,
      debts,
      audits,
      audited,
      containment,
      going,
      ended,
      strangers,
      delivered,
    }),
    penalties: [...containment.caught.values()],
    proven: scores(charged.fees, debts.withheld, profile.withheldWeight),
    provenIsFees: true,
    served: withoutRefusing(delivered, strangers),
    fees: [...charged.fees, ...receipts.fees],
    ended,
  }
}

/**
 * What shares the base pot: the fees, less `withheldWeight` times the price of each deal whose leaves
 * the provider withholds. Proportional, so that one identity loses what many small ones would.
 */
function scores(
  fees: readonly Fee[],
  withheld: ReadonlyMap<number, readonly KnownDeal[]>,
  weight: number,
): Map<number, bigint> {
  const proven = feesByNode(fees)
  for (const [node, deals] of withheld) {
    const prices = deals.reduce((sum, { deal }) => sum + deal.pricePerEpoch, 0n)
    const left = (proven.get(node) ?? 0n) - prices * BigInt(weight)
    if (left > 0n) proven.set(node, left)
    else proven.delete(node)
  }
  return proven
}

/** Fees of receipts are paid all the same: they were agreed on. */
function withoutRefusing(
  served: ReadonlyMap<number, bigint>,
  strangers: readonly StrangersOf[],
): Map<number, bigint> {
  const counted = new Map(served)
  for (const { node, refusing } of strangers) if (refusing) counted.delete(node)
  return counted
}
