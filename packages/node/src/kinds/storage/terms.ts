/**
 * On which terms a provider takes pieces. It tells them to anybody who asks, so that a client that was
 * refused knows by how much, and may choose before it proposes.
 */
import {
  CairnError,
  ContainerType,
  check,
  type Deal,
  decode,
  Uint32,
  Uint64,
  Uint128,
  type ValueOf,
} from '@cairn/protocol'
import type { Pieces } from '../../pieces/pieces.ts'
import type { Network } from '../../ports.ts'

export const TERMS_PROTOCOL = 'terms'

const TERMS_PER_SECOND = 20
const GIB = 2n ** 30n

export const Terms = new ContainerType(
  {
    /** Least price of a GiB and epoch, base units. */
    pricePerGiB: Uint128,
    /** Epochs that one deal may last. */
    longestDeal: Uint32,
    /** Payload bytes of one piece. */
    largestPiece: Uint32,
    /** Bytes that are not taken yet. */
    free: Uint64,
  },
  { typeName: 'Terms' },
)
export type Terms = ValueOf<typeof Terms>

/** What the operator asks for. */
export type OwnTerms = Omit<Terms, 'free'>

/** Throws `priceTooLow`, `dealTooLong` or `pieceTooLarge`, with the numbers. */
export function checkTerms(
  { pricePerEpoch, startEpoch, endEpoch, piece: { payload } }: Deal,
  { pricePerGiB, longestDeal, largestPiece }: OwnTerms,
): void {
  const enough = pricePerEpoch * GIB >= pricePerGiB * BigInt(payload)
  check(enough, 'priceTooLow', 'the price is below this provider’s', {
    facts: { pricePerEpoch, least: priceOf(pricePerGiB, payload), pricePerGiB },
    next: 'pay more, or choose another provider',
  })
  const epochs = endEpoch - startEpoch
  check(epochs <= longestDeal, 'dealTooLong', 'the deal is longer than this provider agrees to', {
    facts: { epochs, longestDeal },
    next: 'agree on fewer epochs and renew, or choose another provider',
  })
  check(payload <= largestPiece, 'pieceTooLarge', 'the piece is larger than this provider takes', {
    facts: { bytes: payload, largestPiece },
    next: 'choose smaller pieces, or another provider',
  })
}

/** What a piece costs per epoch, base units: the least price that is not below `pricePerGiB`. */
export function priceOf(pricePerGiB: bigint, payload: number): bigint {
  const price = (pricePerGiB * BigInt(payload) + GIB - 1n) / GIB
  return price > 0n ? price : 1n
}

export function serveTerms(network: Network, own: OwnTerms, pieces: Pick<Pieces, 'usage'>): void {
  const options = { maxRequestBytes: 0, maxResponseBytes: Terms.maxSize }
  network.serve(TERMS_PROTOCOL, { ...options, perSecond: TERMS_PER_SECOND }, async () => {
    const { used, quota } = pieces.usage()
    const free = Math.min(Math.max(0, quota - used), Number.MAX_SAFE_INTEGER)
    return Terms.serialize({ ...own, free: BigInt(free) })
  })
}

/** Rejects as a request does, or with `badEncoding` or `badLength`. */
export async function askTerms(
  network: Network,
  peer: string,
  signal: AbortSignal,
): Promise<Terms> {
  const options = { signal, maxResponseBytes: Terms.maxSize }
  return decode(Terms, await network.request(peer, TERMS_PROTOCOL, new Uint8Array(0), options))
}

/** Codes of refusals that other terms may avoid. */
const OF_TERMS: ReadonlySet<string> = new Set(['priceTooLow', 'dealTooLong', 'pieceTooLarge'])

export function isRefusedByTerms(error: unknown): boolean {
  return error instanceof CairnError && OF_TERMS.has(error.code)
}

/** True for a refusal that `shortfallOf` knows the numbers of. */
export function isOfTerms(code: string): boolean {
  return OF_TERMS.has(code) || code === 'volumeFull'
}

/** What a refusal compared, in base units, epochs or bytes: what the deal asks for, and what is allowed. */
export interface Shortfall {
  readonly asked: bigint
  /** A price may not be less, everything else not more. */
  readonly limit: bigint
}

/** By how much a deal misses the terms; undefined for a refusal that is not about them. */
export function shortfallOf(
  code: string,
  { pricePerEpoch, startEpoch, endEpoch, piece: { payload } }: Deal,
  { pricePerGiB, longestDeal, largestPiece, free }: Terms,
): Shortfall | undefined {
  switch (code) {
    case 'priceTooLow':
      return { asked: pricePerEpoch, limit: priceOf(pricePerGiB, payload) }
    case 'dealTooLong':
      return { asked: BigInt(endEpoch - startEpoch), limit: BigInt(longestDeal) }
    case 'pieceTooLarge':
      return { asked: BigInt(payload), limit: BigInt(largestPiece) }
    case 'volumeFull':
      return { asked: BigInt(payload), limit: free }
    default:
      return undefined
  }
}

/** `asked 2999, least 3000`; numbers, or what JSON makes of them. */
export function shortfallText(
  code: string,
  { asked, limit }: { asked: bigint | string; limit: bigint | string },
): string {
  return `asked ${asked}, ${code === 'priceTooLow' ? 'least' : 'most'} ${limit}`
}
