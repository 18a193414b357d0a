/** A contract's events in the chain's order, and what those up to a block make together. */
import type { BlockHeader } from '../ports.ts'

/** Values of recent queries that are kept: callers ask for the same few again and again. */
const VALUES_MAX = 8

export class Timeline<E extends { readonly block: BlockHeader }, V> {
  readonly #fold: (events: readonly E[]) => V
  #events: E[] = []
  /** By the number of events they were made from. */
  readonly #values = new Map<number, V>()

  /** `fold` is pure: the same events always make the same value. */
  constructor(fold: (events: readonly E[]) => V) {
    this.#fold = fold
  }

  /** Events so far. */
  get length(): number {
    return this.#events.length
  }

  /** Must not be of an earlier block than the last one. */
  push(event: E): void {
    this.#events.push(event)
  }

  /** What the events up to the end of a block make; the same object while there is no new one. */
  at(block: bigint): V {
    return this.#upTo(countUpTo(this.#events, block))
  }

  now(): V {
    return this.#upTo(this.#events.length)
  }

  /** With further events that are not pushed yet. */
  after(fresh: readonly E[]): V {
    return fresh.length === 0 ? this.now() : this.#fold([...this.#events, ...fresh])
  }

  /** Forgets the events after a block. */
  rollback(block: bigint): void {
    this.#events = this.#events.slice(0, countUpTo(this.#events, block))
    for (const count of this.#values.keys()) {
      if (count > this.#events.length) this.#values.delete(count)
    }
  }

  reset(): void {
    this.#events = []
    this.#values.clear()
  }

  #upTo(count: number): V {
    let value = this.#values.get(count)
    if (value === undefined) {
      value = this.#fold(this.#events.slice(0, count))
      this.#values.set(count, value)
      for (const oldest of this.#values.keys()) {
        if (this.#values.size <= VALUES_MAX) break
        this.#values.delete(oldest)
      }
    }
    return value
  }
}

/** Index of the first item that satisfies a condition which holds for all later ones too. */
export function firstIndex<T>(items: readonly T[], holds: (item: T) => boolean): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (holds(items[middle] as T)) high = middle
    else low = middle + 1
  }
  return low
}

/** How many of the events lie in blocks up to this one. */
function countUpTo(events: readonly { block: BlockHeader }[], block: bigint): number {
  return firstIndex(events, event => event.block.number > block)
}
