import { strict as assert } from 'node:assert'
import type { GatewayStanding, VerdictToExplain } from '@cairn/protocol'
import fc from 'fast-check'
import { latLngToCell } from 'h3-js'
import { cellGeometry, geojsonOf, lineGeometry } from '../src/coverage-map/geojson.ts'
import { coverageMap } from '../src/coverage-map/map.ts'
import { escaped, svgOf } from '../src/coverage-map/svg.ts'

const HEARD = { level: -1_180, spreadingFactor: 9, distance: 1_349 }
const PAID = { units: '2147483648', fullUnits: '4294967296', densityScale: '2147483648' }

function gateway(node: number, lat: number, lng: number, more: Partial<GatewayStanding> = {}) {
  const cell = latLngToCell(lat, lng, 12)
  return { node, operator: `${node}`, cell, plan: 'EU868', gain: 20, drawn: true, ...more }
}

function verdict(target: number, reason: string, more: Partial<VerdictToExplain> = {}) {
  return { target, reason, facts: {}, parts: [], ...more }
}

const GATEWAYS: GatewayStanding[] = [
  gateway(0, 49.2, 16.6),
  gateway(1, 49.21, 16.61),
  gateway(2, 49.22, 16.6, { drawn: false }),
  gateway(3, 49.19, 16.58, { drawn: false }),
]
const VERDICTS: VerdictToExplain[] = [
  verdict(0, 'challengeLate'),
  verdict(0, 'ok', {
    facts: { ...PAID, consistency: 500_000, links: 14, fit: 150, reports: 3, selected: 1 },
    parts: [
      { node: 1, reason: 'ok', facts: { ...HEARD, ...PAID } },
      { node: 2, reason: 'tooLoud', facts: { ...HEARD, loudLimit: -1_200 } },
      { node: 9, reason: 'notSelected', facts: HEARD },
    ],
  }),
  verdict(1, 'noReveal', { facts: { challengeSlot: 4, transmissionSlot: 5 } }),
  verdict(1, 'otherChallenge'),
]
const MAP = coverageMap({ epoch: 12, verdicts: VERDICTS, gateways: GATEWAYS })

type Ring = [number, number][]

function turns(ring: Ring): number {
  return ring.slice(1).reduce((sum, [x, y], at) => {
    const [beforeX, beforeY] = ring[at] as [number, number]
    return sum + beforeX * y - x * beforeY
  }, 0)
}

function ringsOf(geometry: ReturnType<typeof cellGeometry>): Ring[] {
  if (geometry?.type === 'Polygon') return geometry.coordinates
  if (geometry?.type === 'MultiPolygon') return geometry.coordinates.flat()
  return []
}

function assertRings(rings: Ring[]): void {
  assert.ok(rings.length > 0)
  for (const ring of rings) {
    assert.ok(ring.length >= 4)
    assert.deepEqual(ring[0], ring.at(-1))
    assert.ok(turns(ring) > 0, 'counterclockwise')
    const lngs = ring.map(([lng]) => lng)
    assert.ok(lngs.every(lng => lng >= -180 && lng <= 180))
    assert.ok(Math.max(...lngs) - Math.min(...lngs) < 180, 'no way around the world')
    assert.ok(ring.every(([, lat]) => Math.abs(lat) <= 90))
  }
}

function cornersAt(lat: number, lng: number, resolution: number) {
  const cell = latLngToCell(lat, lng, resolution)
  const map = coverageMap({
    epoch: 1,
    verdicts: [],
    gateways: [{ ...gateway(0, 0, 0), cell }],
  })
  return map.gateways[0]?.corners ?? []
}

describe('coverage map', () => {
  it('gathers what each gateway sent, reported and earned, and who heard whom', () => {
    const [first, second, third, fourth, stranger] = MAP.gateways
    assert.deepEqual(
      [first?.beacon?.counted, first?.units, first?.factors.density, first?.factors.consistency],
      [true, 0.5, 0.5, 0.5],
    )
    assert.deepEqual(
      first?.lowered.map(({ factor, value }) => [factor, value]),
      [
        ['density', 0.5],
        ['consistency', 0.5],
      ],
    )
    assert.match(first?.lowered[1]?.cause ?? '', /correlation 0\.150/)
    assert.deepEqual([second?.beacon?.reason, second?.reports, second?.units], ['noReveal', 1, 0.5])
    assert.deepEqual([third?.beacon, third?.reports, third?.reportsCounted], [undefined, 1, 0])
    assert.deepEqual([fourth?.reports, stranger?.node, stranger?.centre], [0, 9, undefined])
    assert.deepEqual(
      MAP.links.map(({ from, to, reason, passed, counted, level }) => [
        from,
        to,
        reason,
        passed,
        counted,
        level,
      ]),
      [
        [0, 1, 'ok', true, true, -118],
        [0, 2, 'tooLoud', false, false, -118],
        [0, 9, 'notSelected', true, false, -118],
      ],
    )
  })

  it('is empty of an epoch in which nobody is a gateway', () => {
    const empty = coverageMap({ epoch: 3, verdicts: [], gateways: [] })
    assert.deepEqual(geojsonOf(empty), { type: 'FeatureCollection', features: [] })
    assert.match(svgOf(empty), /0 gateways/)
  })
})

