import { strict as assert } from 'node:assert'
import { epochText } from '../src/commands/status.ts'

describe('cairn status', () => {
  it('tells of the epoch, and before genesis of when that is', () => {
    const genesis = Date.UTC(2026, 10, 22)
    const epoch = (number: number) => ({
      number,
      slot: 3,
      slotsPerEpoch: 12,
      startsAt: genesis + number * 60_000,
      endsAt: genesis + (number + 1) * 60_000,
    })
    assert.equal(epochText(epoch(0), -1, genesis), 'epoch 0, slot 3 of 12; accepted up to -1')
    assert.equal(
      epochText(epoch(-105), -1, genesis - 6_290_000),
      'genesis at 2026-11-22T00:00:00Z, in 105 minutes',
    )
  })
})
