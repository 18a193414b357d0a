/**
 * A challenge's output is the challenger's BLS signature over the seed, the kind and the target.
 * Such signatures are unique: the challenger cannot choose it, everybody can check it, and nobody
 * else can foresee it.
 */

import { sha256 } from '#crypto'
import { DomainType, domain } from './domain.ts'
import { Bytes32, ContainerType, Uint8, Uint32, u64 } from './ssz.ts'

const VrfInput = new ContainerType({ domain: Bytes32, seed: Bytes32, kind: Uint8, target: Uint32 })

export interface ChallengeInput {
  network: Uint8Array
  seed: Uint8Array
  kind: number
  target: number
}

/** The bytes a challenger's voting key signs. */
export function challengeInput({ network, seed, kind, target }: ChallengeInput): Uint8Array {
  return VrfInput.serialize({ domain: domain(DomainType.vrf, network), seed, kind, target })
}

/** The slot among `[first, last]` that an output falls in. */
export function drawnSlot(output: Uint8Array, [first, last]: readonly [number, number]): number {
  return first + Number(u64(sha256(output)) % BigInt(last - first + 1))
}
