import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import {
  DENSITY_RULES,
  densityScales,
  SCALE_ONE,
  WITNESSES_MAX,
  witnessUnits,
} from '@cairn/protocol'
import fc from 'fast-check'
import { cellToCenterChild, cellToChildren, cellToParent, gridDisk, latLngToCell } from 'h3-js'

const vectors = JSON.parse(readFileSync(new URL('../vectors/radio.json', import.meta.url), 'utf8'))

const OULU = latLngToCell(65.01, 25.47, 12)
const toCell = (cell: string) => BigInt(`0x${cell}`)
const scalesOf = (cells: readonly string[]) => [
  ...densityScales(new Map(cells.map((c, i) => [i, toCell(c)]))).values(),
]

describe('density scale', () => {
  it('has the published targets', () => {
    for (const [resolution, row] of Object.entries(vectors.densityScale.rows)) {
      const rule = DENSITY_RULES.find(r => r.resolution === Number(resolution))
      assert.deepEqual(rule && [rule.neighbours, rule.target, rule.max], row)
    }
    assert.deepEqual(
      DENSITY_RULES.map(r => r.resolution),
      [4, 5, 6, 7, 8, 9, 10],
    )
  })

  it('leaves a gateway alone in its neighbourhood at 1', () => {
    assert.deepEqual(scalesOf([OULU]), [SCALE_ONE])
    assert.deepEqual(scalesOf([]), [])
  })

  it('shares one place among those in one cell', () => {
    for (const n of [2, 3, 7]) {
      assert.deepEqual(scalesOf(Array(n).fill(OULU)), Array(n).fill(SCALE_ONE / BigInt(n)))
    }
  })

  it('counts a cell of resolution 12 and its ancestor of resolution 10 alike', () => {
    const coarse = cellToParent(OULU, 10)
    assert.deepEqual(scalesOf([OULU, coarse]), [SCALE_ONE / 2n, SCALE_ONE / 2n])
  })

  it('gives the same cells the same scale in any order', () => {
    const cells = gridDisk(OULU, 20).filter((_, i) => i % 17 === 0)
    const forward = densityScales(new Map(cells.map((c, i) => [i, toCell(c)])))
    const backward = densityScales(new Map(cells.map((c, i) => [i, toCell(c)] as const).reverse()))
    for (const [gateway, scale] of forward) assert.equal(backward.get(gateway), scale)
  })

  it('lets a filled neighbourhood keep no more than the limits of every resolution', () => {
    const cells = cellToChildren(cellToParent(OULU, 7), 10)
    const total = scalesOf(cells).reduce((sum, s) => sum + s, 0n)
    // One cell of resolution 7 alone is occupied: 5 gateways count, whatever the crowd.
    const full = 5n * SCALE_ONE
    assert.ok(total <= full && total > full - BigInt(cells.length), `${total}`)
  })

  it('raises the limit with the fourth occupied neighbour, not with the third', () => {
    const middle = cellToCenterChild(cellToParent(OULU, 6), 7)
    const around = gridDisk(middle, 1).filter(c => c !== middle)
    // One gateway in each of n cells of resolution 8: nothing is clipped below resolution 7.
    const alone = (seven: string, n: number) =>
      cellToChildren(seven, 8)
        .slice(0, n)
        .map(eight => cellToCenterChild(eight, 12))
    const ratio = (neighbours: number) => {
      const others = around.slice(0, neighbours).flatMap(c => alone(c, 5))
      const scales = scalesOf([...alone(middle, 7), ...others])
      return Number(scales[0]) / Number(scales.at(-1))
    }
    // Seven in the middle, beside full cells of five: limit 5 until five cells are occupied, then 10.
    assert.ok(Math.abs(ratio(3) - 5 / 7) < 1e-6)
    assert.ok(Math.abs(ratio(4) - 1) < 1e-6)
  })

  it('never exceeds 1 and never reaches 0', () => {
    const near = gridDisk(OULU, 30)
    fc.assert(
      fc.property(fc.array(fc.nat(near.length - 1), { maxLength: 150 }), picks => {
        for (const scale of scalesOf(picks.map(i => near[i] as string))) {
          assert.ok(scale > 0n && scale <= SCALE_ONE)
        }
      }),
      { numRuns: 30 },
    )
  })

  it('refuses what is no cell, or too coarse a one', () => {
    assert.throws(() => densityScales(new Map([[1, 0n]])), { code: 'badCell' })
    const coarse = toCell(cellToParent(OULU, 9))
    assert.throws(() => densityScales(new Map([[1, coarse]])), { code: 'badCell' })
  })
})

describe('witness units', () => {
  it('equal the published curve', () => {
    for (let n = 1; n <= WITNESSES_MAX; n++) {
      const { beacon, witness } = witnessUnits(n)
      const one = Number(SCALE_ONE)
      assert.ok(Math.abs(Number(beacon) / one - vectors.witnessUnits.beacon[n - 1]) <= 0.0006)
      assert.ok(Math.abs(Number(witness) / one - vectors.witnessUnits.witnessEach[n - 1]) <= 0.0006)
    }
  })

  it('are exact to the last unit', () => {
    assert.deepEqual(witnessUnits(0), { beacon: 0n, witness: 0n })
    assert.deepEqual(witnessUnits(4), { beacon: SCALE_ONE, witness: SCALE_ONE })
    assert.deepEqual(witnessUnits(5), {
      beacon: (SCALE_ONE * 6n) / 5n,
      witness: (SCALE_ONE * 19n) / 25n,
    })
  })

  it('share at most four among the witnesses', () => {
    for (let n = 4; n <= WITNESSES_MAX; n++) {
      assert.ok(witnessUnits(n).witness * BigInt(n) <= 4n * SCALE_ONE)
    }
  })
})
