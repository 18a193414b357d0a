import {
  checkExpected,
  checkLength,
  checkRange,
  checkRoom,
  type Pieces,
  type PieceUsage,
  type PutPieceOptions,
  pieceMissing,
} from '@cairn/node'
import {
  CommpHasher,
  enclosingRange,
  type LeafProof,
  leafProof,
  type Piece,
  type PieceRange,
  pieceKey,
  type RangeProof,
  rangeNeighbours,
  subtreeRange,
  type UpperTree,
  upperTree,
} from '@cairn/protocol'

interface Held {
  piece: Piece
  payload: Uint8Array
  tree: UpperTree
}

/** Pieces in memory: every promise of it settles within microtasks. */
export class MemoryPieces implements Pieces {
  readonly #quota: number
  readonly #held = new Map<string, Held>()
  readonly #lost = new Map<string, Piece>()
  #used = 0

  constructor({ quota = Number.POSITIVE_INFINITY }: { quota?: number } = {}) {
    this.#quota = quota
  }

  has(piece: Piece): boolean {
    return this.#held.has(pieceKey(piece))
  }

  list(): Piece[] {
    return [...this.#held.values()].map(({ piece }) => piece)
  }

  held(): Piece[] {
    return [...this.list(), ...this.lost()]
  }

  lost(): Piece[] {
    return [...this.#lost.values()]
  }

  usage(): PieceUsage {
    return { used: this.#used, quota: this.#quota }
  }

  async put(
    source: AsyncIterable<Uint8Array>,
    { expected, signal }: PutPieceOptions = {},
  ): Promise<Piece> {
    if (expected !== undefined) checkRoom(this.usage(), expected.payload)
    const hasher = new CommpHasher()
    const parts: Uint8Array[] = []
    for await (const part of source) {
      signal?.throwIfAborted()
      checkLength(hasher.payload + part.length, expected)
      hasher.update(part)
      checkRoom(this.usage(), hasher.payload)
      parts.push(part.slice())
    }
    const { piece, subtrees } = hasher.digest()
    checkExpected(piece, expected)
    if (this.has(piece)) return piece
    const tree = upperTree(piece, subtrees)
    this.#lost.delete(pieceKey(piece))
    this.#held.set(pieceKey(piece), { piece, payload: Buffer.concat(parts), tree })
    this.#used += piece.payload
    return piece
  }

  async read(piece: Piece, offset: number, length: number): Promise<Uint8Array> {
    const { payload } = this.#get(piece)
    checkRange(piece, offset, length)
    return new Uint8Array(payload.subarray(offset, offset + length))
  }

  async readProven(range: PieceRange): Promise<RangeProof> {
    const { tree } = this.#get(range.piece)
    const enclosing = enclosingRange(range)
    const { offset, length } = enclosing
    const payload = await this.read(range.piece, offset, length)
    return { payload, neighbours: rangeNeighbours(tree, enclosing) }
  }

  async prove(piece: Piece, index: number): Promise<LeafProof> {
    const { payload, tree } = this.#get(piece)
    const { offset, length } = subtreeRange(piece, index)
    return leafProof({ tree, index, payload: payload.subarray(offset, offset + length) })
  }

  async delete(piece: Piece): Promise<void> {
    this.#lost.delete(pieceKey(piece))
    if (this.#held.delete(pieceKey(piece))) this.#used -= piece.payload
  }

  /** Takes a piece away, as a scrub does that finds it damaged. */
  async lose(piece: Piece): Promise<void> {
    await this.delete(piece)
    this.#lost.set(pieceKey(piece), piece)
  }

  /** Flips a bit of what is held, as a failing disk does. */
  damage(piece: Piece, offset: number): void {
    const { payload } = this.#get(piece)
    payload[offset] = (payload[offset] as number) ^ 1
  }

  #get(piece: Piece): Held {
    const held = this.#held.get(pieceKey(piece))
    if (held === undefined) throw pieceMissing(piece)
    return held
  }
}
