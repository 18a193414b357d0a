/** Offences as `Slasher` takes them. */
import {
  bls,
  type Checkpoint,
  inclusionProof,
  invariant,
  type PenaltyRecord,
  penaltyLeaves,
} from '@cairn/protocol'
import { bytesToHex } from 'viem'
import { keyWords, signatureWords } from './submission.ts'

export interface PenaltyInit {
  checkpoint: Checkpoint
  /** All penalties of the checkpoint, by node. */
  penalties: readonly PenaltyRecord[]
  position: number
}

export interface DoubleVoteInit {
  node: number
  /** 48 bytes. */
  key: Uint8Array
  epoch: number
  round: number
  /** Root, and a signature of 96 bytes. */
  votes: readonly [CastVoteInit, CastVoteInit]
}

export interface CastVoteInit {
  checkpoint: Uint8Array
  signature: Uint8Array
}

/** Arguments of `Slasher.penalise`. Throws `listRoot` where the penalties are not the checkpoint's. */
export function penaliseArguments({ checkpoint, penalties, position }: PenaltyInit) {
  const penalty = penalties[position]
  invariant(penalty !== undefined, 'a position of a penalty')
  const leaves = penaltyLeaves(penalties)
  const { path } = inclusionProof({ checkpoint, field: 'penalties', leaves, position })
  const { node, amount, evidence } = penalty
  return [
    checkpoint.epoch,
    { node, amount, evidence: bytesToHex(evidence) },
    BigInt(position),
    path.map(sibling => bytesToHex(sibling)),
  ] as const
}

/** Arguments of `Slasher.doubleVote`. Throws `blsPoint`. */
export function doubleVoteArguments({ node, key, epoch, round, votes }: DoubleVoteInit) {
  const [first, second] = votes
  return [
    node,
    keyWords(bls.keyToEvm(key)),
    BigInt(epoch),
    BigInt(round),
    [signed(first), signed(second)],
  ] as const
}

function signed({ checkpoint, signature }: CastVoteInit) {
  return {
    checkpoint: bytesToHex(checkpoint),
    signature: signatureWords(bls.signatureToEvm(signature)),
  }
}
