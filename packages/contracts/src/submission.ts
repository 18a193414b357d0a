/** A submission as `Checkpoints.submit` takes it. */
import { absentProof, bls, type CommitteeTree, check } from '@cairn/protocol'
import { bytesToHex, type Hex } from 'viem'

export interface SubmissionInit {
  /** SSZ bytes. */
  checkpoint: Uint8Array
  round: number
  committee: CommitteeTree
  /** Positions of those who did not sign, ascending. */
  absent: readonly number[]
  /** 96 bytes. */
  signature: Uint8Array
}

type Words<N extends 4 | 8> = N extends 4
  ? readonly [Hex, Hex, Hex, Hex]
  : readonly [Hex, Hex, Hex, Hex, Hex, Hex, Hex, Hex]

/** Arguments in the order of the contract. Throws `absentOrder` and `blsPoint`. */
export function submitArguments(init: SubmissionInit) {
  const { committee } = init
  const { members, proof } = absentProof(committee, init.absent)
  return [
    bytesToHex(init.checkpoint),
    BigInt(init.round),
    {
      count: BigInt(committee.count),
      weight: BigInt(committee.weight),
      key: keyWords(committee.key),
      members: bytesToHex(committee.root),
    },
    {
      members: members.map(({ index, key, weight }) => ({
        index: BigInt(index),
        key: keyWords(key),
        weight: BigInt(weight),
      })),
      proof: proof.map(node => bytesToHex(node)),
    },
    signatureWords(bls.signatureToEvm(init.signature)),
  ] as const
}

/** A G1 point of 128 bytes as the contracts take it. */
export function keyWords(point: Uint8Array): Words<4> {
  check(point.length === 128, 'blsPoint', 'expected a G1 point of 128 bytes')
  return words(point) as unknown as Words<4>
}

/** A G2 point of 256 bytes as the contracts take it. */
export function signatureWords(point: Uint8Array): Words<8> {
  check(point.length === 256, 'blsPoint', 'expected a G2 point of 256 bytes')
  return words(point) as unknown as Words<8>
}

/** Successive 32-byte words. */
export function words(bytes: Uint8Array): Hex[] {
  return Array.from({ length: bytes.length / 32 }, (_, i) =>
    bytesToHex(bytes.subarray(32 * i, 32 * (i + 1))),
  )
}
