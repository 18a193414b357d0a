import { strict as assert } from 'node:assert'
import { judgeMutuality } from '../../../../src/kinds/coverage/graph/mutuality.ts'
import { FULL } from '../../../../src/kinds/coverage/graph/ramp.ts'

const way = (heard: number) => ({ heard, measured: 0, loss: 0 })

/** Heard so many frames of others, and so many own ones were heard. */
function judge(hears: number, heardBy: number, beacons = 3) {
  const tie = { peer: 1, spreading: 600, hears: way(hears), heardBy: way(heardBy) }
  return judgeMutuality([tie], beacons, () => FULL)
}

describe('mutuality', () => {
  it('asks nothing in return for the first twelve frames', () => {
    assert.equal(judge(12, 0).witnessing, FULL)
    assert.equal(judge(13, 0).witnessing, 0)
    assert.equal(judge(0, 12).beaconing, FULL)
    assert.equal(judge(0, 13).beaconing, 0)
  })

  it('asks for one in return for each two of the rest', () => {
    assert.equal(judge(112, 50).witnessing, FULL)
    assert.equal(judge(112, 49).witnessing, 980_000)
    assert.equal(judge(49, 112).beaconing, 980_000)
    assert.equal(judge(112, 49).beaconing, FULL)
  })

  it('judges nobody by fewer than three beacons', () => {
    assert.equal(judge(112, 0, 2).witnessing, FULL)
  })
})
