import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import {
  addLevels,
  CairnError,
  demodulationLimit,
  freeSpaceLevel,
  freeSpaceLoss,
  linkBudget,
  log2Q32,
  noiseFloor,
  noiseLevel,
  powerQ64,
  ratioLevel,
  sensitivity,
  signalLevel,
} from '@cairn/protocol'
import fc from 'fast-check'

const vectors = JSON.parse(readFileSync(new URL('../vectors/radio.json', import.meta.url), 'utf8'))

const CHANNEL = 868_100_000

/** Float value in 0.1 dB is within rounding, and equal unless a half is near. */
function assertRounded(actual: number, exact: number): void {
  assert.ok(Math.abs(actual - exact) <= 0.5 + 1e-6, `${actual} is ${exact} rounded`)
}

describe('levels', () => {
  it('finds log2 of powers of two exactly', () => {
    for (const k of [0n, 1n, 2n, 31n, 62n, 63n, 64n, 65n, 200n]) {
      assert.equal(log2Q32(1n << k), k << 32n)
    }
  })

  it('finds log2 to within one unit below the true value', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 1n << 50n }), n => {
        const error = Math.log2(Number(n)) * 2 ** 32 - Number(log2Q32(n))
        assert.ok(error > -0.01 && error < 1.01, `${n} is off by ${error}`)
      }),
    )
  })

  it('grows with its argument', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 1n, max: 1n << 140n }),
        fc.bigInt({ min: 1n, max: 9n }),
        (n, d) => assert.ok(log2Q32(n + d) >= log2Q32(n)),
      ),
    )
  })

  it('turns ratios into levels at the thresholds', () => {
    const rows: [bigint, bigint, number][] = [
      [1n, 1n, 0],
      [2n, 1n, 30],
      [1n, 2n, -30],
      [10n, 1n, 100],
      [1n, 10n, -100],
      [10n ** 30n, 1n, 3_000],
      // 10^(0.005) = 1.011579454: where 0 becomes 0.1 dB
      [1_011_579_454n, 1_000_000_000n, 0],
      [1_011_579_455n, 1_000_000_000n, 1],
      [988_553_094n, 1_000_000_000n, -1],
      [988_553_095n, 1_000_000_000n, 0],
    ]
    for (const [n, d, level] of rows) assert.equal(ratioLevel(n, d), level, `${n}/${d}`)
  })

  it('raises 10 to a level', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000 }), tenths => {
        const exact = 10 ** (tenths / 100)
        assert.ok(Math.abs(Number(powerQ64(tenths)) / 2 ** 64 / exact - 1) < 1e-13)
        assert.equal(ratioLevel(powerQ64(tenths), 1n << 64n), tenths)
      }),
    )
  })

  it('adds powers', () => {
    assert.equal(addLevels(0, 0), 30)
    assert.equal(addLevels(-1_000, -1_000), -970)
    assert.equal(addLevels(-1_200, -1_000), -1_000)
    assert.equal(addLevels(0, -5_000), 0)
    const level = fc.integer({ min: -2_000, max: 500 })
    fc.assert(
      fc.property(level, level, (a, b) => {
        assert.equal(addLevels(a, b), addLevels(b, a))
        assertRounded(addLevels(a, b), 100 * Math.log10(10 ** (a / 100) + 10 ** (b / 100)))
      }),
    )
  })
})

describe('free-space loss', () => {
  for (const [metres, decibels] of vectors.freeSpacePathLossDb.rows) {
    it(`is ${decibels} dB over ${metres} m`, () => {
      assert.ok(Math.abs(freeSpaceLoss(metres, CHANNEL) / 10 - decibels) <= 0.05)
    })
  }

  it('agrees with floating point over all distances', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20_000_000 }),
        fc.integer({ min: 100_000_000, max: 2_500_000_000 }),
        (metres, hertz) => {
          const exact = 200 * Math.log10((4 * Math.PI * metres * hertz) / 299_792_458)
          assertRounded(freeSpaceLoss(metres, hertz), exact)
        },
      ),
    )
  })

  it('counts a distance below a metre as one', () => {
    assert.equal(freeSpaceLoss(0, CHANNEL), freeSpaceLoss(1, CHANNEL))
  })

  it('refuses what is no distance or frequency', () => {
    for (const [metres, hertz] of [
      [-1, CHANNEL],
      [0.5, CHANNEL],
      [Number.NaN, CHANNEL],
      [1, 0],
      [1, 2.5],
    ] as const) {
      assert.throws(
        () => freeSpaceLoss(metres, hertz),
        (e: unknown) => e instanceof CairnError && e.code === 'badLevel',
      )
    }
  })
})

describe('link', () => {
  it('has the published noise floors', () => {
    for (const hertz of [125_000, 250_000, 500_000]) {
      const published = vectors.noiseFloorDbm[`${hertz}`]
      assert.ok(Math.abs(noiseFloor(hertz / 1_000) / 10 - published) <= 0.05)
    }
  })

  it('has the published demodulation limits', () => {
    for (let sf = 7; sf <= 12; sf++) {
      assert.equal(demodulationLimit(sf), vectors.demodulationSnrLimitDb[`SF${sf}`] * 10)
    }
    assert.throws(() => demodulationLimit(6), { code: 'badSpreadingFactor' })
    assert.throws(() => demodulationLimit(13), { code: 'badSpreadingFactor' })
  })

  it('adds up to sensitivity and budget', () => {
    assert.equal(sensitivity({ spreadingFactor: 7, bandwidth: 125 }), -1_245)
    assert.equal(sensitivity({ spreadingFactor: 12, bandwidth: 125 }), -1_370)
    assert.equal(linkBudget({ eirp: 160, gain: 20, spreadingFactor: 7, bandwidth: 125 }), 1_425)
    const level = freeSpaceLevel({ eirp: 160, gain: 20, distance: 1_000, frequency: CHANNEL })
    assert.equal(level, 180 - 912)
  })

  it('tells signal from noise with and without rssis', () => {
    assert.equal(noiseLevel({ rssi: -1_150, rssis: -1_200, snr: -30, bandwidth: 125 }), -1_170)
    // At an SNR of 0 dB signal and noise are each 3 dB below their sum.
    assert.equal(noiseLevel({ rssi: -1_140, snr: 0, bandwidth: 125 }), -1_170)
    assert.equal(signalLevel({ rssi: -1_140, snr: 0 }), -1_170)
    assert.equal(signalLevel({ rssi: -1_140, rssis: -1_199, snr: 0 }), -1_199)
    assert.equal(noiseLevel({ rssi: -1_140, snr: 0, bandwidth: 250 }), -1_200)
    assert.equal(noiseLevel({ rssi: -1_140, snr: 0, bandwidth: 500 }), -1_230)
  })

  it('takes a level apart into the two that add up to it', () => {
    const level = fc.integer({ min: -1_500, max: 0 })
    const snr = fc.integer({ min: -300, max: 200 })
    fc.assert(
      fc.property(level, snr, (rssi, ratio) => {
        const signal = signalLevel({ rssi, snr: ratio })
        const noise = noiseLevel({ rssi, snr: ratio, bandwidth: 125 })
        assert.ok(Math.abs(addLevels(signal, noise) - rssi) <= 1)
        assert.ok(Math.abs(signal - noise - ratio) <= 1)
      }),
    )
  })
})
