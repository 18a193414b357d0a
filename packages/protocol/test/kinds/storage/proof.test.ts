import { strict as assert } from 'node:assert'
import {
  answerPath,
  CairnError,
  decode,
  hex,
  isAnswerOf,
  judgeProof,
  LeafAnswer,
  proofRoot,
  SealedProof,
  StorageProof,
} from '@cairn/protocol'
import fc from 'fast-check'
import { answerOf, baseOf, bytes32, challengeOf, dealOf, pieceOf, stateOf } from './world.ts'

const deals = [dealOf(), dealOf({ nonce: 2n, piece: pieceOf(70_000, 3) })]
const { question } = challengeOf(baseOf({ state: stateOf(deals) }), 0)
const honest = answerOf(question)

describe('storage proof', () => {
  it('is right in every leaf of a provider that kept everything', () => {
    assert.deepEqual(new Set(judgeProof(question, honest)), new Set(['right']))
  })

  it('is judged leaf by leaf', () => {
    const judged = judgeProof(question, answerOf(question, { missing: [2], wrong: [5, 19] }))
    assert.equal(judged[2], 'missing')
    assert.equal(judged[5], 'wrong')
    assert.equal(judged[19], 'wrong')
    assert.equal(judged.filter(judgement => judgement === 'right').length, 17)
  })

  it('is wrong where a leaf has no path, another path, or another question’s', () => {
    const [first, second] = honest as [Uint8Array[], Uint8Array[]]
    const cases = [[first[0]], first.slice(0, -1), [...first, bytes32(1)], second]
    for (const answer of cases) {
      assert.equal(judgeProof(question, [answer as LeafAnswer, ...honest.slice(1)])[0], 'wrong')
    }
  })

  it('has a known root', () => {
    const proof = Array.from({ length: 20 }, (_, i) => (i % 3 ? [bytes32(i), bytes32(i, 1)] : []))
    assert.equal(
      hex(proofRoot(proof)),
      '48b69a01814590a5a8d43b5fc33150403cd9905275dd10be213e201500c29ca6',
    )
  })

  it('proves each answer under its root, at its place only', () => {
    const answers = fc.array(
      fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 26 }),
      { minLength: 20, maxLength: 20 },
    )
    fc.assert(
      fc.property(answers, fc.nat(19), fc.nat(31), (proof, place, other) => {
        const root = proofRoot(proof)
        const answer = proof[place] as LeafAnswer
        const path = answerPath(proof, place)
        assert.ok(isAnswerOf(root, { place, answer, path }))
        assert.ok(!isAnswerOf(root, { place: 20 + place, answer, path }))
        assert.ok(!isAnswerOf(root, { place, answer: [...answer, root].slice(-26), path }))
        assert.ok(!isAnswerOf(root, { place, answer, path: path.slice(1) }))
        const same = LeafAnswer.equals(answer, proof[other] ?? [])
        if (other !== place && !same) {
          assert.ok(!isAnswerOf(root, { place: other, answer, path: answerPath(proof, other) }))
        }
      }),
    )
  })

  it('comes back from its bytes, and hostile bytes are refused with a code', () => {
    assert.deepEqual(decode(StorageProof, StorageProof.serialize(honest)), honest)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, whole) => {
        const codec = whole ? SealedProof : StorageProof
        try {
          decode(codec as typeof StorageProof, bytes)
        } catch (error) {
          assert.ok(error instanceof CairnError)
        }
      }),
    )
  })
})
