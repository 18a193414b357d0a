/**
 * Makes missing pieces of a group again out of any k others: ranges are fetched with their proof,
 * unmasked, and each missing shard computed and masked for its own place, so that the piece comes out
 * with the name that it had. Constant memory, whatever the size of the pieces; what lies between is the
 * sealed stream, which opens to nobody without a file's key.
 */
import { type Piece, pieceKey, RANGE_BYTES, ReedSolomon } from '@cairn/protocol'
import type { Pieces } from '../pieces/pieces.ts'
import { Mask } from './cipher.ts'
import type { DownloadComponents } from './download.ts'
import { Feed } from './feed.ts'
import { Fetcher } from './fetch.ts'
import type { PieceGroup } from './group-health.ts'

/** A group whose pieces can be made again. */
export interface OpenGroup extends PieceGroup {
  /** `shardKey` of each place; undefined: the same piece at every place, as it is. */
  readonly keys?: readonly Uint8Array[]
  /** Of a group without keys: the payload, where it is at hand. */
  readonly payload?: Uint8Array
}

export interface RemakeInit {
  group: OpenGroup
  /** Places to be made again. */
  places: readonly number[]
  /** Where the pieces are kept until they are placed. */
  spool: Pieces
  signal: AbortSignal
}

/**
 * Leaves the pieces of the places in the spool, and nothing when it throws: `fileUnavailable`, and
 * `pieceMismatch` for a group whose pieces do not fit each other.
 */
export async function remake(
  components: DownloadComponents,
  { group, places, spool, signal }: RemakeInit,
): Promise<void> {
  const stopped = new AbortController()
  const stopping = AbortSignal.any([signal, stopped.signal])
  const wanted = new Map(places.map(place => [pieceKey(group.pieces[place] as Piece), place]))
  const writers = [...wanted.values()].map(place => new PieceWriter(group, place, spool, stopping))
  try {
    for await (const rows of rowsOf(components, group, stopping)) {
      const shards = shardsOf(
        group,
        rows,
        writers.map(({ place }) => place),
      )
      await Promise.all(writers.map((writer, i) => writer.write(shards[i] as Uint8Array)))
    }
    await Promise.all(writers.map(writer => writer.end()))
  } catch (error) {
    stopped.abort(error)
    await Promise.all(writers.map(writer => writer.abort(error)))
    throw error
  }
}

interface Rows {
  readonly start: number
  /** As they are stored, by place; k of them. */
  readonly masked: ReadonlyMap<number, Uint8Array>
}

/** k rows of one range after the other. */
async function* rowsOf(
  components: DownloadComponents,
  { pieces, data, payload: whole }: OpenGroup,
  signal: AbortSignal,
): AsyncGenerator<Rows> {
  if (whole !== undefined) {
    yield { start: 0, masked: new Map([[0, whole]]) }
    return
  }
  const fetcher = new Fetcher(components)
  const { payload } = pieces[0] as Piece
  for (let start = 0; start < payload; start += RANGE_BYTES) {
    const stop = Math.min(payload, start + RANGE_BYTES)
    const masked = await fetcher.rows({
      start,
      stop,
      wanted: data,
      sources: async () => {
        const holders = await components.holders(pieces)
        return pieces.flatMap((piece, place) =>
          (holders.get(pieceKey(piece)) ?? []).map(peer => ({ place, piece, peer })),
        )
      },
      signal,
    })
    yield { start, masked }
  }
}

/** Unmasked shards of the places wanted. The code works byte by byte, so that a range is a shard. */
function shardsOf(
  { pieces, data, keys }: OpenGroup,
  { start, masked }: Rows,
  wanted: readonly number[],
): Uint8Array[] {
  if (keys === undefined) {
    const [row] = masked.values()
    return wanted.map(() => row as Uint8Array)
  }
  const code = new ReedSolomon({ data, total: pieces.length })
  const shards = pieces.map((_, place) => {
    const row = masked.get(place)
    return row && new Mask(keys[place] as Uint8Array, start).apply(row)
  })
  return code.reconstruct(shards, wanted)
}

/** One piece on its way into the spool. */
class PieceWriter {
  readonly place: number
  readonly #piece: Piece
  readonly #spool: Pieces
  readonly #feed = new Feed()
  readonly #mask: Mask | undefined
  readonly #stored: Promise<Piece>

  constructor({ pieces, keys }: OpenGroup, place: number, spool: Pieces, signal: AbortSignal) {
    this.place = place
    this.#piece = pieces[place] as Piece
    this.#spool = spool
    this.#mask = keys && new Mask(keys[place] as Uint8Array)
    this.#stored = spool.put(this.#feed, { expected: this.#piece, signal })
    // It may never have read of the feed: whoever pushes must not wait for it.
    this.#stored.catch((error: unknown) => this.#feed.fail(error))
  }

  async write(shard: Uint8Array): Promise<void> {
    await this.#feed.push(this.#mask?.apply(shard) ?? shard)
  }

  async end(): Promise<void> {
    this.#feed.end()
    await this.#stored
  }

  /** Leaves nothing in the spool. */
  async abort(error: unknown): Promise<void> {
    this.#feed.fail(error)
    const [outcome] = await Promise.allSettled([this.#stored])
    if (outcome?.status === 'fulfilled') await this.#spool.delete(this.#piece)
  }
}
