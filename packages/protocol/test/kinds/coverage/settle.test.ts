import { strict as assert } from 'node:assert'
import {
  ABSENT_LEVEL,
  Commit,
  CoverageState,
  commitLeaf,
  coverage,
  emptyCoverageState,
  encodeLevel,
  hex,
  isNonce,
  isStale,
  type Kind,
  MessageSet,
  MessageType,
  NEVER,
  Report,
  rulebook,
  SCALE_ONE,
  subjectOf,
  Verdict,
  witnessUnits,
} from '@cairn/protocol'
import fc from 'fast-check'
import { cellNorth, EVERY_EPOCH, Field } from './field.ts'
import { bytes32, entryOf } from './network.ts'

/** Metres north of the beaconer: 15 neighbours between 1 and 15 km. */
const RING = Array.from({ length: 15 }, (_, at) => 1_000 * (at + 1))

/** A window in which the nodes were heard alike, but for 3 dB each, by nodes 3 to 10. */
function alike(nodes: readonly number[]): CoverageState {
  const window = nodes.map((beaconer, order) => ({
    epoch: 7,
    beaconer,
    power: encodeLevel(160),
    hearings: Array.from({ length: 8 }, (_, at) => ({
      witness: 3 + at,
      loss: 1_000 + 13 * at + 30 * order,
      noise: ABSENT_LEVEL,
      spreading: 600,
    })),
  }))
  return { ...emptyCoverageState(), window }
}

function settled(field: Field) {
  const { verdicts, proven, state } = field.settle()
  return { verdict: verdicts[0], proven, state }
}

