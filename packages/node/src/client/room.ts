/** Space that several share in order of asking: a large one is not passed by small ones for ever. */
export class Room {
  readonly #max: number
  readonly #waiting: { bytes: number; enter: () => void }[] = []
  #taken = 0

  constructor({ max }: { max: number }) {
    this.#max = max
  }

  /** Resolves when there is room, with how to give it back; rejects with the signal's reason. */
  async take(bytes: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted()
    const wanted = Math.min(bytes, this.#max)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiting = { bytes: wanted, enter: resolve }
    const abort = () => {
      const at = this.#waiting.indexOf(waiting)
      if (at === -1) return
      this.#waiting.splice(at, 1)
      reject(signal.reason)
      this.#admit()
    }
    this.#waiting.push(waiting)
    signal.addEventListener('abort', abort, { once: true })
    this.#admit()
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', abort)
    }
    return () => {
      this.#taken -= wanted
      this.#admit()
    }
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#taken + next.bytes > this.#max) return
      this.#waiting.shift()
      this.#taken += next.bytes
      next.enter()
    }
  }
}
