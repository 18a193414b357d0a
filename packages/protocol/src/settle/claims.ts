/**
 * What receipts move out of deposits. A receipt is cumulative: it claims what goes beyond what was
 * paid before to the same node by the same client, at the one governed price, as far as the deposit
 * goes; the rest waits.
 */
import type { Fee } from '../kind.ts'
import { compareBytes, hex } from '../ssz.ts'
import { smaller } from './shares.ts'

/** What so many units cost, base units. */
export interface Tariff {
  readonly price: bigint
  readonly per: bigint
}

/** Units that a client's signature acknowledges and no settlement has paid. */
export interface Claim {
  /** Deal key, 32 bytes. */
  readonly client: Uint8Array
  /** Index of the node that is paid. */
  readonly node: number
  readonly units: bigint
}

export interface PaidClaims {
  readonly fees: readonly Fee[]
  /** Of each claim the units that were paid, none of them 0; in order of client and node. */
  readonly paid: readonly Claim[]
  /** What deposits have left after them, by client in hexadecimal. */
  readonly left: ReadonlyMap<string, bigint>
}

export interface ClaimsInit {
  tariff: Tariff
  /** What a deposit covers that `left` does not name, base units. */
  available(client: string): bigint
  /** What the epoch's earlier fees left of deposits, by client in hexadecimal. */
  left?: ReadonlyMap<string, bigint>
}

export function feeOf(units: bigint, { price, per }: Tariff): bigint {
  return (units * price) / per
}

/** How many units an amount pays, at most. */
export function unitsFor(amount: bigint, { price, per }: Tariff): bigint {
  return (amount * per) / price
}

/** In order of client and node. */
export function payClaims(claims: readonly Claim[], init: ClaimsInit): PaidClaims {
  const { tariff, available } = init
  const left = new Map(init.left)
  const fees: Fee[] = []
  const paid: Claim[] = []
  for (const claim of claims.toSorted(inOrder)) {
    const client = hex(claim.client)
    const balance = left.get(client) ?? available(client)
    const covered = unitsFor(balance, tariff)
    const units = smaller(claim.units, covered)
    const amount = units > 0n ? feeOf(units, tariff) : 0n
    // Units that cost less than a base unit wait until there are more of them.
    if (amount === 0n) continue
    left.set(client, balance - amount)
    fees.push({ client, node: claim.node, amount })
    paid.push({ ...claim, units })
  }
  return { fees, paid, left }
}

/** What each node earns of these fees, before the burn. */
export function feesByNode(fees: readonly Fee[]): Map<number, bigint> {
  const sums = new Map<number, bigint>()
  for (const { node, amount } of fees) sums.set(node, (sums.get(node) ?? 0n) + amount)
  return sums
}

/** By client, then node. */
export function inOrder(
  a: Pick<Claim, 'client' | 'node'>,
  b: Pick<Claim, 'client' | 'node'>,
): number {
  return compareBytes(a.client, b.client) || a.node - b.node
}
