import { strict as assert } from 'node:assert'
import {
  ABSENT_LEVEL,
  ABSENT_LOSS,
  cellDistance,
  type GraphScore,
  type HeardBeacon,
  judgeGraph,
  spreadingOf,
  UNREVEALED,
  Window,
} from '@cairn/protocol'
import { latLngToCell } from 'h3-js'
import { FULL } from '../../../src/kinds/coverage/graph/ramp.ts'

const METRES_PER_DEGREE = 111_195
const ROUNDS = 6
/** Gateways in a row, a kilometre apart; who is at most so many places away is heard. */
const REACH = 16
const POWER = 32_768 + 160

interface Row {
  /** Where each is, places along the row; what it registered, where that differs. */
  readonly at: readonly number[]
  readonly claims?: Readonly<Record<number, number>>
  /** Who hears whom, beside distance. */
  readonly hears?: (witness: number, beaconer: number) => boolean
  /** Added to the loss of a beacon of one at another, 0.1 dB. */
  readonly extra?: (beaconer: number, witness: number) => number
  readonly revealed?: (node: number) => boolean
  readonly anchors?: readonly number[]
  /** Packets sold. */
  readonly service?: readonly (readonly [number, bigint])[]
}

const cellAt = (place: number): bigint =>
  BigInt(`0x${latLngToCell(49.2 + (place * 1_000) / METRES_PER_DEGREE, 16.6, 12)}`)

/** 12 dB of shadowing at most, the same both ways, by a hash of the pair. */
const shadow = (a: number, b: number): number =>
  ((Math.imul(Math.min(a, b) * 7_919 + Math.max(a, b), 2_654_435_761) >>> 16) % 240) - 120

function judge(row: Row): Map<number, GraphScore> {
  const { at, claims = {}, hears = () => true, extra = () => 0, revealed = () => true } = row
  const cells = at.map((place, node) => cellAt(claims[node] ?? place))
  const window = Array.from({ length: ROUNDS }, (_, epoch) =>
    at.map((place, beaconer) => ({
      epoch,
      beaconer,
      power: revealed(beaconer) ? POWER : UNREVEALED,
      hearings: at.flatMap((other, witness) => {
        if (witness === beaconer || !revealed(beaconer) || !hears(witness, beaconer)) return []
        const metres = Math.abs(other - place) * 1_000
        if (metres > REACH * 1_000) return []
        const way = spreadingOf(Math.max(metres, 10)) * 1.2 + 700 + shadow(beaconer, witness)
        const distance = cellDistance(cells[beaconer] as bigint, cells[witness] as bigint)
        const loss = Math.round(way + extra(beaconer, witness))
        return [{ witness, loss, noise: ABSENT_LEVEL, spreading: spreadingOf(distance) }]
      }),
    })),
  ).flat()
  return judgeGraph({
    window,
    gateways: cells.map((cell, index) => ({ index, cell })),
    anchors: { named: row.anchors ?? [], service: new Map(row.service) },
  })
}

const row = (count: number): number[] => Array.from({ length: count }, (_, place) => place)
const score = (scores: Map<number, GraphScore>, node: number): GraphScore => {
  const found = scores.get(node)
  assert.ok(found)
  return found
}

