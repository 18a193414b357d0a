/**
 * Cuts a stream of bytes into pieces without holding any of them: each piece is a stream of its own,
 * to be read to its end before the next one begins.
 */
import { invariant } from '@cairn/protocol'

export type Bytes = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

/** A transform for `it-pipe`; an empty source gives no piece. */
export function split(pieceBytes: number): (source: Bytes) => AsyncGenerator<Bytes> {
  invariant(Number.isInteger(pieceBytes) && pieceBytes > 0, 'a piece has a positive length')
  return source => splitSource(source, pieceBytes)
}

async function* splitSource(source: Bytes, pieceBytes: number): AsyncGenerator<Bytes> {
  const rest = new Rest(source)
  try {
    while (await rest.fill()) {
      let left = pieceBytes
      yield take()
      invariant(left === 0 || rest.ended, 'a piece is read to its end before the next one')

      async function* take(): AsyncGenerator<Uint8Array> {
        while (left > 0 && (await rest.fill())) {
          const part = rest.take(left)
          left -= part.length
          yield part
        }
      }
    }
  } finally {
    await rest.close()
  }
}

/** What a source gave last and nobody took yet. */
class Rest {
  readonly #iterator: AsyncIterator<Uint8Array> | Iterator<Uint8Array>
  #bytes: Uint8Array = new Uint8Array(0)
  ended = false

  constructor(source: Bytes) {
    this.#iterator =
      Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  }

  /** False when there are no more bytes. */
  async fill(): Promise<boolean> {
    while (this.#bytes.length === 0 && !this.ended) {
      const { done, value } = await this.#iterator.next()
      if (done === true) this.ended = true
      else this.#bytes = value
    }
    return this.#bytes.length > 0
  }

  take(atMost: number): Uint8Array {
    const part = this.#bytes.subarray(0, atMost)
    this.#bytes = this.#bytes.subarray(part.length)
    return part
  }

  async close(): Promise<void> {
    if (!this.ended) await this.#iterator.return?.()
  }
}
