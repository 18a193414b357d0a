import { strict as assert } from 'node:assert'
import { Prng } from '@cairn/testnet'

const SEED = new Uint8Array(32).fill(1)

describe('prng', () => {
  it('gives the same numbers for the same seed and label, others for another', () => {
    const draw = (seed: Uint8Array, label: string) => {
      const prng = new Prng(seed, label)
      return Array.from({ length: 8 }, () => prng.u32())
    }
    assert.deepEqual(draw(SEED, 'a'), draw(SEED, 'a'))
    assert.notDeepEqual(draw(SEED, 'a'), draw(SEED, 'b'))
    assert.notDeepEqual(draw(SEED, 'a'), draw(new Uint8Array(32), 'a'))
  })

  it('draws every number below a bound about equally often', () => {
    const prng = new Prng(SEED, 'even')
    const counts = new Array<number>(10).fill(0)
    for (let i = 0; i < 100_000; i++) (counts[prng.below(10)] as number)++
    for (const count of counts) assert.ok(Math.abs(count - 10_000) < 500, `${counts}`)
  })

  it('hits a chance as often as it should', () => {
    const prng = new Prng(SEED, 'chance')
    let hits = 0
    for (let i = 0; i < 100_000; i++) if (prng.chance(0.1)) hits++
    assert.ok(Math.abs(hits - 10_000) < 500, `${hits}`)
    assert.equal(prng.chance(0), false)
  })

  it('shuffles a copy', () => {
    const list = Array.from({ length: 50 }, (_, i) => i)
    const shuffled = new Prng(SEED, 'shuffle').shuffled(list)
    assert.notDeepEqual(shuffled, list)
    assert.deepEqual(
      shuffled.toSorted((a, b) => a - b),
      list,
    )
  })
})
