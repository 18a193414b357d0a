import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { capped, type Fees, higher, raised } from '../../src/chain/fees.ts'

const price = fc.bigInt({ min: 0n, max: 10n ** 15n })
const fees = fc.record({ maxFeePerGas: price, maxPriorityFeePerGas: price })
const both = ({ maxFeePerGas, maxPriorityFeePerGas }: Fees) => [maxFeePerGas, maxPriorityFeePerGas]

describe('fees', () => {
  it('are raised by a tenth at least, each of them, as nodes want of a replacement', () => {
    fc.assert(
      fc.property(fees, before => {
        const after = both(raised(before))
        for (const [i, fee] of both(before).entries()) {
          const raise = (after[i] as bigint) - fee
          assert.ok(raise > 0n && 10n * raise >= fee, `${fee} by ${raise}`)
        }
      }),
    )
  })

  it('outbid both others where they are the higher of each', () => {
    const [a, b] = [
      { maxFeePerGas: 5n, maxPriorityFeePerGas: 1n },
      { maxFeePerGas: 4n, maxPriorityFeePerGas: 2n },
    ]
    assert.deepEqual(higher(a, b), { maxFeePerGas: 5n, maxPriorityFeePerGas: 2n })
    assert.deepEqual(higher(b, a), higher(a, b))
  })

  it('are no higher than the cap, nor the producer’s part higher than the fee', () => {
    fc.assert(
      fc.property(fees, price, (before, cap) => {
        const [fee = 0n, part = 0n] = both(capped(before, cap))
        assert.ok(fee === cap || (fee === before.maxFeePerGas && fee < cap))
        assert.ok(part <= fee && part <= before.maxPriorityFeePerGas)
      }),
    )
    const below = { maxFeePerGas: 9n, maxPriorityFeePerGas: 3n }
    assert.deepEqual(capped(below, 10n), below)
  })
})
