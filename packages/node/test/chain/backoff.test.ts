import { strict as assert } from 'node:assert'
import { backoffMs } from '@cairn/node'
import fc from 'fast-check'

const POLL_MS = 500

describe('the wait between rounds that nobody answers', () => {
  const wait = (failures: number, chance: number) =>
    backoffMs(failures, { pollMs: POLL_MS, random: () => Uint8Array.of(chance) })

  it('is the poll interval while all is well', () => {
    assert.equal(wait(0, 255), POLL_MS)
  })

  it('doubles up to three seconds', () => {
    assert.deepEqual(
      [1, 2, 3, 4, 5_000].map(failures => wait(failures, 0)),
      [1_000, 2_000, 3_000, 3_000, 3_000],
    )
  })

  it('is shorter by chance, by less than a quarter, so that nodes do not come as one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), fc.nat(255), (failures, chance) => {
        const longest = wait(failures, 0)
        const found = wait(failures, chance)
        assert.ok(found <= longest && found > 0.75 * longest)
        if (chance > 0) assert.notEqual(found, wait(failures, chance - 1))
      }),
    )
  })
})
