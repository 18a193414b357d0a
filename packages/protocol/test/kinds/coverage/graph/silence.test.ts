import { strict as assert } from 'node:assert'
import { ABSENT_LEVEL, type HeardBeacon, UNREVEALED } from '@cairn/protocol'
import fc from 'fast-check'
import { latLngToCell } from 'h3-js'
import { median } from '../../../../src/kinds/coverage/graph/links.ts'
import { placesOf } from '../../../../src/kinds/coverage/graph/places.ts'
import { chancesOf, silenceOf } from '../../../../src/kinds/coverage/graph/silence.ts'

const COUNT = 7
/** A row of gateways 1 km apart, the last one 100 km away: nobody's neighbour. */
const places = placesOf(
  Array.from({ length: COUNT }, (_, index) => {
    const metres = index === COUNT - 1 ? 100_000 : 1_000 * index
    const cell = BigInt(`0x${latLngToCell(49.2 + metres / 111_195, 16.6, 12)}`)
    return { index: 10 * index, cell }
  }),
)
const all = (_place: number) => true

function heard(beaconer: number, witnesses: readonly number[], power = 160): HeardBeacon {
  const hearings = witnesses.map(witness => ({
    witness: 10 * witness,
    loss: 1_000,
    noise: ABSENT_LEVEL,
    spreading: spreading(beaconer, witness),
  }))
  return { epoch: 1, beaconer: 10 * beaconer, power, hearings }
}

/** Between the two as registered, as the neighbours have it; far away: out of everybody's reach. */
function spreading(a: number, b: number): number {
  const { places: others, spreading: losses } = places.neighbours(a)
  return losses[others.indexOf(b)] ?? 1_200
}

function of(window: readonly HeardBeacon[], beaconer: number, fits = all) {
  const chances = chancesOf(window, places).get(10 * beaconer)
  return chances && silenceOf(chances, fits)
}

/** The rule word by word. */
function byTheWord(window: readonly HeardBeacon[], beaconer: number) {
  let [chances, taken] = [0, 0]
  const had = new Set<number>()
  for (const beacon of window) {
    if (beacon.beaconer !== 10 * beaconer || beacon.power === UNREVEALED) continue
    const { places: others, spreading: losses } = places.neighbours(beaconer)
    for (const [at, place] of others.entries()) {
      const beside = window
        .filter(({ epoch, beaconer: from }) => epoch === beacon.epoch && from !== beacon.beaconer)
        .flatMap(({ power, hearings }) =>
          hearings
            .filter(({ witness }) => witness === 10 * place)
            .map(hearing => hearing.spreading - power),
        )
      const reach = median(beside)
      if (reach === undefined || (losses[at] as number) - beacon.power > reach) continue
      chances++
      had.add(place)
      if (beacon.hearings.some(({ witness }) => witness === 10 * place)) taken++
    }
  }
  return { neighbours: had.size, chances, heard: taken }
}

describe('silence of neighbours', () => {
  it('counts those that heard others as far away in the epoch', () => {
    // 3 hears 0, three places away: it could have heard 2 and 1 too.
    assert.deepEqual(of([heard(0, [3]), heard(1, [])], 1), { neighbours: 1, chances: 1, heard: 0 })
    const both = [heard(0, [3]), heard(1, []), heard(2, [3])]
    assert.deepEqual(of(both, 2), { neighbours: 1, chances: 1, heard: 1 })
    // What it heard beside is nearer: of two the lower counts.
    assert.deepEqual(of(both, 0), { neighbours: 0, chances: 0, heard: 0 })
    assert.deepEqual(of(both, 1), { neighbours: 0, chances: 0, heard: 0 })
  })

  it('counts no witness that heard the beacon alone', () => {
    assert.deepEqual(of([heard(0, [3])], 0), { neighbours: 0, chances: 0, heard: 0 })
  })

  it('counts a louder beacon as easier to hear, and none that was not revealed', () => {
    assert.equal(of([heard(1, [2], 160), heard(5, [], 160)], 5)?.chances, 0)
    assert.equal(of([heard(1, [2], 160), heard(5, [], 300)], 5)?.chances, 1)
    assert.equal(of([heard(1, [2], 160), heard(5, [], UNREVEALED)], 5), undefined)
  })

  it('leaves out those that do not fit', () => {
    const window = [heard(0, [3]), heard(1, [])]
    assert.equal(of(window, 1, place => place !== 3)?.chances, 0)
  })

  it('counts nobody out of the neighbourhood', () => {
    assert.equal(of([heard(0, [6]), heard(1, [])], 1)?.chances, 0)
  })

  it('is what the rule says word by word', () => {
    const witnesses = fc.uniqueArray(fc.integer({ min: 0, max: COUNT - 1 }))
    const beacons = fc.array(fc.tuple(witnesses, fc.integer({ min: 0, max: 400 })), {
      maxLength: COUNT,
    })
    fc.assert(
      fc.property(beacons, beacons, (first, second) => {
        const epochs = [first, second].map((list, epoch) =>
          list.map(([who, power], from) => {
            const one = heard(from, who.filter(witness => witness !== from).sort(), power)
            return { ...one, epoch, power: power === 0 ? UNREVEALED : power }
          }),
        )
        const window = epochs.flat()
        for (let node = 0; node < COUNT; node++) {
          const found = of(window, node) ?? { neighbours: 0, chances: 0, heard: 0 }
          assert.deepEqual(found, byTheWord(window, node))
        }
      }),
      { endOnFailure: true },
    )
  })
})
