import { strict as assert } from 'node:assert'
import {
  ASKED_MAX,
  type Attestation,
  answerDigest,
  answerPath,
  CairnError,
  checkStorageEvidence,
  decodeSealedWrong,
  decodeStorageEvidence,
  ed25519,
  hex,
  isSealedWrong,
  type LeafAnswer,
  NO_DIGEST,
  plainVerifier,
  SealedWrong,
  StorageReason,
  storageEvidence,
  storageReasonName,
  Verdict,
} from '@cairn/protocol'
import { BitArray } from '@chainsafe/ssz'
import fc from 'fast-check'
import {
  ALL_PLACES,
  answerOf,
  attestationOf,
  baseOf,
  bytes32,
  challengeOf,
  dealOf,
  nodeSecret,
  rightAt,
  sealOf,
  stateOf,
} from './world.ts'

const base = baseOf({ state: stateOf([dealOf()]) })
const asked = challengeOf(base, 0)
const lie = answerOf(asked.question, { wrong: [4], missing: [6] })
const { seal, signature } = sealOf(base, asked, lie)

function evidenceOf(place: number): SealedWrong {
  return {
    seal,
    signature,
    place,
    answer: lie[place] as LeafAnswer,
    path: answerPath(lie, place),
    answered: BitArray.fromBoolArray(rightAt(ALL_PLACES.filter(at => at !== 4 && at !== 6))),
  }
}

const context = {
  challenge: asked,
  question: asked.question,
  base,
  verifier: plainVerifier,
}
const holds = (evidence: SealedWrong) => isSealedWrong(evidence, context)

describe('storage evidence', () => {
  it('has a known digest, another for each attester', () => {
    assert.equal(
      hex(answerDigest(3, bytes32(1))),
      '927b581e927b52a90b51b0343c437c7de1713deba2e6e31dfc825b81ce0a9463',
    )
    assert.notDeepEqual(answerDigest(3, bytes32(1)), answerDigest(4, bytes32(1)))
  })

  it('has known bytes, a bit for each leaf asked and one that ends them', () => {
    const twenty = storageEvidence(bytes32(1), rightAt([0, 9, 19]))
    assert.equal(hex(twenty), `${hex(bytes32(1))}24000000010218`)
    const more = storageEvidence(bytes32(1), rightAt([0, 9, 22], 23))
    assert.equal(hex(more), `${hex(bytes32(1))}240000000102c0`)
    assert.deepEqual(decodeStorageEvidence(more).answered.getTrueBitIndexes(), [0, 9, 22])
    assert.equal(hex(storageEvidence(NO_DIGEST, [])), `${hex(NO_DIGEST)}2400000001`)
  })

  it('has room for as many leaves as a challenge asks, and no more', () => {
    const most = storageEvidence(bytes32(1), rightAt(ALL_PLACES, ASKED_MAX))
    assert.equal(decodeStorageEvidence(most).answered.bitLen, ASKED_MAX)
    const beyond = Uint8Array.from([...most.slice(0, -1), 0, 2])
    assert.throws(() => decodeStorageEvidence(beyond), { code: 'badEncoding' })
  })

  it('must not contradict verdict and reason', () => {
    const digest = bytes32(1)
    const all = storageEvidence(digest, rightAt(ALL_PLACES))
    const some = storageEvidence(digest, rightAt([1, 2]))
    const none = storageEvidence(NO_DIGEST, [])
    const debtsOwed = storageEvidence(digest, rightAt(ALL_PLACES, 25))
    const debtsOnly = storageEvidence(digest, rightAt([20, 21, 22, 23, 24], 25))
    const wrong = SealedWrong.serialize(evidenceOf(4))
    const { pass, fail, inconclusive } = Verdict
    const reason = StorageReason
    const change = (more: Partial<SealedWrong>) =>
      SealedWrong.serialize({ ...evidenceOf(4), ...more })
    const bits = (places: number[], asked?: number) =>
      BitArray.fromBoolArray(rightAt(places, asked))
    const cases: [boolean, number, number, Uint8Array][] = [
      [true, pass, reason.ok, all],
      [false, pass, reason.ok, some],
      [false, pass, reason.leafMissing, all],
      [true, pass, reason.ok, debtsOwed],
      [false, pass, reason.ok, debtsOnly],
      [false, pass, reason.ok, storageEvidence(digest, rightAt(ALL_PLACES, 19))],
      [true, inconclusive, reason.leafMissing, some],
      [true, inconclusive, reason.leafMissing, debtsOnly],
      [false, inconclusive, reason.leafMissing, all],
      [false, inconclusive, reason.leafMissing, debtsOwed],
      [false, inconclusive, reason.leafMissing, storageEvidence(digest, rightAt([1], 19))],
      [false, inconclusive, reason.leafMissing, storageEvidence(digest, [])],
      [false, inconclusive, reason.ok, some],
      [true, inconclusive, reason.unreachable, none],
      [false, inconclusive, reason.unreachable, some],
      [false, inconclusive, reason.unreachable, storageEvidence(NO_DIGEST, rightAt([]))],
      [false, inconclusive, reason.timeout, storageEvidence(digest, [])],
      [false, inconclusive, reason.late, none],
      [false, inconclusive, 99, none],
      [true, fail, reason.wrongLeaf, wrong],
      [false, fail, reason.ok, wrong],
      [false, fail, reason.wrongLeaf, all],
      [false, fail, reason.wrongLeaf, change({ answered: bits(ALL_PLACES) })],
      [false, fail, reason.wrongLeaf, change({ answered: bits([], 19) })],
      [false, fail, reason.wrongLeaf, change({ place: 21 })],
      [false, inconclusive, reason.wrongLeaf, wrong],
      [false, 0, reason.ok, all],
      [false, 4, reason.unreachable, none],
      [false, pass, reason.ok, new Uint8Array(0)],
      [false, pass, reason.ok, Uint8Array.of(...digest, 0xff, 0xff, 0xff)],
    ]
    for (const [place, [valid, verdict, code, evidence]] of cases.entries()) {
      const attestation = attestationOf(base, asked, 1, { verdict, reason: code, evidence })
      assert.equal(checkStorageEvidence(attestation), valid, `case ${place}`)
    }
  })

  it('never throws for hostile bytes', () => {
    const hostile = fc.record({
      verdict: fc.nat(4),
      reason: fc.nat(12),
      evidence: fc.uint8Array({ maxLength: 1500 }),
    })
    fc.assert(
      fc.property(hostile, change => {
        const attestation = attestationOf(base, asked, 1, change as Partial<Attestation>)
        assert.equal(typeof checkStorageEvidence(attestation), 'boolean')
        for (const decode of [decodeStorageEvidence, decodeSealedWrong]) {
          try {
            decode(change.evidence)
          } catch (error) {
            assert.ok(error instanceof CairnError)
          }
        }
      }),
    )
  })

  it('names every reason by a code of its own', () => {
    for (const [name, code] of Object.entries(StorageReason)) {
      assert.equal(storageReasonName(code), name)
    }
    assert.equal(storageReasonName(255), undefined)
  })
})

