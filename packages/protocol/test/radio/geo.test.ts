import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import {
  cellCentre,
  cellDistance,
  cellResolution,
  distance,
  integerSqrt,
  isCell,
  type Position,
} from '@cairn/protocol'
import fc from 'fast-check'
import { cellToLatLng, greatCircleDistance, gridDistance, latLngToCell } from 'h3-js'

const vectors = JSON.parse(readFileSync(new URL('../vectors/radio.json', import.meta.url), 'utf8'))

/** Ealing and Finsbury Park at resolution 15: the points of the published vector. */
const EALING = 644_459_695_463_521_437n
const FINSBURY_PARK = 644_460_986_971_331_488n

const lat = fc.integer({ min: -900_000_000, max: 900_000_000 })
const lng = fc.integer({ min: -1_800_000_000, max: 1_800_000_000 })
const position = fc.record({ lat, lng })

function haversine(a: Position, b: Position): number {
  const radians = (tenMillionths: number) => (tenMillionths / 1e7 / 180) * Math.PI
  const north = Math.sin(radians(a.lat - b.lat) / 2) ** 2
  const east = Math.sin(radians(a.lng - b.lng) / 2) ** 2
  const h = north + Math.cos(radians(a.lat)) * Math.cos(radians(b.lat)) * east
  return 2 * 6_371_007.181 * Math.atan2(Math.sqrt(h), Math.sqrt(Math.max(0, 1 - h)))
}

describe('great-circle distance', () => {
  it('equals the published H3 vector', () => {
    assert.equal(cellDistance(EALING, FINSBURY_PARK), vectors.h3.greatCircleM)
  })

  it('equals the floating-point haversine to the metre', () => {
    fc.assert(
      fc.property(position, position, (a, b) => {
        const exact = haversine(a, b)
        assert.ok(Math.abs(distance(a, b) - exact) <= 0.51 + exact * 1e-9)
      }),
      { numRuns: 1_000 },
    )
  })

  it('holds over short distances, where the haversine is small', () => {
    const near = fc.integer({ min: -300_000, max: 300_000 })
    const origin = fc.record({ lat: fc.integer({ min: -890_000_000, max: 890_000_000 }), lng })
    fc.assert(
      fc.property(origin, near, near, (a, north, east) => {
        const b = { lat: a.lat + north, lng: clampLng(a.lng + east) }
        const exact = haversine(a, b)
        assert.ok(Math.abs(distance(a, b) - exact) <= 0.51)
      }),
      { numRuns: 1_000 },
    )
  })

  it('is symmetric, and zero only to itself', () => {
    fc.assert(
      fc.property(position, position, (a, b) => assert.equal(distance(a, b), distance(b, a))),
    )
    fc.assert(fc.property(position, a => assert.equal(distance(a, a), 0)))
  })

  it('crosses the date line and the poles', () => {
    const east = { lat: 0, lng: 1_799_999_000 }
    const west = { lat: 0, lng: -1_799_999_000 }
    assert.equal(distance(east, west), 22)
    assert.equal(
      distance({ lat: 900_000_000, lng: 0 }, { lat: 900_000_000, lng: 1_000_000_000 }),
      0,
    )
    assert.equal(distance({ lat: 900_000_000, lng: 0 }, { lat: -900_000_000, lng: 5 }), 20_015_109)
    assert.equal(distance({ lat: 0, lng: 0 }, { lat: 0, lng: 1_800_000_000 }), 20_015_109)
    assert.equal(distance({ lat: 0, lng: 0 }, { lat: 0, lng: 900_000_000 }), 10_007_555)
  })

  it('refuses what is no position', () => {
    for (const bad of [
      { lat: 900_000_001, lng: 0 },
      { lat: 0, lng: -1_800_000_001 },
      { lat: 0.5, lng: 0 },
      { lat: Number.NaN, lng: 0 },
    ]) {
      assert.throws(() => distance(bad, { lat: 0, lng: 0 }), { code: 'badPosition' })
    }
  })
})

describe('cells', () => {
  it('have the centre that H3 gives, rounded', () => {
    const cell = latLngToCell(65.01, 25.47, 12)
    const [north, east] = cellToLatLng(cell)
    const centre = cellCentre(BigInt(`0x${cell}`))
    assert.ok(Math.abs(centre.lat - north * 1e7) <= 0.5)
    assert.ok(Math.abs(centre.lng - east * 1e7) <= 0.5)
  })

  it('are as far apart as H3 says', () => {
    fc.assert(
      fc.property(position, position, (a, b) => {
        const cells = [a, b].map(p => latLngToCell(p.lat / 1e7, p.lng / 1e7, 12)) as [
          string,
          string,
        ]
        const [one, other] = cells.map(c => BigInt(`0x${c}`)) as [bigint, bigint]
        const exact = greatCircleDistance(cellToLatLng(cells[0]), cellToLatLng(cells[1]), 'm')
        assert.ok(Math.abs(cellDistance(one, other) - exact) <= 0.6)
      }),
    )
  })

  it('know their resolution', () => {
    for (let r = 0; r <= 15; r++) {
      assert.equal(cellResolution(BigInt(`0x${latLngToCell(65.01, 25.47, r)}`)), r)
    }
  })

  it('agree with the published grid distance', () => {
    const parents = [EALING, FINSBURY_PARK].map(c => {
      const [north, east] = cellToLatLng(c.toString(16))
      return latLngToCell(north, east, 11)
    }) as [string, string]
    assert.equal(gridDistance(parents[0], parents[1]), vectors.h3.res11GridDistance)
  })

  it('are refused unless they are cells', () => {
    for (const bad of [0n, -1n, 1n, 2n ** 64n - 1n, 2n ** 64n + EALING, EALING | (1n << 63n)]) {
      assert.equal(isCell(bad), false)
      assert.throws(() => cellCentre(bad), { code: 'badCell' })
    }
  })
})

describe('integer square root', () => {
  it('is the floor', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 1n << 300n }), n => {
        const root = integerSqrt(n)
        assert.ok(root * root <= n && (root + 1n) * (root + 1n) > n)
      }),
    )
    for (let n = 0n; n < 1_000n; n++) {
      const root = integerSqrt(n)
      assert.ok(root * root <= n && (root + 1n) * (root + 1n) > n)
    }
  })
})

function clampLng(value: number): number {
  return Math.max(-1_800_000_000, Math.min(1_800_000_000, value))
}
