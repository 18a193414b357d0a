/** What was settled, per epoch: of an accepted one it never changes, so it is summed up once. */
import type { Paid, Payout, Settlement } from '@cairn/protocol'

/** Epochs kept: the newest, and those that somebody who explains a verdict pages through. */
export const EPOCHS_KEPT = 4

export interface SettledEpoch extends Paid {
  /** Leaves of the checkpoint's payouts, by account. */
  readonly payouts: readonly Payout[]
}

/** What is kept of a settlement. */
export function settledEpoch({ kinds, votes, landings, state }: Settlement): SettledEpoch {
  return { kinds, votes, landings, payouts: state.core.payouts }
}

type Known = SettledEpoch | undefined

export class SettledEpochs {
  readonly #recompute: (epoch: number) => Promise<Known>
  /** By epoch, the longest unused first. */
  readonly #kept = new Map<number, Promise<Known>>()

  /** `recompute` resolves with undefined while an epoch cannot be summed up here; it is asked again. */
  constructor(recompute: (epoch: number) => Promise<Known>) {
    this.#recompute = recompute
  }

  /** Keeps what was computed for the checkpoint that was accepted. */
  keep(epoch: number, settled: SettledEpoch): void {
    this.#put(epoch, Promise.resolve(settled))
  }

  /** Rejects as `recompute` does. Those who ask at once share one sum. */
  async of(epoch: number): Promise<Known> {
    const sum = this.#kept.get(epoch) ?? this.#recompute(epoch)
    this.#put(epoch, sum)
    const forget = () => {
      if (this.#kept.get(epoch) === sum) this.#kept.delete(epoch)
    }
    try {
      const settled = await sum
      if (settled === undefined) forget()
      return settled
    } catch (error) {
      forget()
      throw error
    }
  }

  #put(epoch: number, sum: Promise<Known>): void {
    this.#kept.delete(epoch)
    this.#kept.set(epoch, sum)
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= EPOCHS_KEPT) break
      this.#kept.delete(oldest)
    }
  }
}