describe('GeoJSON of a coverage map', () => {
  it('has a polygon per cell and a line per report, with what is known of each', () => {
    const { features } = geojsonOf(MAP)
    assert.equal(features.length, 5 + 3)
    const [first] = features
    assertRings(ringsOf(first?.geometry as never))
    const { type, node, units, factors, beacon } = first?.properties ?? {}
    assert.deepEqual([type, node, units], ['gateway', 0, 0.5])
    assert.deepEqual(factors, { density: 0.5, consistency: 0.5 })
    assert.equal((beacon as { reason: string }).reason, 'ok')
    const link = features.find(({ id }) => id.startsWith('link/0/2/'))
    assert.equal(link?.geometry?.type, 'LineString')
    assert.deepEqual([link?.properties.reason, link?.properties.counted], ['tooLoud', false])
    assert.match(String(link?.properties.cause), /at most -120\.0 dBm/)
    assert.equal(features.find(({ id }) => id === 'gateway/9')?.geometry, null)
    assert.equal(features.find(({ id }) => id.startsWith('link/0/9/'))?.geometry, null)
    assert.equal(new Set(features.map(({ id }) => id)).size, features.length)
  })

  it('writes every ring counterclockwise and closed, wherever the cell is', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -89, max: 89, noNaN: true }),
        fc.double({ min: -180, max: 180, noNaN: true }),
        fc.constantFrom(2, 10, 12),
        (lat, lng, resolution) =>
          // A cell of resolution 2 may hold a pole.
          Math.abs(lat) > 85 || assertRings(ringsOf(cellGeometry(cornersAt(lat, lng, resolution)))),
      ),
      { numRuns: 300 },
    )
  })

  it('turns a clockwise ring round', () => {
    const clockwise = cornersAt(49.2, 16.6, 12).toReversed()
    assertRings(ringsOf(cellGeometry(clockwise)))
    assertRings(ringsOf(cellGeometry(cornersAt(10, 180, 5).toReversed())))
  })

  it('cuts a cell in two at the antimeridian, on both sides of it', () => {
    for (const lng of [179.9999, -179.9999, 180]) {
      const geometry = cellGeometry(cornersAt(10, lng, 5))
      assert.equal(geometry?.type, 'MultiPolygon')
      const rings = ringsOf(geometry)
      assertRings(rings)
      assert.equal(rings.length, 2)
      const sides = rings.map(ring => ring.map(([x]) => Math.sign(x)))
      assert.deepEqual(
        sides.map(signs => new Set(signs).size),
        [1, 1],
      )
      const edges = rings.map(ring => ring.filter(([x]) => Math.abs(x) === 180).map(([, y]) => y))
      assert.deepEqual(new Set(edges[0]), new Set(edges[1]), 'both parts share the edge')
    }
  })

  it('marks a cell that holds a pole by a point: it is no polygon in longitude and latitude', () => {
    assert.equal(cellGeometry(cornersAt(90, 0, 10))?.type, 'Point')
    assert.equal(cellGeometry(cornersAt(-90, 0, 10))?.type, 'Point')
  })

  it('takes the shorter way over the antimeridian, in two parts', () => {
    assert.deepEqual(lineGeometry({ lat: 10, lng: 179 }, { lat: 14, lng: -179 }), {
      type: 'MultiLineString',
      coordinates: [
        [
          [179, 10],
          [180, 12],
        ],
        [
          [-180, 12],
          [-179, 14],
        ],
      ],
    })
    assert.deepEqual(lineGeometry({ lat: 1, lng: -179.5 }, { lat: 1, lng: 179.5 }).coordinates, [
      [
        [-179.5, 1],
        [-180, 1],
      ],
      [
        [180, 1],
        [179.5, 1],
      ],
    ])
    const here = lineGeometry({ lat: 1, lng: 16 }, { lat: 2, lng: 17 })
    assert.equal(here.type, 'LineString')
  })
})

