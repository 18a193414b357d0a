/** Turns that are taken one after the other, the most urgent first, and among equals the first come. */
import { check } from '@cairn/protocol'

/** Turns that wait, the one that is taken among them. */
const LINE_MAX = 64

interface Turn {
  rank: number
  take(): Promise<void>
}

export class Line {
  readonly #turns: Turn[] = []
  #taking: Promise<void> | undefined

  /** Turns that wait, the one that is taken among them. */
  get length(): number {
    return this.#turns.length
  }

  get isFull(): boolean {
    return this.#turns.length >= LINE_MAX
  }

  /** Resolves once no turn is left. */
  async empty(): Promise<void> {
    await this.#taking
  }

  /**
   * Runs when it is this one's turn: of those that wait, the lowest rank goes first. Who is told to
   * stop leaves the line, or a stop would wait for all that are before it. Throws `queueFull`.
   */
  async turn<T>(rank: number, run: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    check(!this.isFull, 'queueFull', `${LINE_MAX} transactions wait already`)
    return await new Promise<T>((resolve, reject) => {
      const leave = () => {
        this.#turns.splice(this.#turns.indexOf(turn), 1)
        reject(signal?.reason)
      }
      const turn: Turn = {
        rank,
        take: () => {
          signal?.removeEventListener('abort', leave)
          return run().then(resolve, reject)
        },
      }
      signal?.addEventListener('abort', leave, { once: true })
      this.#turns.push(turn)
      this.#taking ??= this.#take()
    })
  }

  async #take(): Promise<void> {
    // Those that are asked for in one go stand in line before the first is taken.
    await Promise.resolve()
    for (;;) {
      const next = this.#turns.toSorted((a, b) => a.rank - b.rank)[0]
      if (next === undefined) break
      await next.take()
      this.#turns.splice(this.#turns.indexOf(next), 1)
    }
    this.#taking = undefined
  }
}