describe('graph of witnesses', () => {
  it('leaves honest gateways alone, and says what was compared', () => {
    const scores = judge({ at: row(60) })
    for (const [node, { beaconing, witnessing }] of scores) {
      assert.deepEqual([beaconing, witnessing], [FULL, FULL], `node ${node}`)
    }
    const { facts } = score(scores, 30)
    assert.equal(facts.links, 2 * REACH)
    assert.ok((facts.fit as number) > 270)
    assert.equal(facts.asymmetry, 0)
    assert.equal(facts.oneSided, 0)
    assert.equal(facts.trust, undefined, 'nothing walks without anchors')
  })

  it('says nothing of who has shown nothing', () => {
    assert.equal(judge({ at: [0, 100] }).size, 0)
  })

  it('finds a cell that is not where the antenna is', () => {
    const scores = judge({ at: row(60), claims: { 20: 50 } })
    assert.equal(score(scores, 20).beaconing, 0)
    assert.equal(score(scores, 20).witnessing, 0)
    for (const node of [0, 19, 21, 50, 59]) assert.equal(score(scores, node).beaconing, FULL)
  })

  it('finds a transmitter that is louder than it says, and forgives a gain that is 3 dB wrong', () => {
    const louder = (tenths: number) =>
      judge({ at: row(60), extra: beaconer => (beaconer === 8 ? -tenths : 0) })
    assert.equal(score(louder(120), 8).beaconing, 0)
    assert.equal(score(louder(120), 8).facts.asymmetry, -120)
    assert.equal(score(louder(30), 8).beaconing, FULL)
  })

  it('finds a witness that reports what it was told', () => {
    const told = judge({
      at: row(60),
      // 8 reports every beacon there is; the others hear it as far as it reaches.
      hears: (witness, beaconer) => witness === 8 || beaconer !== 8 || Math.abs(witness - 8) < 3,
    })
    assert.ok(score(told, 8).witnessing < FULL / 2)
    assert.ok((score(told, 8).facts.oneSided as number) > 250)
  })

  it('holds nobody liable for peers that hear hardly anything', () => {
    const deaf = judge({ at: row(60), hears: witness => witness % 3 !== 0 })
    for (const node of [10, 11, 13]) {
      assert.equal(score(deaf, node).facts.oneSided, 0)
      assert.equal(score(deaf, node).witnessing, FULL)
    }
  })

  it('pays who only listens, or only speaks, for neither', () => {
    const mute = judge({ at: row(60), hears: (_, beaconer) => beaconer !== 8 })
    assert.equal(score(mute, 8).witnessing, 0)
    const withheld = judge({ at: row(60), revealed: node => node !== 8 })
    assert.equal(score(withheld, 8).witnessing, 0)
    const deaf = judge({ at: row(60), hears: witness => witness !== 8 })
    assert.equal(score(deaf, 8).beaconing, 0)
    for (const scores of [mute, withheld, deaf]) assert.equal(score(scores, 20).beaconing, FULL)
  })

  it('gives a quarter to a group that no anchor reaches: a ring and a village look alike', () => {
    const scores = judge({
      at: [...row(20), ...row(14).map(place => 100 + place)],
      anchors: [0, 5],
    })
    assert.equal(score(scores, 10).facts.independence, FULL)
    assert.equal(score(scores, 25).facts.independence, FULL / 4)
    assert.equal(score(scores, 25).facts.trust, undefined)
  })

  it('lets trust begin where packets were sold, in proportion', () => {
    const towns = [...row(20), ...row(20).map(place => 100 + place)]
    const mean = (scores: Map<number, GraphScore>, first: number) => {
      const trusts = row(20).map(at => score(scores, first + at).facts.trust as number)
      return trusts.reduce((sum, trust) => sum + trust, 0) / 20
    }
    const both = judge({
      at: towns,
      service: [
        [10, 3_000n],
        [30, 1_000n],
      ],
    })
    assert.ok(Math.abs(mean(both, 0) / mean(both, 20) - 3) < 0.1)
    const one = judge({ at: towns, service: [[10, 3_000n]] })
    assert.equal(score(one, 15).facts.independence, FULL)
    assert.equal(score(one, 35).facts.independence, FULL / 4)
  })

  it('keeps half of the trust for those that the profile names, however much a ring buys', () => {
    const town = row(20)
    const ring = row(10).map(place => 100 + place)
    const bought = [22, 25].map(node => [node, 10n ** 12n] as const)
    const at = [...town, ...ring]
    const named = judge({ at, anchors: [0, 5, 10, 15], service: bought })
    for (const node of town) assert.equal(score(named, node).facts.independence, FULL)
    // This is what its packets buy: it is no longer cut to the quarter.
    assert.equal(score(named, 27).facts.independence, FULL)
    const unnamed = judge({ at, service: bought })
    for (const node of town) assert.equal(score(unnamed, node).facts.independence, FULL / 4)
    const honest = judge({ at, service: [...bought, [3, 10n ** 12n], [9, 10n ** 12n]] })
    for (const node of town) assert.equal(score(honest, node).facts.independence, FULL)
  })

  it('counts only anchors that were heard and hear', () => {
    const at = [...row(20), 500, 501_000]
    const named = judge({ at, anchors: [0], service: [[21, 5n]] })
    assert.deepEqual(named, judge({ at, anchors: [0] }))
  })

  it('does not judge levels that no radio gave', () => {
    const window = [
      {
        epoch: 0,
        beaconer: 0,
        power: POWER,
        hearings: [{ witness: 1, loss: ABSENT_LOSS, noise: ABSENT_LEVEL, spreading: 600 }],
      },
    ]
    const gateways = [0, 1].map(index => ({ index, cell: cellAt(index) }))
    const { facts } = score(
      judgeGraph({ window, gateways, anchors: { named: [], service: new Map() } }),
      1,
    )
    assert.equal(facts.links, 0)
    assert.equal(facts.hears, 1_000)
  })

  it('comes to the same whatever order the gateways are given in', () => {
    const window: HeardBeacon[] = [0, 1, 2].map(beaconer => ({
      epoch: 0,
      beaconer,
      power: POWER,
      hearings: [0, 1, 2]
        .filter(witness => witness !== beaconer)
        .map(witness => ({ witness, loss: 1_000, noise: ABSENT_LEVEL, spreading: 600 })),
    }))
    const gateways = [0, 1, 2].map(index => ({ index, cell: cellAt(index) }))
    const anchors = { named: [0], service: new Map([[2, 5n]]) }
    const one = judgeGraph({ window, gateways, anchors })
    const other = judgeGraph({ window, gateways: gateways.toReversed(), anchors })
    assert.deepEqual([...one].sort(), [...other].sort())
  })
})

describe('window of beacons', () => {
  it('has one encoding', () => {
    const heard = {
      epoch: 1,
      beaconer: 2,
      power: 3,
      hearings: [{ witness: 4, loss: 5, noise: 6, spreading: 7 }],
    }
    const bytes = Window.serialize([heard])
    assert.equal(
      Buffer.from(bytes).toString('hex'),
      '04000000' +
        '01000000' +
        '02000000' +
        '0300' +
        '0e000000' +
        '04000000' +
        '0500' +
        '0600' +
        '0700',
    )
    assert.deepEqual(Window.deserialize(bytes), [heard])
  })
})
