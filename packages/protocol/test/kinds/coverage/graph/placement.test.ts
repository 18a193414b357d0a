import { strict as assert } from 'node:assert'
import { cellDistance, spreadingOf } from '@cairn/protocol'
import { latLngToCell } from 'h3-js'
import { judgePlacement, type Sighting } from '../../../../src/kinds/coverage/graph/placement.ts'
import { placesOf } from '../../../../src/kinds/coverage/graph/places.ts'

const METRES_PER_DEGREE = 111_195
const SIDE = 7
const COUNT = SIDE * SIDE
const MIDDLE = (COUNT - 1) / 2
const LEAST = 12

interface Point {
  readonly x: number
  readonly y: number
}

interface TownInit {
  /** Where the middle gateway registered, metres off its antenna. */
  readonly off?: Point
  /** Added to the loss of the middle one's link to a peer, 0.1 dB. */
  readonly extra?: (peer: number) => number
  /** Whom the middle one has links with. */
  readonly peers?: readonly number[]
}

/** Gateways 1.5 km apart in a square; 10 dB of shadowing at most by a hash of the pair. */
function town({ off = { x: 0, y: 0 }, extra = () => 0, peers }: TownInit) {
  const at = Array.from({ length: COUNT }, (_, node) => ({
    x: 1_500 * (node % SIDE),
    y: 1_500 * Math.floor(node / SIDE),
  }))
  const cells = at.map(({ x, y }, node) =>
    cellAt(node === MIDDLE ? { x: x + off.x, y: y + off.y } : { x, y }),
  )
  const places = placesOf(cells.map((cell, index) => ({ index, cell })))
  const sightings = new Map<number, Sighting[]>()
  for (const [own, here] of at.entries()) {
    const others = own === MIDDLE && peers !== undefined ? peers : at.keys()
    const list: Sighting[] = []
    for (const place of others) {
      if (place === own) continue
      const there = at[place] as Point
      const way = spreadingOf(Math.round(Math.hypot(here.x - there.x, here.y - there.y)))
      const shadow = ((Math.imul(own * 7 + place * 13, 2_654_435_761) >>> 16) % 200) - 100
      const more = own === MIDDLE ? extra(place) : 0
      const distance = cellDistance(cells[own] as bigint, cells[place] as bigint)
      list.push({ place, spreading: spreadingOf(distance), loss: way + 300 + shadow + more })
    }
    sightings.set(own, list)
  }
  return judgePlacement(sightings, places, LEAST).get(MIDDLE)
}

function cellAt({ x, y }: Point): bigint {
  const lat = 49.2 + y / METRES_PER_DEGREE
  const lng = 16.6 + x / (METRES_PER_DEGREE * Math.cos((49.2 * Math.PI) / 180))
  return BigInt(`0x${latLngToCell(lat, lng, 12)}`)
}

describe('placement', () => {
  it('doubts nobody who stands where it registered', () => {
    const found = town({})
    assert.ok(found)
    assert.ok(found.doubt < 1_200, `doubt ${found.doubt}`)
    assert.ok(found.slope > 700 && found.slope < 1_300, `slope ${found.slope}`)
    assert.ok(found.scatter >= 40 && found.scatter < 80, `scatter ${found.scatter}`)
  })

  it('doubts a cell that is 4 km off in whatever direction, and says where else', () => {
    for (const off of [
      { x: 4_000, y: 0 },
      { x: -4_000, y: 0 },
      { x: 0, y: 4_000 },
      { x: -2_900, y: -2_900 },
    ]) {
      const found = town({ off })
      assert.ok(found)
      assert.ok(found.doubt > 1_800, `doubt ${found.doubt}`)
      assert.ok(found.likelierAt > 2_000 && found.likelierAt < 7_000, `${found.likelierAt} m`)
    }
  })

  it('takes a gain that is wrong, or an attenuator, for no other place', () => {
    for (const tenths of [-100, 100, 200]) {
      assert.equal(town({ extra: () => tenths })?.doubt, town({})?.doubt)
    }
  })

  it('lets one peer that lies move a gateway no further than a link of 25 dB', () => {
    const one = (tenths: number) => town({ extra: peer => (peer === 0 ? tenths : 0) })
    assert.ok(Math.abs((one(20_000)?.doubt as number) - (town({})?.doubt as number)) < 1_200)
  })

  it('judges from twelve links on', () => {
    const peers = Array.from({ length: LEAST }, (_, at) => at)
    assert.ok(town({ peers }))
    assert.equal(town({ peers: peers.slice(1) }), undefined)
  })

  it('comes to the same integers everywhere', () => {
    const expected = { doubt: 5_513, likelierAt: 4_562, slope: 900, scatter: 60 }
    assert.deepEqual(town({ off: { x: 4_000, y: 0 } }), expected)
  })
})
