import { strict as assert } from 'node:assert'
import {
  airtime,
  bandOf,
  cellCentre,
  channelsOf,
  EU868,
  planHolds,
  REGIONAL_PLANS,
  regionalPlan,
} from '@cairn/protocol'
import { latLngToCell } from 'h3-js'

const at = (lat: number, lng: number) => cellCentre(BigInt(`0x${latLngToCell(lat, lng, 12)}`))

describe('regional plans', () => {
  it('have distinct codes, and channels within their bands', () => {
    assert.equal(new Set(REGIONAL_PLANS.map(p => p.code)).size, REGIONAL_PLANS.length)
    for (const plan of REGIONAL_PLANS) {
      assert.equal(regionalPlan(plan.code), plan)
      for (const channel of plan.channelSets.flat()) {
        const band = bandOf(plan, channel)
        assert.ok(band && channel - 62_500 >= band.from && channel + 62_500 <= band.to)
      }
    }
  })

  it('have bands that do not overlap', () => {
    for (const plan of REGIONAL_PLANS) {
      plan.bands.forEach((band, i) => {
        assert.ok(band.from < band.to && band.duty > 0 && band.duty <= 1_000_000)
        const next = plan.bands[i + 1]
        assert.ok(next === undefined || band.to <= next.from)
      })
    }
  })

  it('refuse an unknown code and an unknown sub-band', () => {
    assert.throws(() => regionalPlan(0), { code: 'unknownRegion' })
    assert.equal(channelsOf(EU868, 0)?.length, 8)
    assert.equal(channelsOf(EU868, 1), undefined)
  })
})

describe('EU868', () => {
  it('limits duty cycle and power by band', () => {
    const limits = (hertz: number) => {
      const band = bandOf(EU868, hertz)
      return band && [band.duty, band.maxEirp]
    }
    assert.deepEqual(limits(868_100_000), [10_000, 160])
    assert.deepEqual(limits(867_900_000), [10_000, 160])
    assert.deepEqual(limits(864_999_999), [1_000, 160])
    assert.deepEqual(limits(868_900_000), [1_000, 160])
    assert.deepEqual(limits(869_525_000), [100_000, 291])
    assert.equal(limits(868_650_000), undefined)
    assert.equal(limits(870_000_000), undefined)
    assert.equal(limits(915_000_000), undefined)
  })

  it('allows one SF12 beacon in 148 s', () => {
    const us = airtime({ bytes: 25, spreadingFactor: 12, bandwidth: 125 })
    const period = us / (bandOf(EU868, 868_100_000)?.duty ?? 0)
    assert.equal(Math.round(period), 148)
  })

  it('holds in Europe and nowhere near the other plans', () => {
    const inside = [
      [65.01, 25.47],
      [59.33, 18.07],
      [48.85, 2.35],
      [52.52, 13.4],
      [64.15, -21.94],
      [38.72, -9.14],
      [35.9, 14.51],
      [41.01, 28.98],
      [44.43, 26.1],
      [54.69, 25.28],
    ] as const
    const outside = [
      [40.71, -74.01],
      [-33.87, 151.21],
      [35.68, 139.69],
      [28.61, 77.21],
      [55.75, 37.62],
      [59.94, 30.31],
      [39.9, 116.4],
    ] as const
    for (const [lat, lng] of inside) assert.equal(planHolds(EU868, at(lat, lng)), true, `${lat}`)
    for (const [lat, lng] of outside) assert.equal(planHolds(EU868, at(lat, lng)), false, `${lat}`)
  })
})
