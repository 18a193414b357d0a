import { strict as assert } from 'node:assert'
import { Conduct } from '@cairn/node'

describe('conduct', () => {
  function conduct() {
    const time = { now: 0 }
    const clock = {
      now: () => time.now,
      monotonic: () => time.now * 1_000,
      at: () => ({ cancel() {} }),
      until: async () => {},
    }
    const causes: string[] = []
    const count = (_: string, labels: object) => void causes.push(Object.values(labels)[0])
    return { time, causes, conduct: new Conduct({ clock, count }) }
  }

  it('costs a peer score, and the connection at the third broken frame', () => {
    const { conduct: peers, causes } = conduct()
    assert.equal(peers.score('a'), 0)
    peers.blame('a', 'malformed')
    peers.blame('a', 'oversized')
    assert.equal(peers.score('a'), -60)
    assert.equal(peers.banned('a'), false)
    peers.blame('a', 'malformed')
    assert.equal(peers.banned('a'), true)
    assert.equal(peers.banned('b'), false)
    assert.deepEqual(causes, ['malformed', 'oversized', 'malformed'])
  })

  it('is forgiven with time', () => {
    const { conduct: peers, time } = conduct()
    for (let i = 0; i < 3; i++) peers.blame('a', 'malformed')
    time.now += 10 * 60_000
    assert.equal(peers.score('a'), -45)
    assert.equal(peers.banned('a'), false)
  })

  it('is remembered of a bounded number of peers, the latest', () => {
    const { conduct: peers } = conduct()
    for (let i = 0; i < 5_000; i++) peers.blame(`peer ${i}`, 'flood')
    assert.equal(peers.score('peer 0'), 0)
    assert.equal(peers.score('peer 4999'), -30)
    const remembered = Array.from({ length: 5_000 }, (_, i) => peers.score(`peer ${i}`))
    assert.equal(remembered.filter(score => score !== 0).length, 1_024)
  })
})
