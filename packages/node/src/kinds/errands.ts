/** Timers and promises of one part that begin with it and end with it. */
import type { Clock, Log, Timer } from '../ports.ts'

export class Errands {
  readonly #clock: Clock
  readonly #log: Log
  readonly #timers = new Set<Timer>()
  readonly #running = new Set<Promise<void>>()
  readonly #end = new AbortController()

  constructor({ clock, log }: { clock: Clock; log: Log }) {
    this.#clock = clock
    this.#log = log
  }

  /** Aborts when the part stops. */
  get signal(): AbortSignal {
    return this.#end.signal
  }

  /** Does `task` at `time` (ms), unless the part has stopped by then; its failure is reported. */
  at(time: number, task: () => Promise<void>): void {
    if (this.#end.signal.aborted) return
    const timer = this.#clock.at(time, () => {
      this.#timers.delete(timer)
      this.run(task)
    })
    this.#timers.add(timer)
  }

  run(task: () => Promise<void>): void {
    if (this.#end.signal.aborted) return
    const running = task()
      .catch((error: unknown) => {
        if (!this.#end.signal.aborted) this.#log.error({ err: error }, 'a duty failed')
      })
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Cancels what waits and resolves when what is under way has ended. */
  async stop(): Promise<void> {
    this.#end.abort()
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
    await Promise.all(this.#running)
  }
}
