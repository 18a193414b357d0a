/**
 * Where trust in gateways begins: at those that sold packets of late, in proportion, and at those
 * that the profile names. Packets paid are carried in `ANCHOR_PARTS` parts of `anchorEpochs`, so
 * that the state has a bounded number of entries per gateway and forgets a whole part at a time.
 *
 * While there are named ones, half of the trust begins at them however much is sold: packets that a
 * ring buys of itself cost it little (what is burned of their fees is minted again, as far as
 * BURN_MATCH allows), and must not take the ground from under everybody else.
 */
import { ANCHOR_PARTS, type Profile } from '../../profile.ts'
import { ContainerType, Uint32, Uint64, type ValueOf } from '../../ssz.ts'

/** Packets of one gateway that were paid in one part. */
export const PaidService = new ContainerType(
  { part: Uint32, gateway: Uint32, packets: Uint64 },
  { typeName: 'PaidService' },
)
export type PaidService = ValueOf<typeof PaidService>

/** Number of the part that an epoch belongs to. */
export function anchorPart(epoch: number, { anchorEpochs }: Pick<Profile, 'anchorEpochs'>): number {
  return Math.floor(epoch / (anchorEpochs / ANCHOR_PARTS))
}

/** Without parts that are over, and with what was paid in this epoch; by part, then gateway. */
export function nextService(
  service: readonly PaidService[],
  packets: ReadonlyMap<number, bigint>,
  { epoch, profile }: { epoch: number; profile: Pick<Profile, 'anchorEpochs'> },
): PaidService[] {
  const part = anchorPart(epoch, profile)
  const own = new Map(packets)
  const earlier: PaidService[] = []
  for (const paid of service) {
    if (paid.part === part) own.set(paid.gateway, (own.get(paid.gateway) ?? 0n) + paid.packets)
    else if (paid.part + ANCHOR_PARTS > part) earlier.push(paid)
  }
  const present = [...own].sort(([a], [b]) => a - b)
  return [...earlier, ...present.map(([gateway, sum]) => ({ part, gateway, packets: sum }))]
}

/** Packets paid to each gateway in the parts that count at an epoch. */
export function serviceOf(
  service: readonly PaidService[],
  { epoch, profile }: { epoch: number; profile: Pick<Profile, 'anchorEpochs'> },
): Map<number, bigint> {
  const part = anchorPart(epoch, profile)
  const sums = new Map<number, bigint>()
  for (const { part: of, gateway, packets } of service) {
    if (of + ANCHOR_PARTS > part) sums.set(gateway, (sums.get(gateway) ?? 0n) + packets)
  }
  return sums
}

export interface Anchors {
  /** Nodes that the profile names. */
  readonly named: readonly number[]
  /** Packets of late, by node. */
  readonly service: ReadonlyMap<number, bigint>
}

/**
 * Weight of each anchor by node, of those that `stand`: with S packets sold by them and N named ones
 * of them, N times its packets for each that sold, and S for each named one; without one or the
 * other, the packets, or 1.
 */
export function anchorWeights(
  { named, service }: Anchors,
  stand: (node: number) => boolean,
): Map<number, bigint> {
  const sold = [...service].filter(([node, packets]) => packets > 0n && stand(node))
  const list = [...new Set(named)].filter(stand)
  const sum = sold.reduce((total, [, packets]) => total + packets, 0n)
  const weights = new Map<number, bigint>()
  for (const [node, packets] of sold) {
    weights.set(node, packets * (list.length === 0 ? 1n : BigInt(list.length)))
  }
  for (const node of list) {
    weights.set(node, (weights.get(node) ?? 0n) + (sum === 0n ? 1n : sum))
  }
  return weights
}