describe('settlement of a beacon', () => {
  it('passes with a reason for every report and units for those that count', () => {
    const places = [5_000, 7_000, 200, 9_000, 2_000, 12_000, 13_000, 110_000, 3_000, 4_000]
    const beaconer = entryOf(0).operator
    const field = new Field({ places, changes: { 2: { operator: beaconer } } })
    field.reveal()
    field.hear(1)
    field.hear(2)
    field.hear(3)
    field.hear(4, { held: 3 })
    field.hear(5, { reception: { rssi: encodeLevel(-100) } })
    field.hear(6, { reception: { snr: encodeLevel(-300), rssis: encodeLevel(-1_200) } })
    field.hear(7, { reception: { spreadingFactor: 12 } })
    field.hear(8)
    field.hear(9)
    field.attest()
    const { beacon, witnesses } = field.reasons()
    assert.equal(beacon, 'ok')
    assert.deepEqual(witnesses, {
      1: 'ok',
      2: 'sameOperator',
      3: 'tooClose',
      4: 'lateCommit',
      5: 'tooLoud',
      6: 'belowDemodulation',
      7: 'wrongFrame',
      8: 'tooFar',
      9: 'ok',
    })
    const { verdict, proven, state } = settled(field)
    assert.equal(verdict?.verdict, Verdict.pass)
    assert.equal(verdict?.facts.selected, 2)
    assert.deepEqual(
      [...proven],
      [
        [0, witnessUnits(2).beacon],
        [1, SCALE_ONE],
        [9, SCALE_ONE],
      ],
    )
    assert.deepEqual(
      state.gateways.map(({ node, nonceRound, validEpoch }) => [node, nonceRound, validEpoch]),
      [
        [0, 9, 8],
        [1, 0, 8],
        [9, 0, 8],
      ],
    )
  })

  it('keeps the numbers that each rule compared', () => {
    const field = new Field({ places: RING })
    field.reveal()
    field.hear(5, { reception: { rssi: encodeLevel(0), snr: encodeLevel(50) } })
    field.attest()
    const [part] = settled(field).verdict?.parts ?? []
    assert.equal(part?.reason, 'tooLoud')
    assert.equal(part?.facts.level, -12)
    assert.ok((part?.facts.loudLimit as number) < -500)
    assert.equal(part?.facts.closeLimit, 300)
    assert.ok(Math.abs((part?.facts.distance as number) - 5_000) < 50)
  })

  it('is a beacon that nobody heard without a report, without a reveal, or with a late one', () => {
    const unheard = new Field({ places: RING })
    unheard.reveal()
    unheard.attest()
    assert.equal(unheard.reasons().beacon, 'unheard')
    const withheld = new Field({ places: RING })
    withheld.attest({ late: 8 })
    assert.equal(withheld.reasons().beacon, 'noReveal')
    const late = new Field({ places: RING })
    late.reveal()
    late.hear(1)
    late.attest({ late: 4 })
    assert.equal(late.reasons().beacon, 'late')
    assert.equal(late.settle().proven.size, 0)
    assert.equal(late.settle().verdicts[0]?.verdict, Verdict.inconclusive)
  })

  it('takes the reveal as on time when more than half of the verifiers saw it so', () => {
    const field = new Field({ places: RING })
    assert.equal(field.base.duty(2, 0).verifiers.length, 8)
    field.reveal()
    field.hear(1)
    field.attest({ late: 3 })
    assert.equal(field.reasons().beacon, 'ok')
  })

  it('takes a commit as on time when more than half of the verifiers held it', () => {
    const field = new Field({ places: RING })
    field.reveal()
    field.hear(1, { held: 5 })
    field.hear(2, { held: 4 })
    field.attest()
    assert.deepEqual(field.reasons().witnesses, { 1: 'ok', 2: 'lateCommit' })
  })

  it('pays the verifiers whose view of the time is the settled one, heard or not', () => {
    const field = new Field({ places: RING })
    field.reveal()
    field.attest({ late: 2 })
    const { verifiers } = field.base.duty(2, 0)
    const agreeing = verifiers.slice(2).toSorted((a, b) => a - b)
    assert.deepEqual(field.settle().verdicts[0]?.agreeing, agreeing)
  })

  it('refuses a reveal whose nonce, slot, channel or data rate do not follow', () => {
    const wrong: [string, Parameters<Field['reveal']>[0]][] = [
      ['badReveal', { frequency: 868_000_000 }],
      ['badReveal', { spreadingFactor: 12 }],
      ['badReveal', { power: ABSENT_LEVEL }],
    ]
    for (const [reason, change] of wrong) {
      const field = new Field({ places: RING })
      assert.equal(field.reveal(change).duty, 'yes')
      field.attest()
      assert.equal(field.reasons().beacon, reason)
    }
  })

  it('judges a nonce too old to check before relaying at settlement', () => {
    const field = new Field({ places: RING, epoch: 100 })
    assert.equal(field.reveal({ nonce: bytes32(1) }).duty, 'yes')
    field.attest()
    assert.equal(field.reasons().beacon, 'badNonce')
    assert.equal(field.settle().state.gateways.length, 0)
  })

  it('carries the nonce so that the next is checked against it', () => {
    const seen = { node: 0, nonceRound: 0, nonce: new Uint8Array(32), validEpoch: 99 }
    const field = new Field({
      places: RING,
      epoch: 100,
      state: { ...emptyCoverageState(), gateways: [seen] },
    })
    field.reveal()
    field.attest()
    const { state } = field.settle()
    assert.equal(state.gateways[0]?.nonceRound, 101)
    const next = new Field({ places: RING, epoch: 101, state })
    next.reveal()
    next.hear(1)
    next.attest()
    assert.equal(next.reasons().beacon, 'ok')
    assert.equal(next.settle().verdicts[0]?.facts.nonceSince, 101)
    const { nonceRound: round, nonce } = next.settle().state.gateways[0] as never
    const { identity } = entryOf(0)
    assert.ok(isNonce(identity, { round: 0, nonce: next.chain.end }, { round, nonce }))
  })

  it('counts the challenge that the reveal names, and tells of the others', () => {
    const field = new Field({ places: RING })
    const second = field.ask(1)
    field.reveal()
    field.hear(1)
    field.attest()
    field.attest({ challenge: second, late: 8 })
    const verdicts = field
      .settle()
      .verdicts.map(({ reason, agreeing }) => [reason, agreeing.length])
    assert.deepEqual(verdicts, [
      ['ok', 8],
      ['otherChallenge', 8],
    ])
  })

  it('counts a withheld reveal once although several asked', () => {
    const field = new Field({ places: RING })
    const second = field.ask(1)
    field.attest({ late: 8 })
    field.attest({ challenge: second, late: 8 })
    assert.deepEqual(
      field.settle().verdicts.map(({ reason }) => reason),
      ['noReveal', 'otherChallenge'],
    )
  })

  it('asks nothing of a target whose challenge came late', () => {
    const field = new Field({ places: RING })
    field.reveal()
    field.hear(1)
    field.attest({ seenSlot: 9 })
    assert.equal(field.reasons().beacon, 'challengeLate')
    assert.equal(field.settle().proven.size, 0)
  })

  it('lets neither of two different reveals count', () => {
    const field = new Field({ places: RING })
    field.reveal()
    field.hear(1)
    field.reveal({ spreadingFactor: 12 })
    field.attest()
    const { verdict, proven, state } = settled(field)
    assert.equal(verdict?.reason, 'badReveal')
    assert.equal(verdict?.facts.reveals, 2)
    assert.deepEqual([proven.size, state.gateways.length], [0, 0])
  })

  it('pays verifiers that saw one of two different reveals in time', () => {
    const field = new Field({ places: RING })
    field.reveal()
    assert.equal(field.revealFor(field.ask(1)).duty, 'yes')
    field.attest()
    assert.equal(settled(field).verdict?.agreeing.length, 8)
  })

  it('counts no report of leaves not committed to, of a second commit, or of another frame', () => {
    const field = new Field({ places: RING })
    field.reveal()
    field.hear(1)
    const { transmission: slot } = field.slots
    field.say<Commit>(MessageType.commit, Commit, 1, { slot, root: bytes32(3) })
    field.say<Commit>(MessageType.commit, Commit, 2, { slot, root: bytes32(4) })
    field.hear(3, { reception: { payload: field.plan.payload.map(byte => byte ^ 1) } })
    field.hear(4)
    field.open(2)
    field.attest()
    const { parts } = settled(field).verdict ?? {}
    assert.deepEqual(
      parts?.map(({ node, reason }) => [node, reason]),
      [
        [1, 'lateCommit'],
        [2, 'lateCommit'],
        [3, 'wrongFrame'],
        [4, 'ok'],
      ],
    )
    assert.deepEqual(
      parts?.slice(0, 3).map(({ facts }) => [facts.commits, facts.leavesCommitted]),
      [
        [2, 1],
        [1, 0],
        [1, 1],
      ],
    )
    assert.equal(parts?.[2]?.facts.payloadFits, 0)
  })

  it('counts one of two receptions of a frame', () => {
    const field = new Field({ places: RING })
    field.reveal()
    const reception = field.reception(1)
    const salt = bytes32(3)
    const first = commitLeaf({ witness: 1, reception, salt })
    const report = field.hear(1, { others: [first] })
    field.say<typeof report.value>(MessageType.report, Report, 1, {
      ...report.value,
      place: 0,
      reception,
      salt,
    })
    field.attest()
    const reasons = field.settle().verdicts[0]?.parts?.map(part => part.reason)
    assert.deepEqual(reasons, ['ok', 'duplicate'])
  })

  it('counts at most 14 witnesses and says so to those not drawn', () => {
    const field = new Field({ places: [...RING, 16_000, 17_000] })
    field.reveal()
    for (let node = 1; node <= 17; node++) field.hear(node)
    field.attest()
    const { witnesses } = field.reasons()
    const tally = Object.values(witnesses)
    assert.equal(tally.filter(reason => reason === 'ok').length, 14)
    assert.equal(tally.filter(reason => reason === 'notSelected').length, 3)
    const { state, proven } = field.settle()
    assert.equal(state.gateways.filter(({ validEpoch }) => validEpoch === 8).length, 18)
    assert.equal(proven.size, 15)
    assert.equal(proven.get(0), witnessUnits(14).beacon)
  })

  it('scores by the epochs before this one', () => {
    // Node 0 is heard by five and never hears: with three beacons behind it that costs it its own.
    const heard = (epoch: number) => ({
      epoch,
      beaconer: 0,
      power: encodeLevel(160),
      hearings: [1, 2, 3, 4, 5].map(witness => ({
        witness,
        loss: 1_000,
        noise: ABSENT_LEVEL,
        spreading: 600,
      })),
    })
    const earned = (before: readonly number[]) => {
      const state = { ...emptyCoverageState(), window: before.map(heard) }
      const field = new Field({ places: RING, epoch: 8, state })
      field.reveal()
      field.hear(1)
      field.attest()
      const settled = field.settle()
      assert.deepEqual(
        settled.state.window.map(({ epoch }) => epoch),
        [...before, 8],
      )
      return settled.proven.get(0) ?? 0n
    }
    assert.equal(earned([6, 7]), witnessUnits(1).beacon)
    assert.equal(earned([5, 6, 7]), 0n)
  })

  it('counts identities on one antenna once, and says which they are alike to', () => {
    // In one cell of resolution 8: as two antennas each would have half a place.
    const places = [2_000, 2_010, ...RING.slice(4)]
    const field = new Field({ places, state: alike([1, 2]) })
    field.reveal()
    for (const node of [1, 2, 3]) field.hear(node)
    field.attest()
    const { proven, verdicts } = field.settle()
    const parts = verdicts[0]?.parts ?? []
    const shared = parts.filter(({ reason }) => reason === 'sharedAntenna')
    assert.equal(shared.length, 1)
    assert.equal(parts.filter(({ reason }) => reason === 'ok').length, 2)
    const [first, second] = parts
    assert.deepEqual([first?.facts.antenna, first?.facts.antennaShared], [1, 2])
    assert.deepEqual(
      ['antenna', 'antennaShared', 'antennaMedian', 'antennaSpread', 'antennaReceivers'].map(
        name => second?.facts[name],
      ),
      [1, 2, 30, 0, 8],
    )
    const paid = [1, 2].filter(node => proven.has(node))
    assert.equal(paid.length, 1)
    assert.equal(proven.get(paid[0] as number), SCALE_ONE)
    assert.equal(proven.get(0), witnessUnits(2).beacon)
  })

  it('parts the units of beacons among those on one antenna, and counts none as its witness', () => {
    const field = new Field({ places: RING, state: alike([0, 1]) })
    field.reveal()
    field.hear(1)
    field.hear(2)
    field.attest()
    assert.deepEqual(field.reasons().witnesses, { 1: 'sharedAntenna', 2: 'ok' })
    assert.equal(field.settle().proven.get(0), witnessUnits(1).beacon / 2n)
  })

  it('shares the units of one place by density', () => {
    // Two gateways 300 m and more apart from the beaconer but in one cell of resolution 8.
    const field = new Field({ places: [2_000, 2_010, ...RING.slice(4)] })
    field.reveal()
    field.hear(1)
    field.hear(2)
    field.attest()
    const { proven } = field.settle()
    assert.equal(proven.get(1), SCALE_ONE / 2n)
    assert.equal(proven.get(2), SCALE_ONE / 2n)
    assert.equal(proven.get(0), witnessUnits(2).beacon)
  })

  it('gives a stale gateway its verdict without units, and ends the staleness', () => {
    const { staleEpochs } = EVERY_EPOCH
    const epoch = staleEpochs + 1
    const stale = new Field({ places: RING, epoch })
    stale.reveal()
    stale.hear(1)
    stale.attest()
    assert.equal(stale.reasons().beacon, 'stale')
    assert.equal(stale.settle().verdicts[0]?.verdict, Verdict.pass)
    assert.equal(stale.settle().proven.size, 0)
    const fresh = new Field({ places: RING, epoch: epoch + 1, state: stale.settle().state })
    fresh.reveal()
    fresh.hear(1)
    fresh.attest()
    assert.equal(fresh.reasons().beacon, 'ok')
    assert.equal(fresh.settle().proven.size, 2)
  })

  it('is stale only after so many epochs without anything valid', () => {
    const { staleEpochs } = EVERY_EPOCH
    const valid = { node: 0, nonceRound: 0, nonce: bytes32(0), validEpoch: 30 }
    const state = { gateways: [valid] }
    const at = (epoch: number) => new Field({ places: RING, epoch }).base
    assert.ok(!isStale(entryOf(0), state, at(30 + staleEpochs)))
    assert.ok(isStale(entryOf(0), state, at(31 + staleEpochs)))
    const never = { gateways: [{ ...valid, validEpoch: NEVER }] }
    assert.ok(!isStale(entryOf(0), never, at(staleEpochs)))
    assert.ok(isStale(entryOf(0), never, at(staleEpochs + 1)))
  })

  it('takes wide cells at the bound that favours the gateway', () => {
    const wide = (metres: number) => {
      const cell = cellNorth(metres, 10)
      return new Field({ places: [metres, ...RING], changes: { 1: { cell }, 0: { cell: near } } })
    }
    const near = cellNorth(0, 10)
    const field = wide(250)
    field.reveal()
    field.hear(1)
    field.attest()
    assert.equal(field.reasons().witnesses[1], 'ok')
  })

  it('does not depend on the order in which messages arrived', () => {
    const field = new Field({ places: RING })
    field.reveal()
    for (let node = 1; node <= 6; node++) field.hear(node, node === 3 ? { held: 2 } : {})
    field.attest({ late: 1 })
    const text = (set: MessageSet) =>
      JSON.stringify(field.settle(set), (_, value) => {
        if (value instanceof Map) return [...value].sort(([a], [b]) => a - b)
        if (value instanceof Uint8Array) return hex(value)
        return typeof value === 'bigint' ? String(value) : value
      })
    const expected = text(field.set)
    const book = rulebook([coverage as unknown as Kind<unknown>])
    const all = [...field.set.messages()]
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: all.length }), shuffled => {
        const set = new MessageSet()
        for (const message of shuffled) {
          const value = message.value as never
          const rule = book.rule(message.envelope.type, 2)
          assert.ok(rule)
          set.add(message, subjectOf(message.envelope.type, value, rule), 2)
        }
        assert.equal(text(set), expected)
      }),
      { numRuns: 20 },
    )
  })

  it('leaves the state as it was when nothing was asked', () => {
    const state = {
      ...emptyCoverageState(),
      gateways: [{ node: 3, nonceRound: 2, nonce: bytes32(1), validEpoch: 7 }],
    }
    const field = new Field({ places: RING, state })
    const next = field.settle(new MessageSet())
    assert.deepEqual(CoverageState.hashTreeRoot(next.state), CoverageState.hashTreeRoot(state))
    assert.equal(next.verdicts.length, 0)
  })

  it('forgets a gateway that left once its last valid epoch is out of every window', () => {
    const gone = { node: 99, nonceRound: 2, nonce: bytes32(1), validEpoch: 5 }
    const at = (epoch: number) =>
      new Field({
        places: RING,
        epoch,
        state: { ...emptyCoverageState(), gateways: [gone] },
      }).settle(new MessageSet()).state
    assert.equal(at(5 + EVERY_EPOCH.staleEpochs).gateways.length, 1)
    assert.equal(at(6 + EVERY_EPOCH.staleEpochs).gateways.length, 0)
  })
})
