type State = 'open' | 'ended' | 'closed' | { error: unknown }

/** Hands parts to a reader, one at a time: whoever pushes waits until the part is taken. */
export class Feed implements AsyncIterable<Uint8Array> {
  #waiting: { part: Uint8Array; taken: () => void } | undefined
  #wake: (() => void) | undefined
  #state: State = 'open'

  /** One push at a time. Resolves too when nobody reads any more: the reader's own error says why. */
  push(part: Uint8Array): Promise<void> {
    if (this.#state !== 'open') return Promise.resolve()
    return new Promise(taken => {
      this.#waiting = { part, taken }
      this.#wake?.()
    })
  }

  /** The reader ends after what was pushed. */
  end(): void {
    this.#close('ended')
  }

  /** The reader throws. */
  fail(error: unknown): void {
    this.#close({ error })
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        if (this.#waiting !== undefined) {
          const { part, taken } = this.#waiting
          this.#waiting = undefined
          taken()
          yield part
        } else if (this.#state === 'open') {
          await new Promise<void>(wake => {
            this.#wake = wake
          })
        } else if (typeof this.#state === 'object') throw this.#state.error
        else return
      }
    } finally {
      this.#close('closed')
    }
  }

  #close(state: Exclude<State, 'open'>): void {
    if (this.#state === 'open') this.#state = state
    if (state === 'ended') {
      this.#wake?.()
      return
    }
    this.#waiting?.taken()
    this.#waiting = undefined
    this.#wake?.()
  }
}
