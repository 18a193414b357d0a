/** What the compiler's model checker proves within seconds; decision 0043 says of the rest. */
import { strict as assert } from 'node:assert'
import { needTool } from '../../../test/tools.ts'
import { modelCheck } from './smt.ts'

/** On a busy machine ten times what it takes, ms. */
const TIMEOUT_MS = 100_000

describe('the model checker', function () {
  this.timeout(2 * TIMEOUT_MS)

  before(() => needTool('z3'))

  const proofs: [string, number, RegExp][] = [
    ['H3', 5, /^H3\.sol:\d+ Underflow$/],
    ['CommitteeWord', 3, /^CommitteeWord\.sol:\d+ (Over|Under)flow$/],
  ]
  for (const [contract, least, rest] of proofs) {
    it(`proves of ${contract} that ${least} sums stay within their bounds`, () => {
      const { ended, proven, unproved } = modelCheck(contract, 'bmc', TIMEOUT_MS)
      assert.ok(ended)
      assert.ok(proven >= least, `${proven} proven, not ${unproved.join(', ')}`)
      for (const target of unproved) assert.match(target, rest)
    })
  }

  it('says of what does not end that it did not', () => {
    // H3 ends in a third of it.
    const { ended, proven } = modelCheck('Checkpoints', 'chc', 15_000)
    assert.deepEqual([ended, proven], [false, 0])
  })
})
