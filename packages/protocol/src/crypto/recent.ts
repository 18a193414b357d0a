/** A map that holds at most `max` entries and forgets the one least recently used. */
export class Recent<V> {
  readonly #max: number
  readonly #entries = new Map<string, V>()

  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#entries.size
  }

  /** The value for `bytes`, made once while it is remembered; nothing is kept if `make` throws. */
  get(bytes: Uint8Array, make: (bytes: Uint8Array) => V): V {
    const key = Reflect.apply(String.fromCharCode, null, bytes)
    const known = this.#entries.get(key)
    if (known !== undefined) {
      this.#entries.delete(key)
      this.#entries.set(key, known)
      return known
    }
    const value = make(bytes)
    if (this.#entries.size >= this.#max) {
      const [oldest] = this.#entries.keys()
      if (oldest !== undefined) this.#entries.delete(oldest)
    }
    this.#entries.set(key, value)
    return value
  }
}
