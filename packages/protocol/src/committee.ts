/**
 * A committee as the chain stores it: one word. It hashes how many members there are, their weight,
 * the sum of their keys and a Merkle root over (key, weight), so that a checkpoint signed by all
 * costs the same for any size, and those who did not sign are shown with their siblings and
 * subtracted. `CommitteeWord.sol` is the same in Solidity.
 *
 *     word = keccak256(count | weight | key, 128 bytes | root)        numbers: 32 bytes big-endian
 *     leaf = keccak256(key, 128 bytes | weight)                       keys: the layout of EIP-2537
 *     node = keccak256(left | right)
 *
 * Leaves stand in the order of the members, padded with zero leaves to a power of two. A leaf's
 * preimage is 160 bytes and a node's 64, so neither passes for the other.
 */

import { bls, keccak256 } from '#crypto'
import { check, invariant } from './errors.ts'
import { concatBytes } from './ssz.ts'

/** A member in the committee's tree. */
export interface WeightedKey {
  /** BLS12-381 key, 48 bytes compressed. */
  key: Uint8Array
  /** Whole units, at least 0. */
  weight: number
}

export interface CommitteeTree {
  count: number
  weight: number
  /** Sum of all keys, 128 bytes as EIP-2537 has them. */
  key: Uint8Array
  root: Uint8Array
  word: Uint8Array
  members: readonly WeightedKey[]
  /** Nodes of each level, leaves first; padding included. */
  levels: readonly (readonly Uint8Array[])[]
}

export interface AbsentMember {
  /** Position in the committee. */
  index: number
  /** 128 bytes as EIP-2537 has them. */
  key: Uint8Array
  weight: number
}

/** Members whose signatures are missing, and what shows that they are members. */
export interface AbsentProof {
  /** By ascending index. */
  members: AbsentMember[]
  /** Siblings that are no ancestor of an absent leaf: by level from the leaves, then left to right. */
  proof: Uint8Array[]
}

const ZERO_LEAF = new Uint8Array(32)

/** Throws `emptyCommittee`, and `blsPoint` on a key that is no point of the group. */
export function committeeTree(members: readonly WeightedKey[]): CommitteeTree {
  check(members.length > 0, 'emptyCommittee', 'expected at least one committee member, found none')
  const levels = hashLevels(members.map(memberLeaf))
  const root = levels.at(-1)?.[0]
  invariant(root !== undefined, 'a tree of at least one leaf has a root')
  const count = members.length
  const weight = members.reduce((sum, member) => sum + member.weight, 0)
  const key = bls.keyToEvm(bls.aggregateKeys(members.map(member => member.key)))
  const word = keccak256(concatBytes([uint256(count), uint256(weight), key, root]))
  return { count, weight, key, root, word, members, levels }
}

/** The 32 bytes a checkpoint's `nextCommittee` holds. */
export function committeeWord(members: readonly WeightedKey[]): Uint8Array {
  return committeeTree(members).word
}

/**
 * What `Checkpoints.submit` needs of those who did not sign. `absent` are positions, ascending and
 * without repetition: throws `absentOrder`.
 */
export function absentProof(tree: CommitteeTree, absent: readonly number[]): AbsentProof {
  for (const [i, index] of absent.entries()) {
    const above = i === 0 || index > (absent[i - 1] as number)
    check(
      Number.isInteger(index) && index >= 0 && index < tree.count && above,
      'absentOrder',
      `expected ascending positions below ${tree.count}, found ${absent.join(', ')}`,
      { facts: { count: tree.count, index } },
    )
  }
  const proof: Uint8Array[] = []
  if (absent.length > 0) {
    let known = [...absent]
    for (const level of tree.levels.slice(0, -1)) {
      const has = new Set(known)
      for (const index of known) {
        if (!has.has(index ^ 1)) proof.push(level[index ^ 1] as Uint8Array)
      }
      known = [...new Set(known.map(index => index >> 1))]
    }
  }
  const members = absent.map(index => {
    const { key, weight } = tree.members[index] as WeightedKey
    return { index, key: bls.keyToEvm(key), weight }
  })
  return { members, proof }
}

/** Whether the signed weight is more than two thirds of the total. */
export function quorum({ signed, total }: { signed: number; total: number }): boolean {
  return 3n * BigInt(signed) > 2n * BigInt(total)
}

function memberLeaf({ key, weight }: WeightedKey): Uint8Array {
  return keccak256(concatBytes([bls.keyToEvm(key), uint256(weight)]))
}

function hashLevels(leaves: readonly Uint8Array[]): Uint8Array[][] {
  let width = 1
  while (width < leaves.length) width *= 2
  let level = Array.from({ length: width }, (_, i) => leaves[i] ?? ZERO_LEAF)
  const levels = [level]
  while (level.length > 1) {
    const below = level
    level = Array.from({ length: below.length / 2 }, (_, i) =>
      keccak256(concatBytes(below.slice(2 * i, 2 * i + 2))),
    )
    levels.push(level)
  }
  return levels
}

/** 32 bytes big-endian, as the EVM encodes numbers. */
function uint256(value: number): Uint8Array {
  invariant(Number.isSafeInteger(value) && value >= 0, 'counts and weights are whole numbers')
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setBigUint64(24, BigInt(value))
  return bytes
}
