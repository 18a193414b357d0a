import { strict as assert } from 'node:assert'
import { ROUNDS, roundIn, roundStart, TESTNET_PROFILE, WINDOWS, windowOf } from '@cairn/protocol'
import fc from 'fast-check'

const calendar = { genesis: 1_700_000_000, profile: TESTNET_PROFILE }

describe('a round', () => {
  it('has the window of its committee above it, and begins when any committee’s would', () => {
    const round = fc.nat(ROUNDS - 1)
    fc.assert(
      fc.property(round, fc.nat(2 ** 40), (n, window) => {
        const found = roundIn(window, n)
        assert.ok(Number.isInteger(found) && found >= 0 && found < 2 ** 32)
        assert.equal(windowOf(found), window % WINDOWS)
        assert.equal(roundStart(calendar, 7, found), roundStart(calendar, 7, n))
      }),
    )
    assert.equal(roundIn(0, 5), 5)
    assert.equal(roundIn(2, 5), 2_097_157)
  })
})
