/** A number of bytes that may be promised at once, part of a larger one. */
export class Budget {
  readonly #max: number
  readonly #parent: Budget | undefined
  #taken = 0

  constructor({ max, parent }: { max: number; parent?: Budget }) {
    this.#max = max
    this.#parent = parent
  }

  /** True, and `bytes` less to give, unless this budget or one above it has not so many. */
  take(bytes: number): boolean {
    if (this.#taken + bytes > this.#max) return false
    if (this.#parent !== undefined && !this.#parent.take(bytes)) return false
    this.#taken += bytes
    return true
  }

  give(bytes: number): void {
    this.#taken -= bytes
    this.#parent?.give(bytes)
  }
}
