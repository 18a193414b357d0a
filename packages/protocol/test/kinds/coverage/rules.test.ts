/**
 * Every reason that a verdict can have, on both sides of its bound. The table is exhaustive by its
 * type, and by the first test: a new code without a pair does not pass.
 */
import { strict as assert } from 'node:assert'
import {
  ABSENT_FTIME,
  ABSENT_LEVEL,
  ABSENT_TMMS,
  CoverageReason,
  type CoverageReasonName,
  type CoverageState,
  challengeRecords,
  commitLeaf,
  coverage,
  emptyCoverageState,
  encodeLevel,
  type Finding,
  type HeardFrame,
  hex,
  judgeClose,
  judgeFar,
  judgeLoud,
  judgeNoise,
  judgeRelay,
  judgeSnr,
  type Kind,
  type Link,
  MessageType,
  NONCE_ROUNDS,
  Report,
  reportRule,
  subjectOf,
  type VerdictFacts,
} from '@cairn/protocol'
import { cellNorth, EVERY_EPOCH, Field, type FieldInit, type Hearing } from './field.ts'
import { baseOf, bytes32, entryOf, GENESIS } from './network.ts'

interface Found {
  readonly reason: string
  readonly facts: VerdictFacts
}

interface Pair {
  /** Just within: whatever else it is, it is not this. */
  readonly within: () => Found
  readonly beyond: () => Found
  /** Numbers that must stand in the verdict beyond. */
  readonly numbers: readonly string[]
}

const RING = Array.from({ length: 17 }, (_, at) => 1_000 * (at + 1))
const WINDOW_EPOCH = 7

