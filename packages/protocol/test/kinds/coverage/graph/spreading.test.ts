import { strict as assert } from 'node:assert'
import { log2Q32, ratioLevel, spreadingOf } from '@cairn/protocol'
import fc from 'fast-check'

/** floor(log10(2) * 2^64). */
const LOG10_2_Q64 = 5_553_023_288_523_357_132n

/** 10 log10 of a ratio by its bits alone. */
function byBits(numerator: bigint, denominator: bigint): number {
  const log2 = log2Q32(numerator) - log2Q32(denominator)
  return Number((log2 * 100n * LOG10_2_Q64 + (1n << 95n)) >> 96n)
}

describe('distance in dB', () => {
  it('is 20 log10 of metres, to the nearest tenth', () => {
    const rows: [number, number][] = [
      [0, 0],
      [1, 0],
      [2, 60],
      [10, 200],
      [1_000, 600],
      [32_767, 903],
      [32_768, 903],
      [100_000, 1_000],
      [20_015_000, 1_460],
    ]
    for (const [metres, tenths] of rows) assert.equal(spreadingOf(metres), tenths, `${metres} m`)
  })

  it('equals the logarithm bit by bit at every distance', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_015_000 }), metres => {
        const square = BigInt(metres) ** 2n
        assert.equal(spreadingOf(metres), byBits(square, 1n))
      }),
      { numRuns: 2_000, endOnFailure: true },
    )
  })

  it('equals it beside the boundaries between two tenths', () => {
    for (let tenths = 1; tenths <= 1_460; tenths++) {
      const near = Math.round(10 ** ((tenths - 0.5) / 200))
      for (const metres of [near - 1, near, near + 1].filter(value => value >= 1)) {
        assert.equal(spreadingOf(metres), byBits(BigInt(metres) ** 2n, 1n), `${metres} m`)
      }
    }
  })
})

describe('ratio in dB', () => {
  it('is what its bits say, however it is found', () => {
    const number = fc.bigInt({ min: 1n, max: 1n << 120n })
    fc.assert(
      fc.property(number, number, (a, b) => assert.equal(ratioLevel(a, b), byBits(a, b))),
      { numRuns: 2_000, endOnFailure: true },
    )
  })
})
