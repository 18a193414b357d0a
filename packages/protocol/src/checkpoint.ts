/**
 * The checkpoint of an epoch, what a committee member signs for it, and the roots it names.
 * The container has a fixed size, so the contract computes its SSZ root from calldata by offset.
 */

import { VectorBasicType } from '@chainsafe/ssz'
import { sha256 } from '#crypto'
import { DomainType, signingRoot } from './domain.ts'
import { Bytes32, ContainerType, Uint32, Uint64, Uint128, type ValueOf } from './ssz.ts'

/** Epoch field of the genesis checkpoint; the next checkpoint is that of epoch 0. */
export const GENESIS_EPOCH = 2n ** 64n - 1n

/** Message type codes and proof kinds that `counts` has room for. */
export const COUNTED_TYPES = 16
export const COUNTED_KINDS = 8

/** Place of a message's type in `Counts.messages`: types from 16 on are counted together, in place 0. */
export function countedPlace(type: number): number {
  return type < COUNTED_TYPES ? type : 0
}

/** `messages[type]`, and `verdicts[3 * kind + verdict - 1]`. */
export const Counts = new ContainerType(
  {
    messages: new VectorBasicType(Uint32, COUNTED_TYPES),
    verdicts: new VectorBasicType(Uint32, 3 * COUNTED_KINDS),
  },
  { typeName: 'Counts' },
)

export const BlockRef = new ContainerType(
  { number: Uint64, hash: Bytes32 },
  { typeName: 'BlockRef' },
)
export type BlockRef = ValueOf<typeof BlockRef>

/** 468 bytes. */
export const Checkpoint = new ContainerType(
  {
    epoch: Uint64,
    base: BlockRef,
    parent: Bytes32,
    messages: Bytes32,
    state: Bytes32,
    payouts: Bytes32,
    penalties: Bytes32,
    deals: Bytes32,
    counts: Counts,
    earnedTotal: Uint128,
    spentTotal: Uint128,
    nextCommittee: Bytes32,
    rulesVersion: Uint32,
  },
  { typeName: 'Checkpoint' },
)
export type Checkpoint = ValueOf<typeof Checkpoint>

/** Position of a root among the checkpoint's fields, as `Checkpoints.verify` takes it. */
export const CheckpointField = {
  messages: 3,
  state: 4,
  payouts: 5,
  penalties: 6,
  deals: 7,
} as const
export type CheckpointField = keyof typeof CheckpointField

/** What all voters of one round sign alike: 48 bytes, little-endian. */
export const VoteData = new ContainerType(
  { epoch: Uint64, round: Uint64, checkpoint: Bytes32 },
  { typeName: 'VoteData' },
)
export type VoteData = ValueOf<typeof VoteData>

/** What a node signs to check in where no committee signs; windows are counted from 1. */
const CheckInData = new ContainerType(
  { epoch: Uint64, window: Uint64 },
  { typeName: 'CheckInData' },
)
type CheckInData = ValueOf<typeof CheckInData>

/** The 32 bytes that a BLS key signs: sha256(domain(checkIn) || sha256(CheckInData)). */
export function checkInSigningRoot(data: CheckInData, network: Uint8Array): Uint8Array {
  return signingRoot(DomainType.checkIn, network, sha256(CheckInData.serialize(data)))
}

export function checkpointRoot(checkpoint: Checkpoint): Uint8Array {
  return Checkpoint.hashTreeRoot(checkpoint)
}

/** The 32 bytes the committee's BLS keys sign: sha256(domain(vote) || sha256(VoteData)). */
export function voteSigningRoot(vote: VoteData, network: Uint8Array): Uint8Array {
  return signingRoot(DomainType.vote, network, sha256(VoteData.serialize(vote)))
}
