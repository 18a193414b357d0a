import { strict as assert } from 'node:assert'
import {
  type Beacon,
  beaconRule,
  COVERAGE,
  Commit,
  challengeName,
  checkEvidence,
  commitRule,
  coverage,
  emptyCoverageState,
  encodeEvidence,
  GATEWAYS_MAX,
  hex,
  MessageSet,
  MessageType,
  NO_REVEAL,
  NONCE_CHECK_MAX,
  reportRule,
  revealSlot,
  slotsAfter,
  TESTNET_PROFILE,
  transmissionSlots,
  Verdict,
} from '@cairn/protocol'
import { latLngToCell } from 'h3-js'
import { EVERY_EPOCH, Field } from './field.ts'
import { bytes32, type entryOf } from './network.ts'

const PLACES = [1_000, 2_000, 3_000, 4_000, 5_000]
const rule = beaconRule(() => emptyCoverageState())
const never = { ed25519: () => false, bls: () => false, drand: () => false }

describe('slots of a beacon', () => {
  it('follow the challenge by the steps of the profile', () => {
    assert.deepEqual(slotsAfter(3, TESTNET_PROFILE), {
      challenge: 3,
      transmission: 4,
      commit: 5,
      reveal: 6,
      reports: 7,
    })
  })

  it('are drawn for the first challenger and come after the last of those for the others', () => {
    const { base } = new Field({ places: PLACES })
    const [first, last] = TESTNET_PROFILE.coverageReveal
    const drawn = new Set<number>()
    for (let fill = 0; fill < 100; fill++) {
      drawn.add(revealSlot(base, 0, new Uint8Array(96).fill(fill)))
    }
    assert.deepEqual([...drawn].sort(), [1, 2, 3, 4])
    assert.ok([...drawn].every(slot => slot >= first && slot <= last))
    assert.equal(revealSlot(base, 1, new Uint8Array(96)), last + 1)
    assert.equal(revealSlot(base, 2, new Uint8Array(96)), last + 2)
    assert.deepEqual(transmissionSlots(TESTNET_PROFILE), [2, 7])
  })
})

describe('challenge of a beacon', () => {
  it('is needless for later challengers once an earlier one is known', () => {
    const field = new Field({ places: PLACES })
    const { base, set } = field
    assert.ok(!coverage.needless(base, 0, 0, set))
    assert.ok(coverage.needless(base, 0, 1, set))
    assert.ok(!coverage.needless(base, 0, 1, new MessageSet()))
    assert.ok(!coverage.needless(base, 1, 1, set))
  })

  it('is not made needless by a later one', () => {
    const { base, challenge, set } = new Field({ places: PLACES })
    const later = { ...challenge.value, author: base.duty(COVERAGE, 0).challengers[1] as number }
    const known = {
      ofType: () => [{ id: bytes32(1), value: later }] as never,
      anyOfType: () => [],
      challenge: () => undefined,
      standing: () => [],
    }
    assert.ok(!coverage.needless(base, 0, 1, known))
    assert.ok(coverage.needless(base, 0, 2, set))
  })
})

describe('targets of coverage', () => {
  const targets = (change: Parameters<typeof entryOf>[1]) =>
    coverage.targets(new Field({ places: PLACES, changes: { 1: change ?? {} } }).base)

  it('are the drawn gateways with a cell in their region', () => {
    assert.deepEqual(targets({}), [0, 1, 2, 3, 4, 5])
    assert.deepEqual(targets({ cell: 0n }), [0, 2, 3, 4, 5])
    assert.deepEqual(targets({ cell: 0x8928308280fffffn }), [0, 2, 3, 4, 5])
    assert.deepEqual(
      targets({ cell: BigInt(`0x${latLngToCell(37.8, -122.4, 12)}`) }),
      [0, 2, 3, 4, 5],
    )
    assert.deepEqual(targets({ region: 99 }), [0, 2, 3, 4, 5])
    assert.deepEqual(targets({ subBand: 9 }), [0, 2, 3, 4, 5])
    assert.deepEqual(targets({ kinds: 1 << 1 }), [0, 2, 3, 4, 5])
  })
})

