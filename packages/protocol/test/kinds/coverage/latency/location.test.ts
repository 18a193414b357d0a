import { strict as assert } from 'node:assert'
import {
  COVERAGE,
  CoverageState,
  cellDistance,
  decode,
  type EpochBase,
  emptyCoverageState,
  judgeLocation,
  METRES_PER_MICRO,
  type Measurement,
  nextTimings,
  OPERATORS_MIN,
  type CoverageState as State,
  standingTimings,
  TIMINGS_MAX,
  type Timing,
  WIDE_CELL_METRES,
} from '@cairn/protocol'
import fc from 'fast-check'
import { cellNorth, EVERY_EPOCH, Field } from '../field.ts'
import { baseOf, bytes32, entryOf } from '../network.ts'

const MICROS = 20_000
const LIMIT = METRES_PER_MICRO * MICROS

/** One timing of each of so many measurers, `fast` of which are a metre beyond what light allows. */
function timings(count: number, fast: number): Timing[] {
  return Array.from({ length: count }, (_, at) => ({
    epoch: 1,
    measurer: at + 1,
    micros: MICROS,
    metres: at < fast ? LIMIT + 1 : LIMIT,
  }))
}

describe('location by latency', () => {
  it('holds at the speed of light and fails a metre beyond it', () => {
    const at = (metres: number) =>
      judgeLocation(timings(5, 0).map(timing => ({ ...timing, metres }))).factor
    assert.equal(LIMIT, 3_000_000)
    assert.equal(at(LIMIT), 1_000_000)
    assert.equal(at(LIMIT + 1), 0)
  })

  it('fails by more than half of the measurements only', () => {
    assert.equal(judgeLocation(timings(6, 3)).factor, 1_000_000)
    assert.equal(judgeLocation(timings(6, 4)).factor, 0)
    assert.equal(judgeLocation(timings(7, 3)).factor, 1_000_000)
    assert.equal(judgeLocation(timings(7, 4)).factor, 0)
  })

  it('fails by those of at least five operators only', () => {
    assert.equal(OPERATORS_MIN, 5)
    assert.equal(judgeLocation(timings(4, 4)).factor, 1_000_000)
    assert.equal(judgeLocation(timings(5, 5)).factor, 0)
    assert.equal(judgeLocation([]).factor, 1_000_000)
  })

  it('says what it compared, and of the measurements the one that tells most', () => {
    const slow = { epoch: 1, measurer: 8, micros: 90_000, metres: 9_000_000 }
    const fast = { epoch: 1, measurer: 9, micros: 10_000, metres: 1_600_000 }
    assert.deepEqual(judgeLocation([slow, fast]).facts, {
      location: 1_000_000,
      measurements: 2,
      measuredTooFast: 1,
      roundTripFrom: 9,
      roundTripMicros: 10_000,
      roundTripMetres: 1_600_000,
      roundTripLimit: 1_500_000,
    })
    assert.deepEqual(judgeLocation([]).facts, {})
  })

  it('is never worse for any slower answer', () => {
    const any = fc.record({
      epoch: fc.constant(1),
      measurer: fc.nat(20),
      micros: fc.nat(200_000),
      metres: fc.nat(20_000_000),
    })
    fc.assert(
      fc.property(fc.array(any, { maxLength: TIMINGS_MAX }), fc.nat(200_000), (list, more) => {
        const slower = list.map(timing => ({ ...timing, micros: timing.micros + more }))
        return judgeLocation(slower).factor >= judgeLocation(list).factor
      }),
    )
  })
})

const NORTH = 3_000_000
const registry = Array.from({ length: 60 }, (_, index) =>
  entryOf(index, {
    cell: index === 0 ? cellNorth(NORTH) : cellNorth(1_000 * index),
    // Nodes 40 and 41 have one operator.
    operator: bytes32(index === 41 ? 40 : index, 3).slice(0, 20),
  }),
)

function at(epoch: number, gone: readonly number[] = []): EpochBase {
  const left = registry.filter(({ index }) => !gone.includes(index))
  return baseOf({ epoch, profile: EVERY_EPOCH, registry: left })
}

function measured(epoch: number, author: number, micros: number, target = 0) {
  const value: Measurement = {
    epoch,
    base: at(epoch).tag,
    kind: COVERAGE,
    author,
    target,
    nonce: bytes32(1),
    count: 32,
    micros,
    signature: new Uint8Array(64),
  }
  return { id: bytes32(author, epoch), value }
}

