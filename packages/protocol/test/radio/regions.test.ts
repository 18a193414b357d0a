import { strict as assert } from 'node:assert'
import {
  airtime,
  bandOf,
  beaconPlan,
  cellCentre,
  channelsOf,
  EU868,
  PUBLIC_PROFILE,
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
      assert.equal(regionalPlan(plan.name), plan)
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

  it('refuse an unknown name and an unknown sub-band', () => {
    assert.throws(() => regionalPlan('US433'), { code: 'unknownRegion' })
    assert.equal(channelsOf(EU868, 0)?.length, 8)
    assert.equal(channelsOf(EU868, 1), undefined)
  })
})

describe('the plans outside Europe', () => {
  // RP002-1.0.4: first and last channel (Hz), sets of channels, highest EIRP (0.1 dBm), dwell (us).
  const published = [
    ['US915', 902_300_000, 914_900_000, 8, 270, 400_000],
    ['AU915', 915_200_000, 927_800_000, 8, 300, 400_000],
    ['AS923-1', 923_200_000, 924_600_000, 1, 160, 400_000],
    ['AS923-2', 921_400_000, 922_800_000, 1, 160, 400_000],
    ['AS923-3', 916_600_000, 918_000_000, 1, 160, 400_000],
    ['AS923-4', 917_300_000, 918_700_000, 1, 160, 400_000],
    ['KR920', 922_100_000, 923_300_000, 1, 140, undefined],
    ['IN865', 865_062_500, 865_985_000, 1, 300, undefined],
    ['RU864', 864_100_000, 869_100_000, 1, 160, undefined],
    ['CN470', 470_300_000, 489_300_000, 12, 191, 1_000_000],
  ] as const

  it('have the published channels and limits', () => {
    assert.deepEqual(
      REGIONAL_PLANS.slice(1).map(plan => {
        const channels = plan.channelSets.flat()
        const eirp = Math.max(...plan.bands.map(band => band.maxEirp))
        const { name, channelSets, dwell } = plan
        return [name, Math.min(...channels), Math.max(...channels), channelSets.length, eirp, dwell]
      }),
      published,
    )
  })

  it('let a beacon use the spreading factors whose frame keeps the dwell time', () => {
    const allowed = (name: string) => {
      const output = new Uint8Array(96)
      const { code } = regionalPlan(name)
      const seen = new Set<number>()
      for (let nonce = 0; nonce < 200; nonce++) {
        const plan = beaconPlan({
          output,
          nonce: new Uint8Array(32).fill(nonce),
          gateway: { region: code, subBand: 0 },
          profile: PUBLIC_PROFILE,
        })
        if (plan !== undefined) seen.add(plan.spreadingFactor)
      }
      return [Math.min(...seen), Math.max(...seen)]
    }
    // A frame of 25 bytes is 206 ms at SF9, 412 ms at SF10, 823 ms at SF11.
    for (const name of ['US915', 'AU915', 'AS923-1', 'AS923-4']) {
      assert.deepEqual(allowed(name), [7, 9], name)
    }
    assert.deepEqual(allowed('CN470'), [7, 11])
    for (const name of ['KR920', 'IN865', 'RU864', 'EU868']) {
      assert.deepEqual(allowed(name), [7, 12], name)
    }
  })

  it('hold where they are used', () => {
    const places = [
      ['US915', 40.71, -74.01],
      ['US915', 21.31, -157.86],
      ['US915', 43.65, -79.38],
      ['US915', 19.43, -99.13],
      ['AU915', -33.87, 151.21],
      ['AU915', -36.85, 174.76],
      ['AU915', -23.55, -46.63],
      ['AU915', -34.6, -58.38],
      ['AS923-1', 35.68, 139.69],
      ['AS923-1', 1.35, 103.82],
      ['AS923-1', 25.03, 121.57],
      ['AS923-2', 21.03, 105.85],
      ['AS923-2', -6.21, 106.85],
      ['AS923-3', 14.6, 120.98],
      ['AS923-4', 32.09, 34.78],
      ['KR920', 37.57, 126.98],
      ['IN865', 28.61, 77.21],
      ['RU864', 55.75, 37.62],
      ['CN470', 39.9, 116.4],
    ] as const
    for (const [name, lat, lng] of places) {
      assert.equal(planHolds(regionalPlan(name), at(lat, lng)), true, `${name} ${lat}`)
    }
    for (const { name } of REGIONAL_PLANS) {
      if (name !== 'EU868')
        assert.equal(planHolds(regionalPlan(name), at(48.85, 2.35)), false, name)
    }
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