describe('rule of a commit', () => {
  const field = new Field({ places: PLACES, changes: { 3: { kinds: 0 } } })
  const commit = (author: number, slot: number): Commit => ({
    epoch: 8,
    base: field.base.tag,
    kind: COVERAGE,
    author,
    slot,
    root: bytes32(1),
  })
  const duty = (author: number, slot: number) =>
    commitRule.duty(commit(author, slot), field.base, field.set)

  it('lets gateways commit to slots in which a beacon may be heard', () => {
    assert.deepEqual(
      [1, 2, 7, 8].map(slot => duty(1, slot)),
      ['no', 'yes', 'yes', 'no'],
    )
    assert.equal(duty(3, 2), 'no')
    assert.equal(duty(77, 2), 'no')
  })

  it('is relayed until the commit slot ends, one per slot', () => {
    assert.deepEqual(commitRule.window(commit(1, 4), field.base, field.set), [4, 5])
    assert.notEqual(commitRule.subject(commit(1, 4)), commitRule.subject(commit(1, 5)))
  })
})

describe('rule of a beacon', () => {
  it('waits for the challenge it names', () => {
    const field = new Field({ places: PLACES })
    const { value } = field.reveal({ challenge: bytes32(9) })
    const waits = { awaits: challengeName(bytes32(9)) }
    assert.deepEqual(rule.duty(value, field.base, field.set), waits)
    assert.deepEqual(rule.window(value, field.base, field.set), waits)
  })

  it('is the duty of the target alone, for the slot that follows from the challenge', () => {
    const field = new Field({ places: PLACES })
    const { value, duty } = field.reveal()
    assert.equal(duty, 'yes')
    const judge = (change: Partial<Beacon>) =>
      rule.duty({ ...value, ...change }, field.base, field.set)
    assert.equal(judge({ author: 1 }), 'no')
    assert.equal(judge({ slot: value.slot + 1 }), 'no')
  })

  it('is relayed in the reveal slot only, so that nobody commits with knowledge of it', () => {
    const field = new Field({ places: PLACES })
    const { value } = field.reveal()
    const { reveal, commit } = field.slots
    assert.deepEqual(rule.window(value, field.base, field.set), [reveal, reveal])
    assert.ok(reveal > commit)
  })

  it('refuses a wrong preimage while it is cheap to tell, and leaves it to settlement else', () => {
    const near = new Field({ places: PLACES, epoch: NONCE_CHECK_MAX - 1 })
    const { value } = near.reveal()
    const wrong = { ...value, nonce: bytes32(1) }
    assert.equal(rule.verify?.(value, near.base, never), true)
    assert.equal(rule.verify?.(wrong, near.base, never), false)
    const far = new Field({ places: PLACES, epoch: NONCE_CHECK_MAX })
    assert.equal(rule.verify?.(wrong, far.base, never), true)
  })
})

