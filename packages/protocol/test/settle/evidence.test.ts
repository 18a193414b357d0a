import { strict as assert } from 'node:assert'
import {
  compareBytes,
  type Envelope,
  inclusionProof,
  ListDepth,
  listRoot,
  messageId,
  type PenaltyEvidence,
  type PenaltyFault,
  PPM,
  penaltyFault,
  penaltyLeaves,
  plainVerifier,
  rulebook,
  settle,
  Verdict,
} from '@cairn/protocol'
import { bytes32, entryOf, KernelWorld } from '../kernel-world.ts'
import { ECHO } from '../kinds/trivial.ts'

const world = new KernelWorld({ profile: { penaltyCap: PPM } })
const challenge = world.challenge(0)
const liar = world.base.duty(ECHO, 0).verifiers[0] as number
const lies = [Verdict.pass, Verdict.fail].map(verdict =>
  world.attestation(challenge, liar, { verdict }),
)
const votes = ['one', 'another'].map(label => world.vote(liar, bytes32(label)))
const tools = { book: rulebook(world.kinds), verifier: plainVerifier }

/** What a checkpoint records of two messages. */
function evidenceOf(pair: readonly Envelope[], before: readonly Envelope[] = []): PenaltyEvidence {
  const { checkpoint, penalties } = settle(world.settlement([...before, ...pair]))
  const [penalty] = penalties
  assert.ok(penalty !== undefined)
  const leaves = penaltyLeaves(penalties)
  const { path } = inclusionProof({ checkpoint, field: 'penalties', leaves, position: 0 })
  const { identity, voting, bond } = entryOf(penalty.node)
  return {
    network: world.base.network,
    penalty,
    checkpoint,
    position: 0,
    path,
    identity,
    voting,
    bond,
    share: world.profile.penalty,
    messages: pair as unknown as PenaltyEvidence['messages'],
  }
}

/** As if a quorum had recorded a penalty for any two messages. */
function forged(pair: readonly Envelope[]): PenaltyEvidence {
  const good = evidenceOf(votes)
  const evidence = pair.map(messageId).sort(compareBytes)[0] as Uint8Array
  const penalty = { ...good.penalty, evidence }
  const leaves = penaltyLeaves([penalty])
  const checkpoint = { ...good.checkpoint, penalties: listRoot(leaves, ListDepth.penalties) }
  const { path } = inclusionProof({ checkpoint, field: 'penalties', leaves, position: 0 })
  return {
    ...good,
    penalty,
    checkpoint,
    path,
    messages: pair as unknown as PenaltyEvidence['messages'],
  }
}

describe('a penalty', () => {
  const good = evidenceOf(lies, [challenge])

  it('is right by its two messages, whatever their order', () => {
    assert.equal(penaltyFault(good, tools), undefined)
    const [one, other] = good.messages
    assert.equal(penaltyFault({ ...good, messages: [other, one] }, tools), undefined)
  })

  it('is right by two votes of one round', () => {
    assert.equal(penaltyFault(evidenceOf(votes), tools), undefined)
  })

  const [one, other] = good.messages
  const unsigned = { ...other, signature: other.signature.with(0, (other.signature[0] ?? 0) ^ 1) }
  const faults: readonly [string, PenaltyFault, Partial<PenaltyEvidence>][] = [
    ['of another amount', 'notRecorded', { penalty: { ...good.penalty, amount: 1n } }],
    ['of another node', 'notRecorded', { penalty: { ...good.penalty, node: liar + 1 } }],
    ['at another place', 'notRecorded', { position: 1 }],
    ['of another checkpoint', 'notRecorded', { checkpoint: { ...good.checkpoint, epoch: 1n } }],
    ['without its way into the checkpoint', 'notRecorded', { path: [] }],
    ['with one message twice', 'notTheEvidence', { messages: [one, one] }],
    ['with other messages', 'notTheEvidence', { messages: [votes[0], votes[1]] as never }],
    ['with a signature that is none', 'badSignature', { messages: [one, unsigned] }],
    ['with another node’s key', 'badSignature', { identity: entryOf(liar + 1).identity }],
    ['for another network', 'badSignature', { network: bytes32('elsewhere') }],
    ['of more than its part of the bond', 'tooMuch', { bond: good.bond - 1n }],
  ]
  for (const [title, fault, change] of faults) {
    it(`${title} is refused`, () => {
      assert.equal(penaltyFault({ ...good, ...change }, tools), fault)
    })
  }

  it('for one message, or for two of another epoch, is refused all the same', () => {
    assert.equal(penaltyFault(forged([one, one]), tools), 'notTheEvidence')
    const { epoch } = world.base
    const earlier = ['one', 'another'].map(label =>
      world.vote(liar, bytes32(label), { epoch: epoch - 2 }),
    )
    assert.equal(penaltyFault(forged(earlier), tools), 'otherSubject')
  })

  it('for messages about two things is refused, though a checkpoint should record it', () => {
    const about = [world.attestation(challenge, liar), world.attestation(world.challenge(1), liar)]
    const rounds = [1, 2].map(round => world.vote(liar, bytes32(`root ${round}`), { round }))
    for (const pair of [about, rounds]) {
      assert.equal(penaltyFault(forged(pair), tools), 'otherSubject')
    }
    const authors = [world.vote(0, bytes32('one')), world.vote(1, bytes32('another'))]
    assert.equal(penaltyFault(forged(authors), tools), 'otherAuthor')
  })
})
