/**
 * Messages of one epoch without a verdict, each under the name of what it waits for: what arrives
 * calls those that wait for it, and no others. Bounded in number, in bytes, and by author.
 */
import type { Envelope } from '@cairn/protocol'
import type { Source } from './ingest.ts'

/** Messages that may wait for a base or a subject, per epoch. */
export const WAITING_MAX = 4096
/** And so many bytes of them: an honest message has a few hundred. */
export const WAITING_MAX_BYTES = 4 * 1024 * 1024
/**
 * Of one author, once it is certain that it said them: more than are about one author's duties in an
 * epoch. What waits for the base counts for nobody, since anybody can have made it.
 */
export const WAITING_PER_AUTHOR_MAX = 128

/** What waits for the base of an epoch waits under this name. */
export const BASE = 'base'

/** A message without a verdict, and how and when it came. */
export interface WaitingMessage {
  readonly envelope: Envelope
  readonly source: Source
  /** Ms. */
  readonly at: number
  /** Who said it, where the signature was checked. */
  readonly author?: number
}

export class Waiting {
  readonly #byName = new Map<string, WaitingMessage[]>()
  readonly #byAuthor = new Map<number, number>()
  #size = 0
  #bytes = 0

  get size(): number {
    return this.#size
  }

  /** Of all bodies and signatures. */
  get bytes(): number {
    return this.#bytes
  }

  /** False, and nothing changes, where there is no room for it. */
  add(name: string, message: WaitingMessage): boolean {
    const { author } = message
    const bytes = bytesOf(message)
    if (this.#size >= WAITING_MAX || this.#bytes + bytes > WAITING_MAX_BYTES) return false
    if (author !== undefined) {
      const others = this.#byAuthor.get(author) ?? 0
      if (others >= WAITING_PER_AUTHOR_MAX) return false
      this.#byAuthor.set(author, others + 1)
    }
    const named = this.#byName.get(name)
    if (named === undefined) this.#byName.set(name, [message])
    else named.push(message)
    this.#size++
    this.#bytes += bytes
    return true
  }

  /** Takes out what waits under a name, in the order in which it came. */
  take(name: string): readonly WaitingMessage[] {
    const taken = this.#byName.get(name) ?? []
    this.#byName.delete(name)
    for (const message of taken) {
      this.#size--
      this.#bytes -= bytesOf(message)
      const { author } = message
      if (author === undefined) continue
      const others = (this.#byAuthor.get(author) ?? 0) - 1
      if (others > 0) this.#byAuthor.set(author, others)
      else this.#byAuthor.delete(author)
    }
    return taken
  }
}

function bytesOf({ envelope: { body, signature } }: WaitingMessage): number {
  return body.length + signature.length
}
