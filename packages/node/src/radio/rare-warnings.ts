import type { Clock, Log } from '../ports.ts'

/** The same trouble is logged once in so many ms: whoever can send datagrams must not fill a disk. */
const LOG_EVERY_MS = 60_000

/** Warns of each kind of trouble, seldom. */
export class RareWarnings {
  readonly #clock: Clock
  readonly #log: Log
  /** When each kind was last logged. */
  readonly #logged = new Map<string, number>()

  constructor({ clock, log }: { clock: Clock; log: Log }) {
    this.#clock = clock
    this.#log = log
  }

  /** `kind` is one of a few words of the code, never what came in. */
  warn(kind: string, facts: object, text: string): void {
    const now = this.#clock.now()
    const last = this.#logged.get(kind)
    if (last !== undefined && now - last < LOG_EVERY_MS) return
    this.#logged.set(kind, now)
    this.#log.warn({ kind, ...facts }, text)
  }
}
