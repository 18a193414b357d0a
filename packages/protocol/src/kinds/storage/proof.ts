/** A target's answer to a challenge: leaf by leaf, under one root that it seals. */
import { ListCompositeType } from '@chainsafe/ssz'
import { Envelope } from '../../messages.ts'
import { HEIGHT_MAX } from '../../piece/piece.ts'
import { type LeafProof, verifyLeaf } from '../../piece/tree.ts'
import { Bytes32, type Codec, ContainerType, type ValueOf } from '../../ssz.ts'
import { listProof, verifyPath } from '../../tree.ts'
import { ASKED_MAX } from './limits.ts'
import type { AskedLeaf } from './question.ts'

/** The leaf and then its path upwards, 32 bytes each; empty: missing. */
export const LeafAnswer = new ListCompositeType(Bytes32, 1 + HEIGHT_MAX, { typeName: 'LeafAnswer' })
export type LeafAnswer = ValueOf<typeof LeafAnswer>

/** One answer for each leaf asked, in their order. */
export const StorageProof: Codec<LeafAnswer[]> = new ListCompositeType(LeafAnswer, ASKED_MAX, {
  typeName: 'StorageProof',
})
export type StorageProof = LeafAnswer[]

/** Levels of the tree of answers: 220 are padded to 256. */
const ANSWERS_DEPTH = Math.ceil(Math.log2(ASKED_MAX))
/** Nodes from an answer to the proof's root: the siblings, and the number of answers. */
export const PROOF_DEPTH = ANSWERS_DEPTH + 1

/** What the direct protocol `prove` answers. */
export const SealedProof = new ContainerType(
  { proof: StorageProof, seal: Envelope },
  { typeName: 'SealedProof' },
)
export type SealedProof = ValueOf<typeof SealedProof>

export type LeafJudgement = 'right' | 'wrong' | 'missing'

export function foundLeaf({ leaf, path }: LeafProof): LeafAnswer {
  return [leaf, ...path]
}

export const MISSING_LEAF: LeafAnswer = []

/** The root that a seal names. */
export function proofRoot(proof: StorageProof): Uint8Array {
  return StorageProof.hashTreeRoot(proof)
}

export function judgeLeaf({ deal, leaf: index }: AskedLeaf, answer: LeafAnswer): LeafJudgement {
  const [leaf, ...path] = answer
  if (leaf === undefined) return 'missing'
  return verifyLeaf({ leaf, path, index, piece: deal.deal.piece }) ? 'right' : 'wrong'
}

export function judgeProof(
  question: readonly AskedLeaf[],
  proof: StorageProof,
): readonly LeafJudgement[] {
  return question.map((asked, place) => judgeLeaf(asked, proof[place] ?? MISSING_LEAF))
}

/** From one answer up to the proof's root: `PROOF_DEPTH` nodes. */
export function answerPath(proof: StorageProof, place: number): Uint8Array[] {
  const answers = proof.map(answer => LeafAnswer.hashTreeRoot(answer))
  return listProof(answers, place, ANSWERS_DEPTH)
}

/** True iff the answer stands at this place of the proof with this root. */
export function isAnswerOf(
  root: Uint8Array,
  { place, answer, path }: { place: number; answer: LeafAnswer; path: readonly Uint8Array[] },
): boolean {
  if (place >= ASKED_MAX || path.length !== PROOF_DEPTH) return false
  const leaf = LeafAnswer.hashTreeRoot(answer)
  return verifyPath({ leaf, index: BigInt(place), path, root })
}
