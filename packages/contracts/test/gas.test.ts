import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import { GAS_LIMITS, type GasFigures, gasFigures, SNAPSHOT } from './gas-figures.ts'

/** Signatures, hashes and times have more or fewer zero bytes, each of which costs 12 gas less. */
const TOLERANCE = 0.005

describe('gas', () => {
  const snapshot = JSON.parse(readFileSync(SNAPSHOT, 'utf8')) as GasFigures
  let figures: GasFigures
  before(async () => {
    figures = await gasFigures()
  })

  it('is what the snapshot says', () => {
    assert.deepEqual(Object.keys(figures), Object.keys(snapshot))
    for (const [name, gas] of Object.entries(figures)) {
      const expected = snapshot[name] as number
      const text = `${name}: ${gas}, in the snapshot ${expected}: npm run gas -- --write if it is meant`
      assert.ok(Math.abs(gas - expected) <= Math.max(1, TOLERANCE * expected), text)
    }
  })

  for (const [name, limit] of Object.entries(GAS_LIMITS)) {
    it(`of ${name} is at most ${limit}`, () => {
      const gas = figures[name]
      assert.ok(gas !== undefined && gas <= limit, `found ${gas}`)
    })
  }
})
