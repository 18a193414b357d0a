import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import { airtime } from '@cairn/protocol'

const { airtimeMs } = JSON.parse(
  readFileSync(new URL('../vectors/radio.json', import.meta.url), 'utf8'),
)

describe('airtime', () => {
  for (const bytes of [24, 25, 52]) {
    it(`of ${bytes} bytes equals the published rows`, () => {
      for (let sf = 7; sf <= 12; sf++) {
        const us = airtime({ bytes, spreadingFactor: sf, bandwidth: 125 })
        assert.ok(Math.abs(us / 1_000 - airtimeMs[`${bytes}`][`SF${sf}`]) <= 0.05, `SF${sf} ${us}`)
        assert.ok(Number.isInteger(us))
      }
    })
  }

  it('is exact in microseconds', () => {
    assert.equal(airtime({ bytes: 25, spreadingFactor: 7, bandwidth: 125 }), 61_696)
    assert.equal(airtime({ bytes: 52, spreadingFactor: 12, bandwidth: 125 }), 2_465_792)
    assert.equal(airtime({ bytes: 0, spreadingFactor: 12, bandwidth: 500, crc: false }), 165_888)
  })

  it('halves with twice the bandwidth while the symbols stay the same', () => {
    const narrow = airtime({ bytes: 25, spreadingFactor: 9, bandwidth: 125 })
    assert.equal(airtime({ bytes: 25, spreadingFactor: 9, bandwidth: 250 }) * 2, narrow)
    assert.equal(airtime({ bytes: 25, spreadingFactor: 9, bandwidth: 500 }) * 4, narrow)
  })

  it('refuses frames that LoRa does not have', () => {
    const frame = { bytes: 25, spreadingFactor: 7, bandwidth: 125 }
    for (const bad of [
      { ...frame, bytes: 256 },
      { ...frame, bytes: -1 },
      { ...frame, bytes: 1.5 },
      { ...frame, spreadingFactor: 6 },
      { ...frame, spreadingFactor: 13 },
      { ...frame, bandwidth: 100 },
      { ...frame, codingRate: 4 },
      { ...frame, preamble: 0 },
    ]) {
      assert.throws(() => airtime(bad), { code: 'badFrame' })
    }
  })
})