describe('SVG of a coverage map', () => {
  it('shows each gateway and link, and says why something did not count', () => {
    const svg = svgOf(MAP)
    assertWellFormed(svg)
    assert.equal([...svg.matchAll(/<path class="link \w+" d="M[^"]*Q/g)].length, 2)
    assert.equal([...svg.matchAll(/<path class="bad" d="[^"]*z"\/><\/g>/g)].length, 1)
    assert.match(svg, />tooLoud<\/text>/)
    assert.match(svg, /Node 1: was asked in slot 4/)
    assert.match(svg, /Reports: tooLoud 1\./)
    assert.match(svg, /Nodes 0, 1: lowered to 50\.0 %: many/)
    assert.match(svg, /5 gateways · 2 beacons, 1 count · 3 reports, 1 count · 1 without a place/)
  })

  it('needs nothing from outside', () => {
    const svg = svgOf(MAP).replace('xmlns="http://www.w3.org/2000/svg"', '')
    assert.doesNotMatch(
      svg,
      /https?:|href|<script|<image|<foreignObject|@import|@font-face| on\w+=/,
    )
    assert.ok([...svg.matchAll(/url\(([^)]*)\)/g)].every(([, target]) => target?.startsWith('#')))
  })

  it('keeps all text text', () => {
    const hostile = `"></text><script>alert('1')</script>&amp;\u0000\ud800`
    const map = coverageMap({
      epoch: 1,
      gateways: [gateway(0, 49, 16), gateway(1, 49.01, 16)],
      verdicts: [verdict(0, hostile, { parts: [{ node: 1, reason: hostile, facts: {} }] })],
    })
    const svg = svgOf(map)
    assertWellFormed(svg)
    assert.doesNotMatch(svg, /<script/)
    assert.match(svg, /&#60;script&#62;/)
    assert.equal(
      escaped('a<b>&"\'\u0007\ufffe\ud83d\ude00'),
      'a&#60;b&#62;&#38;&#34;&#39;\ufffd\ufffd\ud83d\ude00',
    )
  })

  it('draws gateways on both sides of the antimeridian side by side', () => {
    const gateways = [gateway(0, 10, 179.99), gateway(1, 10, -179.99)]
    const svg = svgOf(coverageMap({ epoch: 1, verdicts: [], gateways }))
    const xs = [...svg.matchAll(/<circle class="still" cx="([\d.]+)"/g)].map(([, x]) => Number(x))
    const [west, east] = xs as [number, number]
    assert.ok(west < east && east < 900, `${xs}`)
    assert.match(svg, />200 m, north is up</)
  })

  it('stays in its frame with one gateway, and with a thousand', () => {
    const one = svgOf(coverageMap({ epoch: 1, verdicts: [], gateways: [gateway(0, 0, 0)] }))
    assert.match(one, /cx="454.0" cy="416.0"/)
    const gateways = Array.from({ length: 1_000 }, (_, node) =>
      gateway(node, 48 + (node % 40) / 100, 16 + Math.floor(node / 40) / 100),
    )
    const verdicts = gateways.map(({ node }) =>
      verdict(node, 'late', { facts: { revealDue: node, revealSeenBy: 0, assigned: 3 } }),
    )
    const svg = svgOf(coverageMap({ epoch: 1, verdicts, gateways }))
    assertWellFormed(svg)
    const ys = [...svg.matchAll(/<text[^>]* y="([\d.]+)"/g)].map(([, y]) => Number(y))
    assert.ok(Math.max(...ys) <= 800)
    assert.match(svg, /\d+ more: cairn coverage explain 1</)
  })
})

/** Every element is closed in order, attributes are quoted, and nothing else holds an angle bracket. */
function assertWellFormed(svg: string): void {
  const open: string[] = []
  const rest = svg.replace(
    /<(\/?)(\w+)((?: [\w:-]+="[^"<]*")*)\s*(\/?)>/g,
    (_, end: string, name: string, __: string, alone: string) => {
      if (end !== '') assert.equal(open.pop(), name)
      else if (alone === '') open.push(name)
      return ''
    },
  )
  assert.deepEqual(open, [])
  assert.doesNotMatch(rest.replace(/&#\d+;/g, ''), /[<>&]/)
}
