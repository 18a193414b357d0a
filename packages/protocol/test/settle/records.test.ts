import { strict as assert } from 'node:assert'
import {
  Challenge,
  challengeRecords,
  type Envelope,
  hex,
  type Kind,
  messageId,
} from '@cairn/protocol'
import { KernelWorld } from '../kernel-world.ts'
import { ECHO, echo } from '../kinds/trivial.ts'

const world = new KernelWorld({ nodes: 9 })
const TARGET = 0
const { challengers, verifiers } = world.base.duty(ECHO, TARGET)
const challenge = world.challenge(TARGET)
const slot = echo.revealSlot(world.base, 0, Challenge.deserialize(challenge.body).output)

function records(...envelopes: Envelope[]) {
  return challengeRecords(world.base, echo as unknown as Kind<unknown>, world.set(envelopes))
}

/** The record of the challenge when its verifiers saw it in these slots, one each. */
function seenIn(slots: readonly number[]) {
  const said = slots.map((seenSlot, i) =>
    world.attestation(challenge, verifiers[i] as number, { seenSlot }),
  )
  const [record] = records(challenge, ...said)
  if (record === undefined) throw new Error('no record')
  return record
}

describe('challenge records', () => {
  it("stand by target, then by the challenger's place in the duty", () => {
    const expected = world.base.nodes.flatMap(({ index }) =>
      world.base.duty(ECHO, index).challengers.map(author => [index, author]),
    )
    const found = records(...world.honest()).map(({ value }) => [value.target, value.author])
    assert.deepEqual(found, expected)
    assert.ok(challengers.length > 1)
  })

  it('join what verifiers and target said of a challenge', () => {
    const other = world.challenge(TARGET, 1)
    const [verifier] = verifiers as [number]
    const said = [world.attestation(challenge, verifier), world.seal(challenge)]
    const [first, second] = records(other, challenge, ...said)
    assert.deepEqual(first?.id, messageId(challenge))
    assert.equal(first?.slot, slot)
    assert.equal(first?.duty, world.base.duty(ECHO, TARGET))
    assert.deepEqual(
      first?.attestations.map(({ value }) => value.author),
      [verifier],
    )
    assert.equal(hex(first?.seal?.challenge as Uint8Array), hex(messageId(challenge)))
    assert.deepEqual(second?.attestations, [])
    assert.equal(second?.seal, undefined)
  })

  it('are on time when more than half of those assigned saw them in their slot or the next', () => {
    const assigned = verifiers.length
    const half = Math.floor(assigned / 2)
    assert.equal(seenIn([]).onTime, false)
    assert.equal(seenIn(new Array(half).fill(slot)).onTime, false)
    assert.equal(seenIn(new Array(half + 1).fill(slot)).onTime, true)
    assert.equal(seenIn(new Array(half + 1).fill(slot + 1)).onTime, true)
    assert.equal(seenIn(new Array(assigned).fill(slot + 2)).onTime, false)
    assert.equal(seenIn([...new Array(half).fill(slot), slot + 2]).onTime, false)
  })

  it('are not on time when they were seen before their slot', () => {
    const assigned = verifiers.length
    const half = Math.floor(assigned / 2)
    assert.equal(seenIn(new Array(assigned).fill(slot - 1)).onTime, false)
    assert.equal(seenIn([...new Array(half).fill(slot), slot - 1]).onTime, false)
    assert.equal(seenIn([...new Array(half + 1).fill(slot), slot - 1]).onTime, true)
  })

  it('have no seal when the target made two', () => {
    const twice = [world.seal(challenge), world.seal(challenge, { proofRoot: new Uint8Array(32) })]
    assert.equal(records(challenge, ...twice)[0]?.seal, undefined)
  })

  it('leave out attestations that contradict themselves', () => {
    const [one, two] = verifiers as [number, number]
    const said = [
      world.attestation(challenge, one),
      world.attestation(challenge, one, { seenSlot: 2 }),
      world.attestation(challenge, two),
    ]
    assert.deepEqual(
      records(challenge, ...said)[0]?.attestations.map(({ value }) => value.author),
      [two],
    )
  })
})
