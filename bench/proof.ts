/** Verifying an answer to a challenge, against the pair hashes that it cannot do without. */
import {
  askedLeaves,
  foundLeaf,
  hashPiece,
  inventoryOf,
  judgeProof,
  leafProof,
  payloadCapacity,
  sha256Pairs,
  subtreeRange,
  treeHeight,
  upperTree,
} from '@cairn/protocol'
import { dealOf, EPOCH, stateOf } from '../packages/protocol/test/kinds/storage/world.ts'
import { pattern } from '../packages/protocol/test/piece/vectors.ts'
import { compare, type Line, perSecond, rounded } from './measure.ts'

export async function proof(): Promise<Line> {
  const payload = pattern(payloadCapacity(18))
  const { piece, subtrees } = hashPiece(payload)
  const tree = upperTree(piece, subtrees)
  const question = askedLeaves(inventoryOf(stateOf([dealOf({ piece })]), 0, EPOCH), pattern(96))
  const answer = question.map(({ leaf: index }) => {
    const { offset, length } = subtreeRange(piece, index)
    const part = payload.subarray(offset, offset + length)
    return foundLeaf(leafProof({ tree, index, payload: part }))
  })
  const pair = pattern(64)
  const hashes = question.length * treeHeight(piece)
  const TIMES = 20
  const { ours, other, ratio } = await compare({
    ours: () => {
      for (let i = 0; i < TIMES; i++) judgeProof(question, answer)
    },
    other: () => {
      for (let i = 0; i < TIMES * hashes; i++) sha256Pairs(pair)
    },
  })
  const against = `${hashes} pair hashes alone: ${rounded(perSecond(TIMES, other))}/s`
  const value = perSecond(TIMES, ours)
  return { name: 'prove.verify', value, unit: 'proofs/s', ratio, against }
}
