import { strict as assert } from 'node:assert'
import { Rate } from '@cairn/node'

describe('rate', () => {
  function rate(perSecond: number) {
    const time = { now: 1_000_000 }
    const clock = {
      now: () => time.now,
      monotonic: () => time.now * 1_000,
      at: () => ({ cancel() {} }),
      until: async () => {},
    }
    const bucket = new Rate({ clock }, { perSecond })
    const taken = (tries: number) => Array.from({ length: tries }, () => bucket.take())
    return { time, count: (tries: number) => taken(tries).filter(Boolean).length }
  }

  it('lets a second’s worth through at once, then as many as time brings', () => {
    const { time, count } = rate(10)
    assert.equal(count(50), 10)
    time.now += 250
    assert.equal(count(50), 2)
    time.now += 60_000
    assert.equal(count(50), 10)
  })

  it('takes nothing away when the clock is set back', () => {
    const { time, count } = rate(10)
    assert.equal(count(4), 4)
    time.now -= 3_600_000
    assert.equal(count(50), 6)
    time.now += 1_000
    assert.equal(count(50), 10)
  })
})
