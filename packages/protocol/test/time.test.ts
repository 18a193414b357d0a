import { strict as assert } from 'node:assert'
import {
  type Calendar,
  durationText,
  epochAt,
  epochMs,
  epochStart,
  PUBLIC_PROFILE,
  slotAt,
  slotStart,
  TESTNET_PROFILE,
} from '@cairn/protocol'
import fc from 'fast-check'

const anyCalendar: fc.Arbitrary<Calendar> = fc.record({
  genesis: fc.integer({ min: 0, max: 4_000_000_000 }),
  profile: fc.record({
    slotMs: fc.integer({ min: 1, max: 600_000 }),
    slotsPerEpoch: fc.integer({ min: 1, max: 1_000 }),
  }),
})
const anyEpoch = fc.integer({ min: 0, max: 1_000_000 })

describe('time', () => {
  it('has hourly epochs on public networks and twelve seconds on a testnet', () => {
    assert.equal(epochMs({ genesis: 0, profile: PUBLIC_PROFILE }), 3_600_000)
    assert.equal(epochMs({ genesis: 0, profile: TESTNET_PROFILE }), 12_000)
  })

  it('counts epochs and slots from genesis', () => {
    const calendar = { genesis: 1_700_000_000, profile: TESTNET_PROFILE }
    assert.equal(epochStart(calendar, 0), 1_700_000_000_000)
    assert.equal(epochStart(calendar, 3), 1_700_000_036_000)
    assert.equal(slotStart(calendar, 3, 11), 1_700_000_047_000)
    assert.equal(epochAt(calendar, 1_700_000_047_999), 3)
    assert.equal(slotAt(calendar, 3, 1_700_000_047_999), 11)
  })

  it('is in an epoch from its first millisecond to the one before the next', () => {
    fc.assert(
      fc.property(anyCalendar, anyEpoch, (calendar, epoch) => {
        const start = epochStart(calendar, epoch)
        assert.equal(epochAt(calendar, start), epoch)
        assert.equal(epochAt(calendar, start - 1), epoch - 1)
        assert.equal(epochAt(calendar, start + epochMs(calendar) - 1), epoch)
      }),
    )
  })

  it('is negative before genesis', () => {
    const calendar = { genesis: 1_000, profile: TESTNET_PROFILE }
    assert.equal(epochAt(calendar, 999_999), -1)
    assert.equal(epochAt(calendar, 1_000_000 - 12_001), -2)
  })

  it('divides an epoch into slots without gap or overlap', () => {
    fc.assert(
      fc.property(anyCalendar, anyEpoch, fc.nat({ max: 999 }), (calendar, epoch, number) => {
        const slot = number % calendar.profile.slotsPerEpoch
        const start = slotStart(calendar, epoch, slot)
        assert.equal(slotAt(calendar, epoch, start), slot)
        assert.equal(slotAt(calendar, epoch, start - 1), slot - 1)
        assert.equal(epochAt(calendar, start), epoch)
      }),
    )
  })

  it('names slots outside of the epoch by numbers outside of the range', () => {
    const calendar = { genesis: 1_000, profile: TESTNET_PROFILE }
    assert.equal(slotAt(calendar, 1, epochStart(calendar, 1) - 1), -1)
    assert.equal(slotAt(calendar, 1, epochStart(calendar, 2)), 12)
    assert.equal(slotStart(calendar, 1, 12), epochStart(calendar, 2))
  })
})

describe('a duration', () => {
  it('is told in the largest unit that it is at least two of', () => {
    const texts = [0, 1, 119, 120, 7_199, 7_200, 86_401, 172_800].map(durationText)
    assert.deepEqual(texts, [
      '0 seconds',
      '1 second',
      '119 seconds',
      '2 minutes',
      '120 minutes',
      '2 hours',
      '24 hours',
      '2 days',
    ])
  })
})