describe('evidence of a sealed wrong leaf', () => {
  it('holds for what the target sealed, in under 3 KiB', () => {
    assert.ok(holds(evidenceOf(4)))
    assert.ok(SealedWrong.maxSize < 3 * 1024)
    assert.deepEqual(decodeSealedWrong(SealedWrong.serialize(evidenceOf(4))), evidenceOf(4))
  })

  it('does not hold for a right leaf, nor for one said to be missing', () => {
    assert.ok(!holds(evidenceOf(5)))
    assert.ok(!holds(evidenceOf(6)))
  })

  it('does not hold for anything the target did not seal', () => {
    const good = evidenceOf(4)
    const wrong: Record<string, Partial<SealedWrong>> = {
      'another place': { place: 3 },
      'a place that was not asked': { place: 20 },
      'another answer': { answer: [bytes32(1), bytes32(2)] },
      'a path of another answer': { path: answerPath(lie, 3) },
      'a signature of somebody else': { signature: ed25519.sign(bytes32(1), nodeSecret(1)) },
      'a seal of another root': { seal: { ...seal, proofRoot: bytes32(1) } },
      'a seal of another challenge': { seal: { ...seal, challenge: bytes32(1) } },
      'a seal of another node': { seal: { ...seal, author: 1 } },
      'a seal of another kind': { seal: { ...seal, kind: 2 } },
      'a seal of another epoch': { seal: { ...seal, epoch: seal.epoch + 1 } },
      'a seal of another base': { seal: { ...seal, base: new Uint8Array(8) } },
    }
    for (const [what, change] of Object.entries(wrong)) {
      assert.ok(!holds({ ...good, ...change }), what)
    }
  })

  it('does not hold when a verifier seals a wrong leaf in its own name', () => {
    const forged = { ...seal, author: 1 }
    assert.ok(!holds({ ...evidenceOf(4), seal: forged, signature: new Uint8Array(64) }))
  })
})