describe('rule of a report', () => {
  function heardBy(node: number) {
    const field = new Field({ places: PLACES })
    field.reveal()
    const report = field.hear(node)
    const judge = (change: Partial<typeof report.value>) =>
      reportRule.duty({ ...report.value, ...change }, field.base, field.set)
    return { field, report, judge }
  }

  it('lets a gateway open what it committed to once the beacon is revealed', () => {
    assert.equal(heardBy(1).report.duty, 'yes')
  })

  it('refuses a reception that does not open the leaf, and a slot that does not follow', () => {
    const { judge, report } = heardBy(1)
    assert.equal(judge({ salt: bytes32(7) }), 'no')
    assert.equal(judge({ place: 1 }), 'no')
    assert.equal(judge({ slot: report.value.slot + 1 }), 'no')
    assert.equal(judge({ author: 2 }), 'no')
  })

  it('waits for challenge, commit and reveal, each by its name', () => {
    const { judge, field, report } = heardBy(1)
    assert.deepEqual(judge({ challenge: bytes32(9) }), { awaits: challengeName(bytes32(9)) })
    const without = (type: MessageType) => {
      const set = new MessageSet()
      for (const message of field.set.messages()) {
        if (message.envelope.type !== type) set.add(message, hex(message.id), COVERAGE)
      }
      return reportRule.duty(report.value, field.base, set)
    }
    const { challenge, author } = report.value
    const [commit] = field.set.ofType<Commit>(MessageType.commit, COVERAGE)
    const [reveal] = field.set.ofType<Beacon>(MessageType.beacon, COVERAGE)
    assert.ok(commit?.value.author === author && reveal)
    assert.deepEqual(without(MessageType.challenge), { awaits: challengeName(challenge) })
    assert.deepEqual(without(MessageType.commit), { awaits: commitRule.awaitedAs?.(commit) })
    assert.deepEqual(without(MessageType.beacon), { awaits: rule.awaitedAs?.(reveal) })
    assert.equal(without(MessageType.seal), 'yes')
  })

  it('leaves another frame than the beacon, and leaves not committed to, to settlement', () => {
    const field = new Field({ places: PLACES })
    field.reveal()
    const payload = field.plan.payload.map(byte => byte ^ 1)
    assert.equal(field.hear(1, { reception: { payload } }).duty, 'yes')
    const { report, judge } = heardBy(2)
    assert.equal(judge({ leaves: [...report.value.leaves, bytes32(1)] }), 'yes')
  })

  it('is the same after a second commit of its author and a second reveal', () => {
    const { field, judge } = heardBy(1)
    const { transmission: slot } = field.slots
    field.say<Commit>(MessageType.commit, Commit, 1, { slot, root: bytes32(3) })
    assert.equal(judge({}), 'yes')
    field.reveal({ spreadingFactor: 12 })
    assert.equal(field.set.contradictions().length, 2)
    assert.equal(judge({}), 'yes')
  })

  it('waits for a commit of its own author to its own slot', () => {
    const { field, report } = heardBy(1)
    const { transmission: slot } = field.slots
    const set = new MessageSet()
    for (const message of field.set.messages()) {
      if (message.envelope.type !== MessageType.commit) set.add(message, hex(message.id), COVERAGE)
    }
    const others = new Field({ places: PLACES })
    others.say<Commit>(MessageType.commit, Commit, 2, { slot, root: bytes32(3) })
    others.say<Commit>(MessageType.commit, Commit, 1, { slot: slot + 1, root: bytes32(3) })
    for (const message of others.said) set.add(message as never, hex(message.id), COVERAGE)
    assert.deepEqual(reportRule.duty(report.value, field.base, set), {
      awaits: `commit/1/${slot}`,
    })
  })

  it('is relayed from the reveal until the report slot ends', () => {
    const { field, report } = heardBy(1)
    const { reveal, reports } = field.slots
    assert.deepEqual(reportRule.window(report.value, field.base, field.set), [reveal, reports])
  })
})

describe('evidence of a verifier', () => {
  const attestation = (verdict: number, evidence: Uint8Array, reason = 0) =>
    checkEvidence({
      epoch: 1,
      base: new Uint8Array(8),
      kind: COVERAGE,
      author: 1,
      challenge: bytes32(1),
      seenSlot: 1,
      verdict,
      reason,
      evidence,
    })
  const evidence = (slot: number, gateways = 9) =>
    encodeEvidence({ revealSlot: slot, gateways, committed: [0, 8] })

  it('says pass with a reveal, or inconclusive', () => {
    assert.ok(attestation(Verdict.pass, evidence(5)))
    assert.ok(attestation(Verdict.inconclusive, evidence(5)))
    assert.ok(attestation(Verdict.inconclusive, evidence(NO_REVEAL)))
  })

  it('never says fail, nor pass without a reveal', () => {
    assert.ok(!attestation(Verdict.fail, evidence(5)))
    assert.ok(!attestation(Verdict.pass, evidence(NO_REVEAL)))
    assert.ok(!attestation(4, evidence(5)))
  })

  it('names a reason that has a meaning', () => {
    assert.ok(!attestation(Verdict.inconclusive, evidence(5), 200))
  })

  it('has at most one bit per gateway of a place', () => {
    assert.ok(attestation(Verdict.pass, evidence(5, GATEWAYS_MAX)))
    assert.ok(!attestation(Verdict.pass, new Uint8Array(2 + 4 + 514).fill(255)))
    assert.ok(!attestation(Verdict.pass, new Uint8Array(0)))
  })
})

describe('coverage kind', () => {
  it('is number 2 and starts with nothing carried', () => {
    assert.equal(coverage.code, 2)
    assert.deepEqual(coverage.emptyState(), {
      gateways: [],
      window: [],
      bought: [],
      service: [],
      timings: [],
    })
    assert.equal(EVERY_EPOCH.roundEpochs, 1)
  })
})
