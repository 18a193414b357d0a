/** Any cut of a stream of bytes. */
export type Bytes = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

/** A transform for `it-pipe`: cuts a stream anew into blocks of one length, of which the last may be
 * shorter. No two blocks share memory; a part that is a block already is passed on as it is. */
export function blocks(length: number): (source: Bytes) => AsyncGenerator<Uint8Array> {
  return async function* cut(source) {
    let block: Uint8Array | undefined
    let filled = 0
    for await (const part of source) {
      if (filled === 0 && part.length === length) {
        yield part
        continue
      }
      for (let at = 0; at < part.length; ) {
        const taken = part.subarray(at, at + length - filled)
        block ??= new Uint8Array(length)
        block.set(taken, filled)
        filled += taken.length
        at += taken.length
        if (filled < length) continue
        yield block
        block = undefined
        filled = 0
      }
    }
    if (block !== undefined) yield block.subarray(0, filled)
  }
}

/** Throws the signal's reason as soon as it aborts, even while the source is silent. */
export async function* abortable(source: Bytes, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const iterator =
    Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  let reject: (reason: unknown) => void = () => {}
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  let ended = false
  try {
    for (;;) {
      signal.throwIfAborted()
      // Not a race with one promise for all: that would hold every part until the last has passed.
      const next = await new Promise<IteratorResult<Uint8Array>>((resolve, fail) => {
        reject = fail
        Promise.resolve(iterator.next()).then(resolve, fail)
      })
      if (next.done === true) {
        ended = true
        return
      }
      yield next.value
    }
  } finally {
    signal.removeEventListener('abort', abort)
    // A source that is silent would end only with its next part: it is not waited for.
    if (!ended) void Promise.allSettled([iterator.return?.()])
  }
}

/** The bytes from `start` up to `end`; the source is left as soon as they are there. */
export async function* slice(
  source: Bytes,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  let at = 0
  for await (const part of source) {
    const wanted = part.subarray(Math.max(0, start - at), Math.max(0, end - at))
    at += part.length
    if (wanted.length > 0) yield wanted
    if (at >= end) return
  }
}
