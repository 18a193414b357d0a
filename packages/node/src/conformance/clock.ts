import { strict as assert } from 'node:assert'
import { deadline } from '../clock.ts'
import type { Clock } from '../ports.ts'
import type { ConformanceCase } from './case.ts'

export interface ClockWorld {
  clock: Clock
  /** Lets at least `ms` of the clock's time go by and what was due happen. */
  pass(ms: number): Promise<void>
}

/** What every clock must do. */
export function clockCases(open: () => ClockWorld): ConformanceCase[] {
  const rule = (title: string, run: (world: ClockWorld) => Promise<void>): ConformanceCase => ({
    title,
    run: () => run(open()),
  })
  return [
    rule('runs a task once, not before its time', async ({ clock, pass }) => {
      const due = clock.now() + 20
      const ran: number[] = []
      clock.at(due, () => ran.push(clock.now()))
      await pass(100)
      assert.equal(ran.length, 1)
      assert.ok((ran[0] as number) >= due)
    }),
    rule('runs tasks in the order of their times', async ({ clock, pass }) => {
      const start = clock.now()
      const order: string[] = []
      clock.at(start + 60, () => order.push('third'))
      clock.at(start + 5, () => order.push('first'))
      clock.at(start + 30, () => order.push('second'))
      await pass(150)
      assert.deepEqual(order, ['first', 'second', 'third'])
    }),
    rule('runs a task of the past soon, but not at once', async ({ clock, pass }) => {
      let ran = false
      clock.at(clock.now() - 1_000, () => {
        ran = true
      })
      assert.equal(ran, false)
      await pass(20)
      assert.equal(ran, true)
    }),
    rule('never runs a cancelled task', async ({ clock, pass }) => {
      let ran = false
      const timer = clock.at(clock.now() + 10, () => {
        ran = true
      })
      timer.cancel()
      timer.cancel()
      await pass(50)
      assert.equal(ran, false)
    }),
    rule('keeps a task that is months away waiting', async ({ clock, pass }) => {
      let ran = false
      const timer = clock.at(clock.now() + 2 ** 33, () => {
        ran = true
      })
      await pass(20)
      assert.equal(ran, false)
      timer.cancel()
    }),
    rule('measures spans by a clock that goes on as time does', async ({ clock, pass }) => {
      const before = clock.monotonic()
      const started = clock.now()
      await pass(50)
      const micros = clock.monotonic() - before
      // The time of day may be stepped while the test runs, the span may not.
      const passed = 1_000 * (clock.now() - started)
      assert.ok(micros >= 45_000, `${micros} us in 50 ms`)
      assert.ok(Math.abs(micros - passed) < 1_000_000)
    }),
    rule('until resolves at its time', async ({ clock, pass }) => {
      const due = clock.now() + 20
      let at = 0
      const waiting = clock.until(due).then(() => {
        at = clock.now()
      })
      await pass(60)
      await waiting
      assert.ok(at >= due)
    }),
    rule('until rejects with the reason of the signal', async ({ clock, pass }) => {
      const controller = new AbortController()
      const reason = new Error('stopped')
      const waiting = assert.rejects(
        clock.until(clock.now() + 1_000, controller.signal),
        error => error === reason,
      )
      controller.abort(reason)
      await pass(10)
      await waiting
      await assert.rejects(clock.until(clock.now() + 5, controller.signal), e => e === reason)
    }),
    rule('a deadline aborts at its time unless it is cleared', async ({ clock, pass }) => {
      const kept = deadline(clock, clock.now() + 10)
      const cleared = deadline(clock, clock.now() + 10)
      cleared.clear()
      await pass(50)
      assert.equal(kept.signal.reason.name, 'TimeoutError')
      assert.equal(cleared.signal.aborted, false)
    }),
    rule('a deadline aborts with the reason of its parent', async ({ clock }) => {
      const parent = new AbortController()
      const child = deadline(clock, clock.now() + 60_000, parent.signal)
      const reason = new Error('stopped')
      parent.abort(reason)
      assert.equal(child.signal.reason, reason)
      const late = deadline(clock, clock.now() + 60_000, parent.signal)
      assert.equal(late.signal.reason, reason)
    }),
  ]
}
