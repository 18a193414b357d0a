/** A target's answer to a challenge: leaf by leaf, under one root that it seals. */
import { ListCompositeType, VectorCompositeType } from '@chainsafe/ssz'
import { sha256Pairs } from '#crypto'
import { Envelope } from '../../messages.ts'
import { HEIGHT_MAX, NODE_BYTES } from '../../piece/piece.ts'
import { type LeafProof, verifyLeaf } from '../../piece/tree.ts'
import { Bytes32, type Codec, ContainerType, type ValueOf } from '../../ssz.ts'
import { verifyPath } from '../../tree.ts'
import { type AskedLeaf, LEAVES_PER_CHALLENGE } from './question.ts'

/** The leaf and then its path upwards, 32 bytes each; empty: missing. */
export const LeafAnswer = new ListCompositeType(Bytes32, 1 + HEIGHT_MAX, { typeName: 'LeafAnswer' })
export type LeafAnswer = ValueOf<typeof LeafAnswer>

/** One answer for each leaf asked, in their order. */
export const StorageProof: Codec<LeafAnswer[]> = new VectorCompositeType(
  LeafAnswer,
  LEAVES_PER_CHALLENGE,
  { typeName: 'StorageProof' },
)
export type StorageProof = LeafAnswer[]

/** Levels above the answers in the proof's tree: 20 are padded to 32. */
export const PROOF_DEPTH = Math.ceil(Math.log2(LEAVES_PER_CHALLENGE))

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

/** Siblings of one answer up to the proof's root: `PROOF_DEPTH` of them. */
export function answerPath(proof: StorageProof, place: number): Uint8Array[] {
  let level = new Uint8Array(2 ** PROOF_DEPTH * NODE_BYTES)
  for (const [at, answer] of proof.entries()) {
    level.set(LeafAnswer.hashTreeRoot(answer), at * NODE_BYTES)
  }
  const path: Uint8Array[] = []
  for (let at = place; level.length > NODE_BYTES; at >>= 1) {
    const start = (at ^ 1) * NODE_BYTES
    path.push(level.slice(start, start + NODE_BYTES))
    level = new Uint8Array(sha256Pairs(level))
  }
  return path
}

/** True iff the answer stands at this place of the proof with this root. */
export function isAnswerOf(
  root: Uint8Array,
  { place, answer, path }: { place: number; answer: LeafAnswer; path: readonly Uint8Array[] },
): boolean {
  if (place >= LEAVES_PER_CHALLENGE || path.length !== PROOF_DEPTH) return false
  const leaf = LeafAnswer.hashTreeRoot(answer)
  return verifyPath({ leaf, index: BigInt(place), path, root })
}
