import { strict as assert } from 'node:assert'
import { setTimeout as sleep } from 'node:timers/promises'
import { clockCases, systemClock } from '@cairn/node'

describe('system clock', () => {
  for (const { title, run } of clockCases(() => ({ clock: systemClock(), pass: sleep }))) {
    it(title, run)
  }

  it('is off by its offset', () => {
    const ahead = systemClock({ offset: 3_600_000 }).now() - Date.now()
    assert.ok(Math.abs(ahead - 3_600_000) < 1_000)
  })

  it('runs what becomes due when it is set forward', async () => {
    const clock = systemClock()
    const waiting = clock.until(clock.now() + 3_600_000)
    clock.setOffset(3_600_000)
    await waiting
  })

  it('holds back what is not due yet when it is set back', async () => {
    const clock = systemClock()
    let ran = false
    const timer = clock.at(clock.now() + 20, () => {
      ran = true
    })
    clock.setOffset(-60_000)
    await sleep(60)
    assert.equal(ran, false)
    timer.cancel()
  })
})