const pairs: Record<CoverageReasonName, Pair> = {
  ok: {
    within: () => beaconOf(heardField({ heard: [] })),
    beyond: () => beaconOf(heardField()),
    numbers: ['reports', 'selected', 'units', 'fullUnits', 'densityScale'],
  },
  challengeLate: {
    within: () => seenLate(1),
    beyond: () => seenLate(2),
    numbers: ['challengeSlot', 'challengeSeenBy', 'assigned'],
  },
  otherChallenge: {
    within: () => beaconOf(heardField()),
    beyond: () => secondOf(twice()),
    numbers: ['challengeSlot', 'countedSlot'],
  },
  noReveal: {
    within: () => beaconOf(heardField()),
    beyond: () => {
      const field = new Field({ places: RING })
      field.attest({ late: 8 })
      return beaconOf(field)
    },
    numbers: ['reveals'],
  },
  late: {
    within: () => revealedLate(3),
    beyond: () => revealedLate(4),
    numbers: ['revealDue', 'revealSeenBy', 'assigned'],
  },
  noDuty: {
    within: () => inRound(NONCE_ROUNDS),
    beyond: () => inRound(NONCE_ROUNDS + 1),
    numbers: ['drawn', 'round', 'lastRound'],
  },
  badNonce: {
    within: () => revealing({}, 100),
    beyond: () => revealing({ nonce: bytes32(1) }, 100),
    numbers: ['round', 'nonceSince'],
  },
  badReveal: {
    within: () => revealing({}),
    beyond: () => revealing({ frequency: 868_100_001 }),
    numbers: ['frequency', 'derivedFrequency', 'spreadingFactor', 'derivedSpreadingFactor'],
  },
  unheard: {
    within: () => beaconOf(heardField()),
    beyond: () => beaconOf(heardField({ heard: [] })),
    numbers: ['reports', 'selected'],
  },
  unregistered: {
    within: () => witnessOf(heardField(), 1),
    beyond: () => ofNoGateway(),
    numbers: ['gateways'],
  },
  noCell: {
    within: () => changed({ cell: cellNorth(1_000, 10) }),
    beyond: () => changed({ cell: cellNorth(1_000, 9) }),
    numbers: ['cellResolution', 'coarsestResolution'],
  },
  wrongRegion: {
    within: () => changed({ region: 1 }),
    beyond: () => changed({ region: 2 }),
    numbers: ['region'],
  },
  self: {
    within: () => witnessOf(heardField(), 1),
    beyond: () => witnessOf(heardField({ heard: [0] }), 0),
    numbers: ['beaconer'],
  },
  sameOperator: {
    within: () => changed({}),
    beyond: () => changed({ operator: entryOf(0).operator }),
    numbers: ['operator', 'beaconOperator'],
  },
  lateCommit: {
    within: () => heardAs({ held: 5 }),
    beyond: () => heardAs({ held: 4 }),
    numbers: ['commitHeldBy', 'assigned'],
  },
  wrongFrame: {
    within: () => offBy(31_250),
    beyond: () => offBy(31_251),
    numbers: ['frequency', 'sentFrequency', 'frequencyTolerance', 'payloadFits'],
  },
  duplicate: {
    within: () => copies()[0] as Found,
    beyond: () => copies()[1] as Found,
    numbers: ['place', 'firstPlace'],
  },
  tooClose: {
    within: () => ruled(judgeClose({ ...link(), distance: 299, slack: 1 })),
    beyond: () => ruled(judgeClose({ ...link(), distance: 299 })),
    numbers: ['distance', 'slack', 'closeLimit'],
  },
  tooFar: {
    within: () => ruled(judgeFar({ ...link(), distance: 100_000 })),
    beyond: () => ruled(judgeFar({ ...link(), distance: 100_001 })),
    numbers: ['distance', 'slack', 'farLimit', 'expectedLevel', 'sensitivity'],
  },
  tooLoud: {
    within: () => ruled(judgeLoud(frame({ rssis: encodeLevel(-770) }), link())),
    beyond: () => ruled(judgeLoud(frame({ rssis: encodeLevel(-769) }), link())),
    numbers: ['level', 'loudLimit'],
  },
  belowDemodulation: {
    within: () => ruled(judgeSnr(frame({ snr: encodeLevel(-165) }), link())),
    beyond: () => ruled(judgeSnr(frame({ snr: encodeLevel(-166) }), link())),
    numbers: ['snr', 'leastSnr'],
  },
  notSelected: {
    within: () => lastOf(14),
    beyond: () => lastOf(15),
    numbers: ['rank', 'most'],
  },
  stale: {
    within: () => aged(EVERY_EPOCH.staleEpochs),
    beyond: () => aged(EVERY_EPOCH.staleEpochs + 1),
    numbers: ['validSince', 'staleEpochs', 'units'],
  },
  noiseMismatch: {
    within: () => ruled(judgeNoise(frame({ rssis: encodeLevel(-1_080), snr }), -1_200)),
    beyond: () => ruled(judgeNoise(frame({ rssis: encodeLevel(-1_079), snr }), -1_200)),
    numbers: ['noise', 'leastNoise', 'mostNoise'],
  },
  elsewhere: {
    within: () => measuredAt(150_000),
    beyond: () => measuredAt(150_001),
    numbers: ['measurements', 'measuredTooFast', 'roundTripMicros', 'roundTripMetres'],
  },
  relay: {
    within: () => arrived(10_000),
    beyond: () => arrived(10_001),
    numbers: ['frameTook', 'airtime', 'flight', 'relayLimit'],
  },
  sharedAntenna: {
    within: () => scattered(16),
    beyond: () => scattered(15),
    numbers: ['antenna', 'antennaShared', 'antennaMedian', 'antennaSpread', 'antennaReceivers'],
  },
}

describe('reasons of coverage', () => {
  it('have a pair each, and no code twice', () => {
    const codes = Object.values(CoverageReason)
    assert.deepEqual(Object.keys(pairs).sort(), Object.keys(CoverageReason).sort())
    assert.equal(new Set(codes).size, codes.length)
  })

  for (const [name, { within, beyond, numbers }] of Object.entries(pairs)) {
    it(`${CoverageReason[name as CoverageReasonName]} ${name}: on both sides of its bound`, () => {
      assert.notEqual(within().reason, name)
      const { reason, facts } = beyond()
      assert.equal(reason, name)
      for (const number of numbers) assert.ok(number in facts, `${number} in ${keys(facts)}`)
    })
  }
})

