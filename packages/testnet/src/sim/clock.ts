/**
 * Virtual time: an ordered queue of events, run one at a time.
 *
 * Between two events everything that the first one set in motion must have come to rest, or the
 * order of a run would depend on the depth of some promise chain. Node drains all microtasks (and
 * ticks) after each callback of its immediate queue, so one event per immediate is enough; taking
 * many immediates per turn of the event loop saves the poll for I/O that a turn costs. This holds
 * for code that waits on promises and on this clock only: simulated nodes use no real I/O.
 */

import { type Clock, type Timer, untilTime } from '@cairn/node'
import { invariant } from '@cairn/protocol'

/** Events per turn of the event loop: enough to make the poll cheap, few enough for a Ctrl-C. */
const EVENTS_PER_TURN = 64

/** Cancelled timers are swept out of the queue when they are this many and half of it. */
const SWEEP_AT = 1_024

interface Event extends Timer {
  time: number
  /** Order of insertion: what breaks a tie. */
  order: number
  task: (() => void) | undefined
}

export interface VirtualClockInit {
  /** Ms since 1970 at which the clock stands. */
  start: number
}

export class VirtualClock implements Clock {
  #now: number
  #order = 0
  #cancelled = 0
  #running = false
  /** Binary heap by (time, order). */
  #queue: Event[] = []

  constructor({ start }: VirtualClockInit) {
    this.#now = start
  }

  now(): number {
    return this.#now
  }

  monotonic(): number {
    return this.#now * 1_000
  }

  /** Events that wait, cancelled ones not counted. */
  get pending(): number {
    return this.#queue.length - this.#cancelled
  }

  at(time: number, task: () => void): Timer {
    invariant(!Number.isNaN(time), 'a timer has a time')
    const event: Event = {
      time: Math.max(time, this.#now),
      order: this.#order++,
      task,
      cancel: () => {
        if (event.task === undefined) return
        event.task = undefined
        this.#cancelled++
        if (this.#cancelled >= SWEEP_AT && this.#cancelled * 2 > this.#queue.length) this.#sweep()
      },
    }
    this.#queue.push(event)
    this.#up(this.#queue.length - 1)
    return event
  }

  until(time: number, signal?: AbortSignal): Promise<void> {
    return untilTime((t, task) => this.at(t, task), time, signal)
  }

  /**
   * Runs every event up to and including `until` (ms), those that events add among them, and
   * leaves the clock there. Without `until`: until nothing waits. Resolves with the number of
   * events run; rejects with what an event threw.
   */
  run({ until = Number.POSITIVE_INFINITY }: { until?: number } = {}): Promise<number> {
    invariant(!this.#running, 'a virtual clock is run by one caller at a time')
    this.#running = true
    return new Promise((resolve, reject) => {
      let count = 0
      // Immediates left over in the turn that ended this run must not drive the next one.
      let over = false
      const step = (last: boolean) => {
        if (over) return
        const event = this.#pop(until)
        if (event === undefined) {
          over = true
          this.#running = false
          if (until !== Number.POSITIVE_INFINITY) this.#now = Math.max(this.#now, until)
          return resolve(count)
        }
        count++
        if (last) turn()
        try {
          event()
        } catch (cause) {
          over = true
          this.#running = false
          reject(cause)
        }
      }
      const turn = () => {
        for (let i = 1; i <= EVENTS_PER_TURN; i++) setImmediate(step, i === EVENTS_PER_TURN)
      }
      turn()
    })
  }

  /** Takes the next live event not after `until` and moves the clock to it. */
  #pop(until: number): (() => void) | undefined {
    for (;;) {
      const first = this.#queue[0]
      if (first === undefined || first.time > until) return undefined
      const last = this.#queue.pop() as Event
      if (last !== first) {
        this.#queue[0] = last
        this.#down(0)
      }
      const task = first.task
      if (task === undefined) {
        this.#cancelled--
        continue
      }
      first.task = undefined
      this.#now = first.time
      return task
    }
  }

  #sweep(): void {
    this.#queue = this.#queue.filter(event => event.task !== undefined)
    this.#cancelled = 0
    for (let i = (this.#queue.length >> 1) - 1; i >= 0; i--) this.#down(i)
  }

  #up(from: number): void {
    const queue = this.#queue
    const event = queue[from] as Event
    let i = from
    while (i > 0) {
      const parent = (i - 1) >> 1
      const above = queue[parent] as Event
      if (!before(event, above)) break
      queue[i] = above
      i = parent
    }
    queue[i] = event
  }

  #down(from: number): void {
    const queue = this.#queue
    const event = queue[from] as Event
    let i = from
    for (;;) {
      let child = 2 * i + 1
      if (child >= queue.length) break
      const right = queue[child + 1]
      if (right !== undefined && before(right, queue[child] as Event)) child++
      const below = queue[child] as Event
      if (!before(below, event)) break
      queue[i] = below
      i = child
    }
    queue[i] = event
  }
}

function before(a: Event, b: Event): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order)
}
