/** What the kinds settled, per epoch: of an accepted one it never changes, so it is summed up once. */
import type { KindResult } from '@cairn/protocol'

/** Epochs kept: the newest, and those that somebody who explains a verdict pages through. */
export const EPOCHS_KEPT = 4

type Kinds = readonly KindResult[] | undefined

export class SettledKinds {
  readonly #recompute: (epoch: number) => Promise<Kinds>
  /** By epoch, the longest unused first. */
  readonly #kept = new Map<number, Promise<Kinds>>()

  /** `recompute` resolves with undefined while an epoch cannot be summed up here; it is asked again. */
  constructor(recompute: (epoch: number) => Promise<Kinds>) {
    this.#recompute = recompute
  }

  /** Keeps what was computed for the checkpoint that was accepted. */
  keep(epoch: number, kinds: readonly KindResult[]): void {
    this.#put(epoch, Promise.resolve(kinds))
  }

  /** Rejects as `recompute` does. Those who ask at once share one sum. */
  async of(epoch: number): Promise<Kinds> {
    const sum = this.#kept.get(epoch) ?? this.#recompute(epoch)
    this.#put(epoch, sum)
    const forget = () => {
      if (this.#kept.get(epoch) === sum) this.#kept.delete(epoch)
    }
    try {
      const kinds = await sum
      if (kinds === undefined) forget()
      return kinds
    } catch (error) {
      forget()
      throw error
    }
  }

  #put(epoch: number, sum: Promise<Kinds>): void {
    this.#kept.delete(epoch)
    this.#kept.set(epoch, sum)
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= EPOCHS_KEPT) break
      this.#kept.delete(oldest)
    }
  }
}