describe('rule of the way', () => {
  it('takes 10 ms of GPS time either way, and 1 ms of fine time', () => {
    for (const off of [10_000, -10_000]) assert.equal(arrived(off).reason, 'ok')
    for (const off of [10_001, -10_001]) assert.equal(arrived(off).reason, 'relay')
    for (const off of [1_000, -1_000]) assert.equal(arrived(off, true).reason, 'ok')
    for (const off of [1_001, -1_001]) assert.equal(arrived(off, true).reason, 'relay')
  })

  it('reads fine time within the second that is nearest', () => {
    const took = (tmms: bigint, ftime: number) =>
      judgeRelay(frame({ tmms, ftime }), { began: 1_000n, distance: 0 }).facts.frameTook
    assert.equal(took(2_000n, 999_999_000), 999_999)
    assert.equal(took(1_999n, 1_000), 1_000_001)
    assert.equal(took(2_000n, 500_000_000), 1_500_000)
    assert.equal(took(2_000n, 500_001_000), 500_001)
  })

  it('is not judged unless both ends tell GPS time', () => {
    const at = { began: 1_000n, distance: 5_000 }
    assert.equal(judgeRelay(frame({}), at).outcome, 'notJudged')
    const timed = frame({ tmms: 9_000n })
    assert.equal(judgeRelay(timed, { ...at, began: ABSENT_TMMS }).outcome, 'notJudged')
    assert.equal(judgeRelay(timed, at).outcome, 'failed')
  })

  it('holds from the reveal to the report', () => {
    const told = (tmms: bigint) => {
      const field = new Field({ places: RING })
      field.reveal({ tmms: 5_000_000n })
      field.hear(5, { reception: { tmms } })
      field.attest()
      return witnessOf(field, 5)
    }
    const air = told(5_000_000n).facts.airtime as number
    assert.equal(told(5_000_000n + BigInt(Math.round(air / 1_000))).reason, 'ok')
    assert.equal(told(5_000_000n + BigInt(Math.round(air / 1_000) + 12)).reason, 'relay')
  })
})

const snr = encodeLevel(0)

function keys(facts: VerdictFacts): string {
  return Object.keys(facts).join(' ')
}

function beaconOf(field: Field): Found {
  const id = hex(field.challenge.id)
  const verdict = field.settle().verdicts.find(({ challenge }) => hex(challenge) === id)
  assert.ok(verdict)
  return verdict
}

function witnessOf(field: Field, node: number): Found {
  const parts = field.settle().verdicts[0]?.parts ?? []
  const part = parts.find(found => found.node === node)
  assert.ok(part)
  return part
}

function ruled({ outcome, reason, facts }: Finding): Found {
  return { reason: outcome === 'failed' ? reason : 'ok', facts }
}

/** A beacon that these nodes, or all of them, heard. */
function heardField(init: Partial<FieldInit> & { heard?: readonly number[] } = {}): Field {
  const { places = RING.slice(0, 3), heard = places.map((_, at) => at + 1) } = init
  const field = new Field({ ...init, places })
  field.reveal()
  for (const node of heard) field.hear(node)
  field.attest()
  return field
}

function changed(change: Parameters<typeof entryOf>[1]): Found {
  return witnessOf(heardField({ changes: { 1: change ?? {} } }), 1)
}

function heardAs(hearing: Hearing): Found {
  const field = new Field({ places: RING })
  field.reveal()
  field.hear(5, hearing)
  field.attest()
  return witnessOf(field, 5)
}

function offBy(hertz: number): Found {
  const { plan } = new Field({ places: RING })
  return heardAs({ reception: { frequency: plan.frequency + hertz } })
}

/** Verifiers saw the challenge so many slots after its own. */
function seenLate(slots: number): Found {
  const field = new Field({ places: RING })
  field.reveal()
  field.hear(1)
  field.attest({ seenSlot: field.slots.challenge + slots })
  return beaconOf(field)
}

function revealedLate(late: number): Found {
  const field = new Field({ places: RING })
  field.reveal()
  field.hear(1)
  field.attest({ late })
  return beaconOf(field)
}

function revealing(change: Parameters<Field['reveal']>[0], epoch = 8): Found {
  const field = new Field({ places: RING, epoch })
  const wrong = change?.frequency === field.plan.frequency ? { frequency: 868_100_002 } : {}
  field.reveal({ ...change, ...wrong })
  field.hear(1)
  field.attest()
  return beaconOf(field)
}

/** Two challenges, of which the reveal names the first. */
function twice(): Field {
  const field = new Field({ places: RING })
  const second = field.ask(1)
  field.reveal()
  field.hear(1)
  field.attest()
  field.attest({ challenge: second, late: 8 })
  return field
}

function secondOf(field: Field): Found {
  const found = field.settle().verdicts[1]
  assert.ok(found)
  return found
}

/** The same messages, judged in the epoch that is so many rounds after the registration. */
function inRound(round: number): Found {
  const field = heardField()
  const { base, set, state } = field
  const kind = coverage as unknown as Kind<unknown>
  const epoch = round - 1
  const registry = base.nodes.map(entry => ({ ...entry, registeredAt: GENESIS - 1 }))
  const later = baseOf({ epoch, profile: EVERY_EPOCH, registry })
  const verdict = coverage.settle({
    base: later,
    state,
    challenges: challengeRecords(base, kind, set),
    messages: set,
    available: () => 0n,
  }).verdicts[0]
  assert.ok(verdict)
  return verdict
}

