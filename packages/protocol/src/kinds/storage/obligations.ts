/** What a carried state says of deals beside their terms: what a node shows of its own and others'. */
import { containedIndex, dealIndex, debtIndex, type KnownDeal, type StorageState } from './state.ts'

/** How the provider of one deal stands to it. */
export interface DealStanding {
  /** Epoch since which it owes an answer; undefined while it owes none. */
  readonly owed: number | undefined
  /** An epoch from here on that asks the leaf in vain ends the deal; undefined before it was asked again. */
  readonly lostFrom: number | undefined
  /** Asked again in vain more than once, while its provider answers others: costs score. */
  readonly withheld: boolean
  /** Another sealed wrong leaf of it costs bond. */
  readonly contained: boolean
}

export interface Obligations {
  /** Leaves that it owes an answer for. */
  readonly owed: number
  /** Epoch of the oldest; undefined while it owes none. */
  readonly since: number | undefined
  /** Of those, how many were asked again in vain: they end deals from the epoch `until` on. */
  readonly askedAgain: number
  readonly until: number | undefined
  /** Of those, how many it withholds, and what they cost its score per epoch, base units. */
  readonly withheld: number
  readonly scoreLost: bigint
  /** Deals of which another sealed wrong leaf costs bond. */
  readonly contained: number
}

export interface ObligationRules {
  repairAfterEpochs: number
  withheldWeight: number
}

export function dealStanding(
  state: StorageState,
  { key, deal }: KnownDeal,
  { repairAfterEpochs }: Pick<ObligationRules, 'repairAfterEpochs'>,
): DealStanding {
  const debt = debtIndex(state).get(key)
  const again = debt?.again ?? 0
  const silent = state.silent.some(({ provider }) => provider === deal.provider)
  return {
    owed: debt?.since,
    lostFrom: again === 0 ? undefined : again + repairAfterEpochs,
    withheld: debt !== undefined && again > 0 && debt.asked > again && !silent,
    contained: containedIndex(state).has(key),
  }
}

export function obligationsOf(
  state: StorageState,
  provider: number,
  rules: ObligationRules,
): Obligations {
  const deals = dealIndex(state).byProvider.get(provider) ?? []
  const standings = deals.map(known => ({
    ...dealStanding(state, known, rules),
    price: known.deal.pricePerEpoch,
  }))
  const withheld = standings.filter(standing => standing.withheld)
  const prices = withheld.reduce((sum, { price }) => sum + price, 0n)
  const since = standings.map(({ owed }) => owed).filter(isKnown)
  const lostFrom = standings.map(standing => standing.lostFrom).filter(isKnown)
  return {
    owed: since.length,
    since: least(since),
    askedAgain: lostFrom.length,
    until: least(lostFrom),
    withheld: withheld.length,
    scoreLost: prices * BigInt(rules.withheldWeight),
    contained: standings.filter(({ contained }) => contained).length,
  }
}

function isKnown(number: number | undefined): number is number {
  return number !== undefined
}

function least(numbers: readonly number[]): number | undefined {
  return numbers.length === 0 ? undefined : numbers.reduce((a, b) => Math.min(a, b))
}
