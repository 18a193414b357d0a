/** Integer division of an amount by weights, and the bounded emission of one proof kind. */
import { PPM } from '../profile.ts'

export function ppm(amount: bigint, share: bigint): bigint {
  return (amount * share) / PPM
}

export interface Part<K> {
  readonly key: K
  readonly weight: bigint
  /** Breaks ties between equal remainders, ascending; distinct. */
  readonly order: string
}

/**
 * Divides the whole amount by largest remainder: the floors first, then one unit each to the
 * largest remainders, ties by `order`. Empty when no weight is positive.
 */
export function divide<K>(amount: bigint, parts: readonly Part<K>[]): Map<K, bigint> {
  const total = parts.reduce((sum, { weight }) => sum + weight, 0n)
  const shares = new Map<K, bigint>()
  if (total === 0n) return shares
  let left = amount
  const remainders: { part: Part<K>; rest: bigint }[] = []
  for (const part of parts) {
    const share = (amount * part.weight) / total
    left -= share
    shares.set(part.key, (shares.get(part.key) ?? 0n) + share)
    remainders.push({ part, rest: (amount * part.weight) % total })
  }
  remainders.sort((a, b) =>
    a.rest === b.rest ? compare(a.part, b.part) : a.rest > b.rest ? -1 : 1,
  )
  for (const { part } of remainders) {
    if (left === 0n) break
    shares.set(part.key, (shares.get(part.key) ?? 0n) + 1n)
    left -= 1n
  }
  return shares
}

function compare(a: { order: string }, b: { order: string }): number {
  return a.order < b.order ? -1 : 1
}

export function smaller(a: bigint, b: bigint): bigint {
  if (a < b) return a
  return b
}
