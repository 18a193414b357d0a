/** Submissions and vetoes as `Checkpoints` takes them. */
import { absentProof, bls, type CommitteeTree, check } from '@cairn/protocol'
import { bytesToHex, concat, type Hex, hexToBytes } from 'viem'

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

/** Prime of the field of BLS12-381, and the flags of a point without its y. */
const FIELD =
  0x1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaabn
const COMPRESSED = 0x80
const GREATER = 0x20

type Words<N extends 4 | 8> = N extends 4
  ? readonly [Hex, Hex, Hex, Hex]
  : readonly [Hex, Hex, Hex, Hex, Hex, Hex, Hex, Hex]

/** Arguments in the order of the contract. Throws `absentOrder` and `blsPoint`. */
export function submitArguments(init: SubmissionInit) {
  return [
    bytesToHex(init.checkpoint),
    BigInt(init.round),
    committeeArgument(init.committee),
    membersArgument(init.committee, init.absent),
    signatureWords(bls.signatureToEvm(init.signature)),
  ] as const
}

export interface VetoInit {
  epoch: number
  /** SSZ bytes of the checkpoint of the epoch before, and of the one that names the committee. */
  before: Uint8Array
  checkpoint: Uint8Array
  /** That of the first epoch of the term; absent where the term has no checkpoint yet. */
  term?: Uint8Array | undefined
  committee: CommitteeTree
  /** Position of the member that is not registered so. */
  place: number
}

/** Arguments of `Checkpoints.veto` in its order. */
export function vetoArguments(init: VetoInit) {
  return [
    BigInt(init.epoch),
    bytesToHex(init.before),
    bytesToHex(init.checkpoint),
    bytesToHex(init.term ?? new Uint8Array()),
    committeeArgument(init.committee),
    membersArgument(init.committee, [init.place]),
  ] as const
}

function committeeArgument({ count, weight, key, root }: CommitteeTree) {
  return {
    count: BigInt(count),
    weight: BigInt(weight),
    key: keyWords(key),
    members: bytesToHex(root),
  }
}

function membersArgument(committee: CommitteeTree, places: readonly number[]) {
  const { members, proof } = absentProof(committee, places)
  return {
    members: members.map(({ index, key, weight }) => ({
      index: BigInt(index),
      key: keyWords(key),
      weight: BigInt(weight),
    })),
    proof: proof.map(node => bytesToHex(node)),
  }
}

/** A G1 point of 128 bytes as the contracts take it. */
export function keyWords(point: Uint8Array): Words<4> {
  check(point.length === 128, 'blsPoint', 'expected a G1 point of 128 bytes')
  return words(point) as unknown as Words<4>
}

/** The 48 bytes of a key that the contracts have as a G1 point; whether it is one the reader checks. */
export function keyOfWords(words: Words<4>): Uint8Array {
  const point = hexToBytes(concat(words))
  const y = BigInt(bytesToHex(point.subarray(64)))
  const key = point.slice(16, 64)
  // Of the two points with this x, the one with the greater y.
  key[0] = (key[0] as number) | COMPRESSED | (2n * y > FIELD ? GREATER : 0)
  return key
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
