import { strict as assert } from 'node:assert'
import { divide, type Part, PPM, ppm } from '@cairn/protocol'
import fc from 'fast-check'

function parts(weights: readonly bigint[]): Part<number>[] {
  return weights.map((weight, key) => ({ key, weight, order: String(key).padStart(4, '0') }))
}

const anyAmount = fc.bigInt({ min: 0n, max: 10n ** 24n })
const anyWeights = fc.array(fc.bigInt({ min: 0n, max: 10n ** 20n }), { maxLength: 30 })

describe('share in parts per million', () => {
  it('is rounded down', () => {
    assert.equal(ppm(10n, 333_333n), 3n)
    assert.equal(ppm(1n, PPM - 1n), 0n)
    assert.equal(ppm(7n, PPM), 7n)
    assert.equal(ppm(7n, 0n), 0n)
  })
})

describe('division', () => {
  it('gives out the whole amount, to the last unit', () => {
    fc.assert(
      fc.property(anyAmount, anyWeights, (amount, weights) => {
        const shares = [...divide(amount, parts(weights)).values()]
        const sum = shares.reduce((total, share) => total + share, 0n)
        const positive = weights.some(weight => weight > 0n)
        assert.equal(sum, positive ? amount : 0n)
      }),
    )
  })

  it('gives each within one unit of its exact share, and nothing to the weightless', () => {
    fc.assert(
      fc.property(anyAmount, anyWeights, (amount, weights) => {
        const total = weights.reduce((sum, weight) => sum + weight, 0n)
        for (const [key, share] of divide(amount, parts(weights))) {
          const weight = weights[key] as bigint
          const floor = (amount * weight) / total
          assert.ok(share === floor || share === floor + 1n)
          if ((amount * weight) % total === 0n) assert.equal(share, floor)
        }
      }),
    )
  })

  it('gives the units left to the largest remainders', () => {
    // Exact shares 1.4, 2.8, 5.6, 0.2: floors 1, 2, 5, 0 and two units left.
    const shares = divide(10n, parts([7n, 14n, 28n, 1n]))
    assert.deepEqual([...shares.values()], [1n, 3n, 6n, 0n])
    fc.assert(
      fc.property(anyAmount, anyWeights, (amount, weights) => {
        const total = weights.reduce((sum, weight) => sum + weight, 0n)
        if (total === 0n) return
        const rest = (key: number) => (amount * (weights[key] as bigint)) % total
        const shares = [...divide(amount, parts(weights))]
        const lucky = ([key, share]: [number, bigint]) =>
          share > (amount * (weights[key] as bigint)) / total
        for (const [winner] of shares.filter(lucky)) {
          for (const [loser] of shares.filter(share => !lucky(share))) {
            assert.ok(rest(winner) >= rest(loser))
            if (rest(winner) === rest(loser)) assert.ok(winner < loser)
          }
        }
      }),
    )
  })

  it('breaks ties by order, whatever the order of the parts', () => {
    const tied = ['c', 'a', 'b'].map(key => ({ key, weight: 1n, order: key }))
    for (const list of [tied, tied.toReversed()]) {
      const shares = divide(11n, list)
      assert.deepEqual([shares.get('a'), shares.get('b'), shares.get('c')], [4n, 4n, 3n])
    }
  })

  it('adds up parts of one key', () => {
    const twice = [
      { key: 'a', weight: 1n, order: '1' },
      { key: 'b', weight: 2n, order: '2' },
      { key: 'a', weight: 1n, order: '3' },
    ]
    assert.deepEqual(
      new Map(divide(100n, twice)),
      new Map([
        ['a', 50n],
        ['b', 50n],
      ]),
    )
  })

  it('of anything among nobody, or among the weightless, is empty', () => {
    assert.equal(divide(5n, []).size, 0)
    assert.equal(divide(5n, parts([0n, 0n])).size, 0)
  })

  it('of nothing gives everybody nothing', () => {
    assert.deepEqual([...divide(0n, parts([1n, 2n])).values()], [0n, 0n])
  })
})
