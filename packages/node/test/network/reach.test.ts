import { strict as assert } from 'node:assert'
import { type Clock, Reach } from '@cairn/node'
import { quietLog } from './world.ts'

/** A clock that the test moves from timer to timer. */
function steps() {
  const timers: { time: number; task: () => void }[] = []
  let now = 0
  const clock: Clock = {
    now: () => now,
    monotonic: () => now * 1_000,
    at(time, task) {
      const timer = { time, task }
      timers.push(timer)
      return {
        cancel: () => void (timers.includes(timer) && timers.splice(timers.indexOf(timer), 1)),
      }
    },
    until: () => Promise.reject(new Error('not used')),
  }
  return {
    clock,
    async runUntil(end: number) {
      for (;;) {
        timers.sort((a, b) => a.time - b.time)
        const next = timers[0]
        if (next === undefined || next.time > end) break
        timers.shift()
        now = Math.max(now, next.time)
        next.task()
        await new Promise(resolve => setImmediate(resolve))
      }
      now = end
    },
  }
}

function reach(bootstrap: string[] = ['hub']) {
  const { clock, runUntil } = steps()
  const online = new Set<string>()
  const connected = new Set<string>()
  const dials: { at: number; name: string }[] = []
  const keeper = new Reach(
    { clock, log: quietLog() },
    {
      bootstrap,
      connected: name => connected.has(name),
      peerCount: () => connected.size,
      async dial(name) {
        dials.push({ at: clock.now(), name })
        if (!online.has(name)) throw new Error('away')
        connected.add(name)
      },
    },
  )
  return { keeper, runUntil, online, connected, dials }
}

const MINUTE = 60_000

describe('reach', () => {
  it('looks for a bootstrap peer until it is there, ever more rarely', async () => {
    const { keeper, runUntil, online, connected, dials } = reach()
    keeper.start()
    await runUntil(10 * MINUTE)
    const waits = dials.slice(1).map(({ at }, i) => at - (dials[i]?.at as number))
    assert.deepEqual(waits.slice(0, 6), [1_000, 2_000, 4_000, 8_000, 16_000, 30_000])
    assert.ok(waits.slice(6).every(wait => wait === 30_000))
    online.add('hub')
    await runUntil(11 * MINUTE)
    assert.ok(connected.has('hub'))
    const count = dials.length
    await runUntil(60 * MINUTE)
    assert.equal(dials.length, count)
    keeper.stop()
  })

  it('looks for it again when the connection is lost', async () => {
    const { keeper, runUntil, online, connected, dials } = reach()
    online.add('hub')
    keeper.start()
    await runUntil(1)
    connected.delete('hub')
    keeper.lost('hub')
    await runUntil(MINUTE)
    assert.deepEqual(
      dials.map(({ at }) => at),
      [0, 1_001],
    )
    keeper.stop()
  })

  it('looks for another lost peer a few times only', async () => {
    const { keeper, runUntil, dials } = reach([])
    keeper.start()
    keeper.lost('friend')
    await runUntil(60 * MINUTE)
    assert.equal(dials.length, 6)
    keeper.stop()
  })

  it('looks for a bounded number of lost peers, and for none with peers enough', async () => {
    const { keeper, runUntil, connected, dials } = reach([])
    keeper.start()
    for (let i = 0; i < 500; i++) keeper.lost(`peer ${i}`)
    await runUntil(60 * MINUTE)
    assert.equal(new Set(dials.map(({ name }) => name)).size, 64)
    for (let i = 0; i < 16; i++) connected.add(`other ${i}`)
    keeper.lost('one more')
    await runUntil(120 * MINUTE)
    assert.ok(!dials.some(({ name }) => name === 'one more'))
    keeper.stop()
  })

  it('tries at once when told that something changed', async () => {
    const { keeper, runUntil, online, connected } = reach()
    keeper.start()
    await runUntil(10 * MINUTE)
    online.add('hub')
    keeper.retry()
    await runUntil(10 * MINUTE + 1)
    assert.ok(connected.has('hub'))
    keeper.stop()
  })

  it('does nothing more once it is stopped', async () => {
    const { keeper, runUntil, dials } = reach()
    keeper.start()
    await runUntil(1)
    keeper.stop()
    keeper.lost('hub')
    await runUntil(60 * MINUTE)
    assert.equal(dials.length, 1)
  })
})