describe('measurements that are carried', () => {
  const step = (base: EpochBase, before: State['timings'], list: ReturnType<typeof measured>[]) =>
    nextTimings(base, standingTimings(base, before), list)

  it('hold the distance of the two cells, less what a wide cell may hide', () => {
    const [
      {
        timings: [own],
      } = { timings: [] },
    ] = step(at(8), [], [measured(8, 5, 7_000)])
    const metres = cellDistance(cellNorth(NORTH), cellNorth(5_000))
    assert.deepEqual(own, { epoch: 8, measurer: 5, micros: 7_000, metres })
    const wide = registry.map(entry =>
      entry.index === 5 || entry.index === 0
        ? { ...entry, cell: cellNorth(entry.index === 0 ? NORTH : 5_000, 10) }
        : entry,
    )
    const base = baseOf({ epoch: 8, profile: EVERY_EPOCH, registry: wide })
    const [item] = step(base, [], [measured(8, 5, 7_000)])
    const between = cellDistance(wide[0]?.cell as bigint, wide[5]?.cell as bigint)
    assert.equal(item?.timings[0]?.metres, between - 2 * WIDE_CELL_METRES)
  })

  it('are never negative, however near', () => {
    const near = registry.map(entry => ({ ...entry, cell: cellNorth(0, 10) }))
    const base = baseOf({ epoch: 8, profile: EVERY_EPOCH, registry: near })
    const [item] = step(base, [], [measured(8, 5, 7)])
    assert.equal(item?.timings[0]?.metres, 0)
  })

  it('are one of each operator, the newest', () => {
    const first = step(at(8), [], [measured(8, 40, 10), measured(8, 7, 10)])
    const second = step(at(9), first, [measured(9, 41, 99)])
    assert.deepEqual(
      second[0]?.timings.map(({ epoch, measurer, micros }) => [epoch, measurer, micros]),
      [
        [8, 7, 10],
        [9, 41, 99],
      ],
    )
  })

  it('stand until they are as old as the beacons of the graph', () => {
    const { graphEpochs } = EVERY_EPOCH
    const first = step(at(8), [], [measured(8, 5, 10)])
    assert.equal(standingTimings(at(7 + graphEpochs), first).length, 1)
    assert.equal(standingTimings(at(8 + graphEpochs), first).length, 0)
  })

  it('go with either node', () => {
    const first = step(at(8), [], [measured(8, 5, 10), measured(8, 6, 10)])
    assert.deepEqual(
      standingTimings(at(9, [5]), first)[0]?.timings.map(({ measurer }) => measurer),
      [6],
    )
    assert.deepEqual(standingTimings(at(9, [0]), first), [])
    assert.deepEqual(standingTimings(at(9, [5, 6]), first), [])
  })

  it('are the newest of no more than there is room for', () => {
    const first = step(
      at(8),
      [],
      Array.from({ length: 20 }, (_, n) => measured(8, n + 1, 10)),
    )
    const second = step(
      at(9),
      first,
      Array.from({ length: 8 }, (_, n) => measured(9, n + 21, 10)),
    )
    const [{ timings: list } = { timings: [] }] = second
    assert.equal(list.length, TIMINGS_MAX)
    assert.deepEqual(
      list.map(({ measurer }) => measurer),
      Array.from({ length: TIMINGS_MAX }, (_, n) => n + 5),
    )
    const state = { ...emptyCoverageState(), timings: second }
    assert.deepEqual(decode(CoverageState, CoverageState.serialize(state)), state)
  })

  it('do not depend on the order in which they came', () => {
    const list = Array.from({ length: 8 }, (_, n) => measured(8, n + 1, 10 + n, n % 2))
    const expected = step(at(8), [], list)
    fc.assert(
      fc.property(fc.shuffledSubarray(list, { minLength: list.length }), shuffled => {
        assert.deepEqual(step(at(8), [], shuffled), expected)
      }),
    )
  })
})

describe('settlement of a gateway that answers from elsewhere', () => {
  const PLACES = Array.from({ length: 9 }, (_, n) => 1_000 * (n + 1))
  const carried = (node: number, count: number, metres: number): State => ({
    ...emptyCoverageState(),
    timings: [
      {
        target: node,
        timings: timings(count, 0).map(timing => ({ ...timing, epoch: 7, metres })),
      },
    ],
  })
  const heard = (state: State) => {
    const field = new Field({ places: PLACES, state })
    field.reveal()
    for (const node of [1, 2, 3]) field.hear(node)
    field.attest()
    return field
  }

  it('gives no units to its beacons, with the reason and the numbers', () => {
    const plain = heard(emptyCoverageState()).settle()
    const there = heard(carried(0, 5, LIMIT)).settle()
    const elsewhere = heard(carried(0, 5, LIMIT + 1)).settle()
    assert.deepEqual(there.proven, plain.proven)
    assert.equal(elsewhere.proven.has(0), false)
    assert.deepEqual(
      [...elsewhere.proven],
      [...plain.proven].filter(([node]) => node !== 0),
    )
    const [verdict] = elsewhere.verdicts
    assert.equal(verdict?.reason, 'elsewhere')
    assert.equal(verdict?.facts.units, '0')
    assert.equal(verdict?.facts.measuredTooFast, 5)
    assert.equal(verdict?.facts.location, 0)
    assert.equal(there.verdicts[0]?.reason, 'ok')
    assert.equal(there.verdicts[0]?.facts.measurements, 5)
  })

  it('gives none to what it hears, and takes nothing from who was heard', () => {
    const plain = heard(emptyCoverageState()).settle()
    const { verdicts, proven } = heard(carried(2, 5, LIMIT + 1)).settle()
    const parts = verdicts[0]?.parts ?? []
    assert.deepEqual(
      parts.map(({ node, reason }) => [node, reason]),
      [
        [1, 'ok'],
        [2, 'elsewhere'],
        [3, 'ok'],
      ],
    )
    assert.equal(proven.has(2), false)
    assert.equal(proven.get(0), plain.proven.get(0))
  })

  it('is penalised by nothing and has passed all the same', () => {
    const { verdicts, penalties } = heard(carried(0, 5, LIMIT + 1)).settle()
    assert.equal(penalties, undefined)
    assert.equal(verdicts[0]?.verdict, 1)
  })

  it("is judged by the epochs before, and carries this epoch's measurements on", () => {
    const field = heard(emptyCoverageState())
    for (const author of [1, 2, 3, 4, 5]) {
      const message = { ...measured(8, author, 0), envelope: { type: 16 } as never }
      field.set.add(message, `measured ${author}`, COVERAGE)
    }
    const { state, verdicts } = field.settle()
    assert.equal(verdicts[0]?.reason, 'ok')
    assert.equal(verdicts[0]?.facts.measurements, undefined)
    assert.equal(state.timings[0]?.timings.length, 5)
    assert.equal(judgeLocation(state.timings[0]?.timings ?? []).factor, 0)
  })
})
