/**
 * From the sealed stream to pieces: each segment is coded into n shards, each shard masked for its
 * place, and the shards of a place are written behind each other into the spool as one piece. A group
 * is given on when its pieces are whole; the next one is encoded while it is taken away.
 */
import { type FileLayout, groupKey, type Piece, ReedSolomon, shardKey } from '@cairn/protocol'
import type { Pieces } from '../pieces/pieces.ts'
import { Mask } from './cipher.ts'
import { Feed } from './feed.ts'

export interface EncoderInit {
  shape: Pick<FileLayout, 'data' | 'total' | 'segmentsPerGroup'>
  /** `maskKey`. */
  mask: Uint8Array
  /** Where pieces are kept until they are placed. */
  spool: Pieces
  signal: AbortSignal
}

export interface EncodedGroup {
  readonly number: number
  /** By place. */
  readonly pieces: readonly Piece[]
}

/** A transform for `it-pipe`, from whole segments to groups. */
export function encodeGroups(
  init: EncoderInit,
): (segments: AsyncIterable<Uint8Array>) => AsyncGenerator<EncodedGroup> {
  return async function* encode(segments) {
    const { data, total, segmentsPerGroup } = init.shape
    const code = new ReedSolomon({ data, total })
    const parity = new Parity(code)
    let number = 0
    let written = 0
    let group: GroupWriter | undefined
    try {
      for await (const segment of segments) {
        group ??= new GroupWriter(init, number)
        await group.write(shardsOf(parity, segment))
        if (++written < segmentsPerGroup) continue
        const pieces = await group.end()
        group = undefined
        written = 0
        yield { number: number++, pieces }
      }
      const last = group
      group = undefined
      if (last !== undefined) yield { number, pieces: await last.end() }
    } catch (error) {
      await group?.abort(error)
      throw error
    }
  }
}

/** The pieces of one group while they grow. */
class GroupWriter {
  readonly #spool: Pieces
  readonly #places: { feed: Feed; mask: Mask; stored: Promise<Piece> }[]
  #failure: { error: unknown } | undefined

  constructor({ shape, mask, spool, signal }: EncoderInit, number: number) {
    this.#spool = spool
    const key = groupKey(mask, number)
    this.#places = Array.from({ length: shape.total }, (_, place) => {
      const feed = new Feed()
      const stored = spool.put(feed, { signal })
      stored.catch((error: unknown) => {
        this.#failure ??= { error }
        // It may never have read of the feed: whoever pushes must not wait for it.
        feed.fail(error)
      })
      return { feed, mask: new Mask(shardKey(key, place)), stored }
    })
  }

  async write(shards: readonly Uint8Array[]): Promise<void> {
    await Promise.all(
      this.#places.map(({ feed, mask }, place) =>
        feed.push(mask.apply(shards[place] as Uint8Array)),
      ),
    )
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async end(): Promise<Piece[]> {
    for (const { feed } of this.#places) feed.end()
    try {
      return await Promise.all(this.#places.map(({ stored }) => stored))
    } catch (error) {
      await this.abort(error)
      throw error
    }
  }

  /** Leaves nothing in the spool. */
  async abort(error: unknown): Promise<void> {
    for (const { feed } of this.#places) feed.fail(error)
    const outcomes = await Promise.allSettled(this.#places.map(({ stored }) => stored))
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') await this.#spool.delete(outcome.value)
    }
  }
}

/** A segment's n shards; the last segment is filled up with zeros to k equal ones. */
function shardsOf(parity: Parity, segment: Uint8Array): Uint8Array[] {
  const { data } = parity.code.shape
  const length = Math.ceil(segment.length / data)
  const whole = segment.length === length * data ? segment : padded(segment, length * data)
  const shards = Array.from({ length: data }, (_, place) =>
    whole.subarray(place * length, (place + 1) * length),
  )
  return [...shards, ...parity.of(shards)]
}

/** Parity shards in the same memory each time: masking makes others of them. */
class Parity {
  readonly code: ReedSolomon
  #shards: Uint8Array[] = []

  constructor(code: ReedSolomon) {
    this.code = code
  }

  of(shards: Uint8Array[]): Uint8Array[] {
    const { data, total } = this.code.shape
    const length = shards[0]?.length ?? 0
    if (this.#shards[0]?.length !== length) {
      this.#shards = Array.from({ length: total - data }, () => new Uint8Array(length))
    }
    return this.code.encode(shards, this.#shards)
  }
}

function padded(bytes: Uint8Array, length: number): Uint8Array {
  const longer = new Uint8Array(length)
  longer.set(bytes)
  return longer
}
