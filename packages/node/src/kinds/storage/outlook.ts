/** How long a node's deals go on: what its deposits still pay, and what was not renewed. */
import {
  type Deal,
  dealIndex,
  dealStanding,
  type EpochBase,
  hex,
  isLive,
  type KnownDeal,
  type Profile,
  storageKind,
} from '@cairn/protocol'
import type { DealKeys } from './deal-keys.ts'
import { dueDeals, type Renewal, renewAhead } from './renewals.ts'

/**
 * A deposit that pays its deals for fewer times the shortest deal is short. Renewing takes one of
 * them; the others are the time to pay in.
 */
export const SHORT_FACTOR = 4

export interface ClientOutlook {
  deals: number
  /** What all of them cost, and what the deposits still pay, base units. */
  pricePerEpoch: bigint
  available: bigint
  /** Epochs that the shortest of the deposits lasts; undefined while nothing is paid for. */
  lasts?: number
  /** Deals near their end without a successor, by ascending end. */
  ending: readonly EndingDeal[]
  /** Deals whose provider owes an answer, and of those, how many it withholds while it answers others. */
  owed: number
  withheld: number
  /** Deals of which the provider sealed a wrong leaf. */
  contained: number
  /** Deals that gave no leaf when it was last looked at. */
  failedAudits: number
}

export interface EndingDeal {
  readonly deal: KnownDeal
  readonly endsIn: number
  /** Undefined while nothing was tried. */
  readonly renewal: Renewal | undefined
}

export interface ProviderOutlook {
  deals: number
  /** Deals whose client's deposit is short, and what they bring per epoch, base units. */
  short: number
  shortPerEpoch: bigint
  /** Epochs that the shortest of those deposits lasts. */
  lasts?: number
}

export interface Outlook {
  /** Absent for a node without deals of its own. */
  client?: ClientOutlook
  provider?: ProviderOutlook
}

/** How one deal goes on, for this node. */
export interface Prospect {
  /** Absent where this node is no party. */
  role?: 'client' | 'provider'
  /** Epochs for which the client's deposit pays all of its live deals. */
  lasts?: number
  /** What came of the last attempt to renew it: `agreed`, or the code of the refusal. */
  renewal?: string
  /** What came of the last look at it: `given`, or why the leaf was not. */
  audit?: string
  /** The epoch since which its provider owes an answer. */
  owed?: number
  /** From this epoch on the deal ends unless the provider answers. */
  lostFrom?: number
  /** The provider answers others meanwhile, and loses score. */
  withheld: boolean
  /** The provider sealed a wrong leaf: another costs its bond. */
  contained: boolean
  /** Client and provider have agreed to end it. */
  ending: boolean
}

export interface OutlookInit {
  keys: DealKeys
  /** Node index at this base. */
  index: number | undefined
  renewalOf(id: Uint8Array): Renewal | undefined
  /** Own deals that gave no leaf when they were last looked at. */
  failedAudits: number
}

export function outlookOf(base: EpochBase, init: OutlookInit): Outlook {
  const { keys, index, renewalOf, failedAudits } = init
  const { byClient, byProvider } = dealIndex(base.state(storageKind))
  const own = keys.all().flatMap(({ key }) => byClient.get(hex(key)) ?? [])
  const kept = index === undefined ? [] : (byProvider.get(index) ?? [])
  const ending = dueDeals(base, keys).map(deal => ({
    deal,
    endsIn: deal.deal.endEpoch - base.epoch,
    renewal: renewalOf(deal.id),
  }))
  return {
    ...(own.length === 0 ? {} : { client: { ...clientOutlook(base, own, ending), failedAudits } }),
    ...(kept.length === 0 ? {} : { provider: providerOutlook(base, kept) }),
  }
}

/** Epochs for which a client's deposit pays its live deals at their full price. */
export function lastsFor(client: Uint8Array, base: EpochBase): number | undefined {
  const key = hex(client)
  const deals = dealIndex(base.state(storageKind)).byClient.get(key) ?? []
  const perEpoch = sumOf(deals.map(({ deal }) => deal).filter(deal => isLive(deal, base.epoch)))
  return perEpoch === 0n ? undefined : Number(base.available(key) / perEpoch)
}

export function isShort(lasts: number | undefined, { minDealEpochs }: Profile): boolean {
  return lasts !== undefined && lasts < SHORT_FACTOR * minDealEpochs
}

/** True once a deal ought to have been renewed: half of the time for it is over. */
export function isLate({ endsIn }: EndingDeal, profile: Profile): boolean {
  return 2 * endsIn <= renewAhead(profile)
}

function clientOutlook(
  base: EpochBase,
  own: readonly KnownDeal[],
  ending: readonly EndingDeal[],
): Omit<ClientOutlook, 'failedAudits'> {
  const clients = new Map(own.map(({ deal }) => [hex(deal.client), deal.client]))
  const live = own.map(({ deal }) => deal).filter(deal => isLive(deal, base.epoch))
  const standings = own.map(deal => dealStanding(base.state(storageKind), deal, base.profile))
  const lasts = shortest([...clients.values()].map(client => lastsFor(client, base)))
  return {
    deals: own.length,
    pricePerEpoch: sumOf(live),
    available: [...clients.keys()].reduce((sum, client) => sum + base.available(client), 0n),
    ...(lasts === undefined ? {} : { lasts }),
    ending,
    owed: standings.filter(({ owed }) => owed !== undefined).length,
    withheld: standings.filter(({ withheld }) => withheld).length,
    contained: standings.filter(({ contained }) => contained).length,
  }
}

function providerOutlook(base: EpochBase, kept: readonly KnownDeal[]): ProviderOutlook {
  const clients = new Map(kept.map(({ deal }) => [hex(deal.client), deal.client]))
  const lasting = new Map([...clients].map(([name, client]) => [name, lastsFor(client, base)]))
  const short = kept.filter(({ deal }) => isShort(lasting.get(hex(deal.client)), base.profile))
  const lasts = shortest(short.map(({ deal }) => lasting.get(hex(deal.client))))
  return {
    deals: kept.length,
    short: short.length,
    shortPerEpoch: sumOf(short.map(({ deal }) => deal)),
    ...(lasts === undefined ? {} : { lasts }),
  }
}

function sumOf(deals: readonly Deal[]): bigint {
  return deals.reduce((sum, { pricePerEpoch }) => sum + pricePerEpoch, 0n)
}

function shortest(numbers: readonly (number | undefined)[]): number | undefined {
  const known = numbers.filter(number => number !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}
