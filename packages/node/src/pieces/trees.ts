import { type Piece, pieceKey, type UpperTree } from '@cairn/protocol'

/** Trees in memory, bytes of their nodes: those of 64 GiB of pieces, a thousandth of them. */
export const TREES_MAX_BYTES = 64 * 1024 * 1024

/** Trees of the pieces that were asked for last, so that a transfer reads and checks each once. */
export class Trees {
  readonly #load: (piece: Piece) => Promise<UpperTree>
  /** Least recently used first. */
  readonly #trees = new Map<string, UpperTree>()
  #bytes = 0

  constructor(load: (piece: Piece) => Promise<UpperTree>) {
    this.#load = load
  }

  /** Bytes of the nodes held. */
  get bytes(): number {
    return this.#bytes
  }

  /** Rejects with what loading rejects with. */
  async get(piece: Piece): Promise<UpperTree> {
    const key = pieceKey(piece)
    const tree = this.#trees.get(key) ?? (await this.#load(piece))
    this.forget(piece)
    this.#trees.set(key, tree)
    this.#bytes += bytesOf(tree)
    for (const { piece: oldest } of this.#trees.values()) {
      if (this.#bytes <= TREES_MAX_BYTES) break
      this.forget(oldest)
    }
    return tree
  }

  forget(piece: Piece): void {
    const tree = this.#trees.get(pieceKey(piece))
    if (tree === undefined) return
    this.#trees.delete(pieceKey(piece))
    this.#bytes -= bytesOf(tree)
  }
}

function bytesOf({ levels }: UpperTree): number {
  return levels.reduce((sum, { length }) => sum + length, 0)
}
