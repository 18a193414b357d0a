import { strict as assert } from 'node:assert'
import { clockCases } from '@cairn/node'
import { VirtualClock } from '@cairn/testnet'
import fc from 'fast-check'

const START = 1_700_000_000_000

describe('virtual clock', () => {
  const world = () => {
    const clock = new VirtualClock({ start: START })
    return {
      clock,
      pass: async (ms: number) => {
        await clock.run({ until: clock.now() + ms })
      },
    }
  }
  for (const { title, run } of clockCases(world)) it(title, run)

  it('stands still until it is run, then stands at the end of the run', async () => {
    const clock = new VirtualClock({ start: START })
    const due: number[] = []
    clock.at(START + 5, () => due.push(clock.now()))
    clock.at(START + 11, () => due.push(clock.now()))
    assert.equal(clock.now(), START)
    assert.equal(await clock.run({ until: START + 10 }), 1)
    assert.equal(clock.now(), START + 10)
    assert.equal(clock.pending, 1)
    assert.equal(await clock.run(), 1)
    assert.deepEqual(due, [START + 5, START + 11])
  })

  it('lets everything an event set in motion come to rest before the next one', async () => {
    const clock = new VirtualClock({ start: START })
    const log: string[] = []
    const chain = async (name: string, depth: number) => {
      for (let i = 0; i < depth; i++) await Promise.resolve()
      log.push(name)
    }
    for (let i = 0; i < 200; i++) {
      clock.at(START + 1, () => void chain(`${i}`, (i * 7) % 50))
    }
    await clock.run()
    assert.deepEqual(
      log,
      Array.from({ length: 200 }, (_, i) => `${i}`),
    )
  })

  it('does not run an event that the promises of an earlier one of its instant cancelled', async () => {
    const clock = new VirtualClock({ start: START })
    let ran = false
    clock.at(START + 1, () => {
      void Promise.resolve()
        .then(() => {})
        .then(() => second.cancel())
    })
    const second = clock.at(START + 1, () => {
      ran = true
    })
    await clock.run()
    assert.equal(ran, false)
  })

  it('passes on what an event throws and can be run again', async () => {
    const clock = new VirtualClock({ start: START })
    let ran = 0
    clock.at(START + 1, () => {
      throw new Error('broken')
    })
    clock.at(START + 2, () => ran++)
    await assert.rejects(clock.run(), /broken/)
    await clock.run()
    assert.equal(ran, 1)
  })

  it('keeps time and insertion order whatever is added and cancelled', async () => {
    const operations = fc.array(
      fc.record({ at: fc.nat(50), cancel: fc.option(fc.nat(200)), again: fc.option(fc.nat(20)) }),
      { maxLength: 300 },
    )
    await fc.assert(
      fc.asyncProperty(operations, async list => {
        const clock = new VirtualClock({ start: START })
        const ran: { time: number; order: number }[] = []
        const live = new Map<number, { due: number; cancel(): void }>()
        let order = 0
        const add = (due: number, again: number | null) => {
          const mine = order++
          const timer = clock.at(due, () => {
            live.delete(mine)
            ran.push({ time: clock.now(), order: mine })
            if (again !== null) add(clock.now() + again, null)
          })
          live.set(mine, { due, cancel: () => timer.cancel() })
        }
        for (const { at, cancel, again } of list) {
          add(START + at, again)
          if (cancel === null) continue
          live.get(cancel)?.cancel()
          live.delete(cancel)
        }
        await clock.run()
        assert.equal(live.size, 0)
        assert.equal(clock.pending, 0)
        for (let i = 1; i < ran.length; i++) {
          const [a, b] = [ran[i - 1], ran[i]] as [(typeof ran)[0], (typeof ran)[0]]
          assert.ok(a.time < b.time || (a.time === b.time && a.order < b.order))
        }
      }),
    )
  })

  it('sweeps cancelled timers out of its queue', async () => {
    const clock = new VirtualClock({ start: START })
    let ran = 0
    for (let i = 0; i < 10_000; i++) {
      const timer = clock.at(START + (i % 100), () => ran++)
      if (i % 10 !== 0) timer.cancel()
    }
    assert.equal(clock.pending, 1_000)
    await clock.run()
    assert.equal(ran, 1_000)
  })
})