/** A report of a node that has no radio: the kernel keeps such out, the rule asks all the same. */
function ofNoGateway(): Found {
  const field = new Field({ places: RING, changes: { 1: { kinds: 1 << 1 } } })
  field.reveal()
  field.open(1)
  const message = field.said.at(-1)
  assert.ok(message)
  const subject = subjectOf(MessageType.report, message.value as Report, reportRule)
  field.set.add(message, subject, 2)
  field.attest()
  return witnessOf(field, 1)
}

function copies(): readonly Found[] {
  const field = new Field({ places: RING })
  field.reveal()
  const reception = field.reception(1)
  const salt = bytes32(3)
  const report = field.hear(1, { others: [commitLeaf({ witness: 1, reception, salt })] })
  const copy = { ...report.value, place: 0, reception, salt }
  field.say<Report>(MessageType.report, Report, 1, copy)
  field.attest()
  return field.settle().verdicts[0]?.parts ?? []
}

/** Of so many witnesses the one that comes last. */
function lastOf(count: number): Found {
  const heard = Array.from({ length: count }, (_, at) => at + 1)
  const parts = heardField({ places: RING, heard }).settle().verdicts[0]?.parts ?? []
  return parts.find(({ reason }) => reason === 'notSelected') ?? (parts[0] as Found)
}

/** Of a gateway that registered so many epochs ago. */
function aged(epochs: number): Found {
  return beaconOf(heardField({ places: RING, epoch: epochs }))
}

/** Measured by five operators with round trips of 1 ms, so many metres away. */
function measuredAt(metres: number): Found {
  const timings = [1, 2, 3, 4, 5].map(measurer => {
    return { epoch: WINDOW_EPOCH, measurer, micros: 1_000, metres }
  })
  return beaconOf(
    heardField({ places: RING, state: stateWith({ timings: [{ target: 0, timings }] }) }),
  )
}

/** A frame that came so many microseconds off its time, over a way that makes that whole ms. */
function arrived(off: number, fine = false): Found {
  const air = 205_824
  const flight = (((-air - off) % 1_000) + 1_000) % 1_000
  const distance = Math.ceil((flight * 299_792_458) / 1_000_000)
  const end = 7_000_000 + air + flight + off
  const tmms = BigInt(end / 1_000)
  const heard = fine ? frame({ tmms, ftime: (end % 1_000_000) * 1_000 }) : frame({ tmms })
  return ruled(judgeRelay(heard, { began: 7_000n, distance }))
}

/** Nodes 1 and 2, the second heard so many 0.1 dB off the first, up at one receiver, down at the next. */
function scattered(tenths: number): Found {
  const hearings = (node: number) =>
    Array.from({ length: 9 }, (_, at) => ({
      witness: 3 + at,
      loss: 1_000 + 13 * at + (node === 1 || at === 0 ? 0 : at % 2 === 0 ? tenths : -tenths),
      noise: ABSENT_LEVEL,
      spreading: 600,
    }))
  const window = [1, 2].map(beaconer => {
    return { epoch: WINDOW_EPOCH, beaconer, power: encodeLevel(160), hearings: hearings(beaconer) }
  })
  const field = heardField({ places: RING, state: stateWith({ window }), heard: [1, 2] })
  const parts = field.settle().verdicts[0]?.parts ?? []
  const left = parts.find(({ reason }) => reason === 'sharedAntenna')
  const second = parts.find(({ node }) => node === 2) as Found
  return left === undefined ? second : { ...left, facts: { ...second.facts, ...left.facts } }
}

function stateWith(fields: Partial<CoverageState>): CoverageState {
  return { ...emptyCoverageState(), ...fields }
}

function link(): Link {
  return {
    distance: 5_000,
    slack: 0,
    loss: 1_050,
    sent: 180,
    sensitivity: -1_300,
    snrLimit: -125,
  }
}

function frame(change: Partial<HeardFrame>): HeardFrame {
  return {
    payload: new Uint8Array(25).fill(0xe0),
    frequency: 868_100_000,
    spreadingFactor: 9,
    bandwidth: 125,
    rssi: encodeLevel(-1_000),
    rssis: ABSENT_LEVEL,
    snr: encodeLevel(50),
    tmst: 0,
    ftime: ABSENT_FTIME,
    tmms: ABSENT_TMMS,
    ...change,
  }
}
