import { type Clock, type Timer, untilTime } from '@cairn/node'

/**
 * A clock on which waiting takes hardly any time: whoever waits finds that it is later. What is read
 * from a disk takes any time meanwhile, so that only lower bounds of times mean something.
 */
export class EagerClock implements Clock {
  #now = 1_700_000_000_000
  readonly #delayMs: number

  constructor({ delayMs = 0 } = {}) {
    this.#delayMs = delayMs
  }

  now(): number {
    return this.#now
  }

  monotonic(): number {
    return this.#now * 1_000
  }

  at(time: number, task: () => void): Timer {
    const fire = () => {
      this.#now = Math.max(this.#now, time)
      task()
    }
    if (this.#delayMs === 0) {
      const handle = setImmediate(fire)
      return { cancel: () => clearImmediate(handle) }
    }
    const handle = setTimeout(fire, this.#delayMs)
    return { cancel: () => clearTimeout(handle) }
  }

  until(time: number, signal?: AbortSignal): Promise<void> {
    return untilTime((at, task) => this.at(at, task), time, signal)
  }
}
