import { strict as assert } from 'node:assert'
import {
  ASKED_MAX,
  answerPath,
  CairnError,
  DIRECT_MAX_BYTES,
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
      '370b31ca6fb0106ecec1dbb6b66323669673648d9d0ff540f7899e9d30ca6c04',
    )
  })

  it('proves each answer under its root, at its place only', () => {
    const answers = fc.array(
      fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 26 }),
      { minLength: 20, maxLength: ASKED_MAX },
    )
    fc.assert(
      fc.property(answers, fc.nat(), fc.nat(), (proof, one, two) => {
        const place = one % proof.length
        const other = two % proof.length
        const root = proofRoot(proof)
        const answer = proof[place] as LeafAnswer
        const path = answerPath(proof, place)
        assert.ok(isAnswerOf(root, { place, answer, path }))
        assert.ok(!isAnswerOf(root, { place: 256 + place, answer, path }))
        assert.ok(!isAnswerOf(root, { place, answer: [...answer, root].slice(-26), path }))
        assert.ok(!isAnswerOf(root, { place, answer, path: path.slice(1) }))
        if (other !== place && !LeafAnswer.equals(answer, proof[other] ?? [])) {
          assert.ok(!isAnswerOf(root, { place: other, answer, path: answerPath(proof, other) }))
        }
      }),
    )
  })

  it('proves no padding behind the last answer', () => {
    const root = proofRoot(honest)
    const path = answerPath([...honest, []], honest.length)
    assert.ok(!isAnswerOf(root, { place: honest.length, answer: [], path }))
  })

  it('has room for every debt that a challenge may ask, within a direct answer', () => {
    assert.equal(ASKED_MAX, 220)
    assert.ok(SealedProof.maxSize < DIRECT_MAX_BYTES)
    const whole = Array.from({ length: ASKED_MAX }, () => honest[0] as LeafAnswer)
    assert.equal(decode(StorageProof, StorageProof.serialize(whole)).length, ASKED_MAX)
    assert.throws(() => decode(StorageProof, StorageProof.serialize([...whole, []])))
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
