import type { LeafProof, Piece, PieceRange, RangeProof } from '@cairn/protocol'

export interface PieceUsage {
  /** Bytes taken: payloads, and the roots kept beside them. */
  used: number
  quota: number
}

export interface PutPieceOptions {
  /** Refuse, with `pieceMismatch`, bytes that are not those of this piece. */
  expected?: Piece
  signal?: AbortSignal
}

/** Where pieces are kept: files on a volume, or the simulator's memory. */
export interface Pieces {
  has(piece: Piece): boolean
  /**
   * Keeps the bytes of one piece; durable when it resolves, and as if nothing had happened when it
   * rejects. Throws `volumeFull`, `pieceMismatch`, `pieceSize`, and what the source throws.
   */
  put(source: AsyncIterable<Uint8Array>, options?: PutPieceOptions): Promise<Piece>
  /** Payload bytes; throws `pieceMissing`, `badRange`, `pieceDamaged`. */
  read(piece: Piece, offset: number, length: number): Promise<Uint8Array>
  /**
   * The enclosing range, with its proof; the bytes are proven to whoever verifies them, not looked at
   * here. Throws `pieceMissing`, `badRange`, `pieceDamaged`.
   */
  readProven(range: PieceRange): Promise<RangeProof>
  /** One leaf with its path; throws `pieceMissing`, `pieceDamaged`. */
  prove(piece: Piece, leaf: number): Promise<LeafProof>
  list(): Piece[]
  /** Everything that takes space: also what is damaged, or on a volume that is away. */
  held(): Piece[]
  /** Was here, and is not whole any more. */
  lost(): Piece[]
  /** Nothing happens to a piece that is not here. */
  delete(piece: Piece): Promise<void>
  usage(): PieceUsage
}
