/** What a unit of gas costs, base units: as the chain asks, and as a waiting transaction is raised. */
import type { Client } from './rpc.ts'

/** Nodes want at least 10 % more on both for a replacement. */
const RAISE_PERCENT = 125n
/** Fees cover this many times the present base fee, which rises at most 12.5 % a block. */
const BASE_FEE_TIMES = 2n

/** Base units a unit of gas may cost, and of it the block's producer. */
export interface Fees {
  maxFeePerGas: bigint
  maxPriorityFeePerGas: bigint
}

export interface Market extends Fees {
  /** What the next block asks at least. */
  base: bigint
}

export async function readFees(client: Client): Promise<Market> {
  const [block, tip] = await Promise.all([
    client.request({ method: 'eth_getBlockByNumber', params: ['latest', false] }),
    client.request({ method: 'eth_maxPriorityFeePerGas' }),
  ])
  const maxPriorityFeePerGas = BigInt(tip)
  const base = BigInt(block?.baseFeePerGas ?? 0)
  return { base, maxPriorityFeePerGas, maxFeePerGas: BASE_FEE_TIMES * base + maxPriorityFeePerGas }
}

/** The least that replaces a transaction of these fees; one more, since a small fee has no percentage. */
export function raised({ maxFeePerGas, maxPriorityFeePerGas }: Fees): Fees {
  return {
    maxFeePerGas: (maxFeePerGas * RAISE_PERCENT) / 100n + 1n,
    maxPriorityFeePerGas: (maxPriorityFeePerGas * RAISE_PERCENT) / 100n + 1n,
  }
}

/** The higher of each. */
export function higher(a: Fees, b: Fees): Fees {
  const max = (x: bigint, y: bigint) => (x > y ? x : y)
  return {
    maxFeePerGas: max(a.maxFeePerGas, b.maxFeePerGas),
    maxPriorityFeePerGas: max(a.maxPriorityFeePerGas, b.maxPriorityFeePerGas),
  }
}

/** A fee may be no higher than the cap, nor its producer's part than the fee. */
export function capped({ maxFeePerGas, maxPriorityFeePerGas }: Fees, cap: bigint): Fees {
  const fee = maxFeePerGas < cap ? maxFeePerGas : cap
  return {
    maxFeePerGas: fee,
    maxPriorityFeePerGas: maxPriorityFeePerGas < fee ? maxPriorityFeePerGas : fee,
  }
}
