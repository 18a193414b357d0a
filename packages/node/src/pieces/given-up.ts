/**
 * What volumes held that were given up. Whoever pays for it is to be told, also by a node that was
 * started anew since. It is forgotten once it is here again, or no deal needs it.
 */
import { type Piece, pieceKey } from '@cairn/protocol'
import type { Store } from '../ports.ts'
import { Catalog, PieceState } from './catalog.ts'

export class GivenUp {
  readonly #catalog: Catalog
  readonly #pieces = new Map<string, Piece>()

  private constructor(catalog: Catalog) {
    this.#catalog = catalog
  }

  /** Over a key space of its own. */
  static async open(store: Store): Promise<GivenUp> {
    const givenUp = new GivenUp(new Catalog({ store }))
    for await (const { piece } of givenUp.#catalog.entries()) {
      givenUp.#pieces.set(pieceKey(piece), piece)
    }
    return givenUp
  }

  list(): Piece[] {
    return [...this.#pieces.values()]
  }

  /** Durable when it resolves. */
  async add(pieces: readonly Piece[]): Promise<void> {
    for (const [at, piece] of pieces.entries()) {
      const entry = { piece, state: PieceState.damaged, bytes: 0 }
      // Writes follow each other: the last one makes those before it durable, too.
      await this.#catalog.set(entry, { sync: at === pieces.length - 1 })
      this.#pieces.set(pieceKey(piece), piece)
    }
  }

  async remove(piece: Piece): Promise<void> {
    if (this.#pieces.delete(pieceKey(piece))) await this.#catalog.remove(piece)
  }
}
