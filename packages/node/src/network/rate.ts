import type { Clock } from '../ports.ts'

/** A token bucket: `perSecond` on average, and as many at once after a quiet second. */
export class Rate {
  readonly #clock: Clock
  readonly #perSecond: number
  #tokens: number
  #at: number

  constructor({ clock }: { clock: Clock }, { perSecond }: { perSecond: number }) {
    this.#clock = clock
    this.#perSecond = perSecond
    this.#tokens = perSecond
    this.#at = clock.now()
  }

  /** True, and one token less, unless the bucket is empty. */
  take(): boolean {
    const now = this.#clock.now()
    // A clock that was set back must not take tokens away.
    const elapsed = Math.max(now - this.#at, 0)
    this.#at = now
    this.#tokens = Math.min(this.#tokens + (elapsed * this.#perSecond) / 1_000, this.#perSecond)
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}
