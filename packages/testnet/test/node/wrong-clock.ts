import type { Clock, Timer } from '@cairn/node'

/** A clock that can be wrong, and stand still as a machine does that is suspended. */
export class WrongClock implements Clock {
  readonly #right: Clock
  readonly #follows: boolean
  offsetMs = 0
  #asleep: (() => void)[] | undefined

  /**
   * `follows`: what waits when the clock is set back waits for its time to come again, as on a machine's
   * own clock; else as long as it would have without that.
   */
  constructor(right: Clock, { follows = false } = {}) {
    this.#right = right
    this.#follows = follows
  }

  now(): number {
    return this.#right.now() + this.offsetMs
  }

  monotonic(): number {
    return this.#right.monotonic()
  }

  at(time: number, task: () => void): Timer {
    let cancelled = false
    const run = () => {
      if (cancelled) return
      if (this.#asleep === undefined) task()
      else this.#asleep.push(run)
    }
    const arm = (): Timer => this.#right.at(time - this.offsetMs, due)
    const due = () => {
      if (this.#follows && this.now() < time) timer = arm()
      else run()
    }
    let timer = arm()
    return {
      cancel: () => {
        cancelled = true
        timer.cancel()
      },
    }
  }

  async until(time: number, signal?: AbortSignal): Promise<void> {
    await this.#right.until(time - this.offsetMs, signal)
  }

  sleep(): void {
    this.#asleep ??= []
  }

  wake(): void {
    const due = this.#asleep ?? []
    this.#asleep = undefined
    for (const task of due) task()
  }
}
