/**
 * What a volume holds, so that nobody has to walk over it. An entry is written before the names on
 * the volume change and again after: whatever a crash leaves undone stands in the catalogue, and is
 * done, or undone, when the volume is opened.
 *
 * It can be made again from the volume, and is when it is not complete.
 */
import { ContainerType, decode, Piece, Uint8, Uint32 } from '@cairn/protocol'
import type { Store, Write } from '../ports.ts'

export const PieceState = {
  /** Whole under its name, for all that is known. */
  kept: 1,
  /** About to get its name; it counts when payload and tree are there. */
  arriving: 2,
  /** About to be removed. */
  leaving: 3,
  /** About to be moved apart: its bytes are not what the name says. */
  suspect: 4,
  /** Moved apart. */
  damaged: 5,
} as const
export type PieceState = (typeof PieceState)[keyof typeof PieceState]

export interface CatalogEntry {
  readonly piece: Piece
  readonly state: PieceState
  /** Bytes taken on the volume: payload and tree, or what was moved apart. */
  readonly bytes: number
}

export interface ScrubProgress {
  /** When this round began, and when the last whole one ended; ms since 1970, 0: never. */
  began: number
  finished: number
  /** The piece after which it goes on; undefined at a round's beginning. */
  after: Piece | undefined
}

const Entry = new ContainerType({ state: Uint8, bytes: Uint32 }, { typeName: 'CatalogEntry' })
const Seconds = Uint32
const Progress = new ContainerType(
  { began: Seconds, finished: Seconds, between: Uint8, after: Piece },
  { typeName: 'ScrubProgress' },
)

const Table = { pieces: 1, complete: 2, scrub: 3 } as const
/** Entries written at once when a catalogue is made again. */
const PAGE = 1_000
const NO_PIECE: Piece = { root: new Uint8Array(32), payload: 0 }

export class Catalog {
  readonly #store: Store

  /** A key space of its own. */
  constructor({ store }: { store: Store }) {
    this.#store = store
  }

  /** False before the first time, and while it is being made again. */
  async complete(): Promise<boolean> {
    return (await this.#store.get(Uint8Array.of(Table.complete))) !== undefined
  }

  async *entries(): AsyncGenerator<CatalogEntry> {
    const range = { gte: Uint8Array.of(Table.pieces), lt: Uint8Array.of(Table.pieces + 1) }
    for await (const [key, value] of this.#store.range(range)) {
      const piece = decode(Piece, key.slice(1))
      const { state, bytes } = decode(Entry, value)
      yield { piece, state: state as PieceState, bytes }
    }
  }

  async set(entry: CatalogEntry, { sync = false } = {}): Promise<void> {
    await this.#store.batch([put(entry)], { sync })
  }

  async remove(piece: Piece): Promise<void> {
    await this.#store.batch([{ key: keyOf(piece) }])
  }

  /** Replaces everything; a crash in between leaves a catalogue that is not complete. */
  async replace(entries: readonly CatalogEntry[]): Promise<void> {
    await this.clear()
    await this.#paged(entries.map(put))
    const complete = { key: Uint8Array.of(Table.complete), value: new Uint8Array(0) }
    await this.#store.batch([complete], { sync: true })
  }

  /** Holds nothing then, and is not complete. */
  async clear(): Promise<void> {
    await this.#store.batch([{ key: Uint8Array.of(Table.complete) }], { sync: true })
    const old: Write[] = []
    for await (const { piece } of this.entries()) old.push({ key: keyOf(piece) })
    await this.#paged(old)
  }

  async scrub(): Promise<ScrubProgress> {
    const bytes = await this.#store.get(Uint8Array.of(Table.scrub))
    if (bytes === undefined) return { began: 0, finished: 0, after: undefined }
    const { began, finished, between, after } = decode(Progress, bytes)
    return {
      began: 1_000 * began,
      finished: 1_000 * finished,
      after: between === 1 ? after : undefined,
    }
  }

  async setScrub({ began, finished, after }: ScrubProgress): Promise<void> {
    const value = Progress.serialize({
      began: Math.floor(began / 1_000),
      finished: Math.floor(finished / 1_000),
      between: after === undefined ? 0 : 1,
      after: after ?? NO_PIECE,
    })
    await this.#store.batch([{ key: Uint8Array.of(Table.scrub), value }])
  }

  async #paged(writes: readonly Write[]): Promise<void> {
    for (let at = 0; at < writes.length; at += PAGE) {
      await this.#store.batch(writes.slice(at, at + PAGE))
    }
  }
}

/** Pieces in order of their roots, so that a scrub has an order to go on in. */
function keyOf(piece: Piece): Uint8Array {
  return Uint8Array.of(Table.pieces, ...Piece.serialize(piece))
}

function put({ piece, state, bytes }: CatalogEntry): Write {
  return { key: keyOf(piece), value: Entry.serialize({ state, bytes }) }
}
