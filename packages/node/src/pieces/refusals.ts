/** The errors of every implementation of `Pieces`, and the rules they stand for. */
import { CairnError, equalBytes, type Piece, pieceCid } from '@cairn/protocol'
import type { PieceUsage } from './pieces.ts'

export function checkRoom({ used, quota }: PieceUsage, needed: number): void {
  if (used + needed <= quota) return
  throw new CairnError('volumeFull', 'the piece does not fit on the volume', {
    facts: { needed, used, quota, free: Math.max(0, quota - used) },
    next: 'raise the quota, add a volume, or delete pieces',
  })
}

export function checkExpected(found: Piece, expected: Piece | undefined): void {
  if (expected === undefined) return
  if (found.payload === expected.payload && equalBytes(found.root, expected.root)) return
  throw new CairnError('pieceMismatch', 'the bytes are not those of the piece', {
    facts: { expected: pieceCid(expected), found: pieceCid(found) },
    next: 'fetch the piece from another holder',
  })
}

/** A source may not send more than the piece has: it could go on for ever. */
export function checkLength(payload: number, expected: Piece | undefined): void {
  if (expected === undefined || payload <= expected.payload) return
  throw new CairnError('pieceMismatch', 'there are more bytes than the piece has', {
    facts: { expected: expected.payload, found: payload },
  })
}

export function checkRange(piece: Piece, offset: number, length: number): void {
  const whole = Number.isInteger(offset) && Number.isInteger(length)
  if (whole && offset >= 0 && length >= 0 && offset + length <= piece.payload) return
  throw new CairnError('badRange', 'the range is not within the piece', {
    facts: { offset, length, payload: piece.payload },
  })
}

export function pieceMissing(piece: Piece): CairnError {
  return new CairnError('pieceMissing', 'the piece is not here', {
    facts: { piece: pieceCid(piece) },
  })
}

export function pieceDamaged(piece: Piece, cause?: unknown): CairnError {
  return new CairnError('pieceDamaged', 'a file of the piece is not as it was written', {
    facts: { piece: pieceCid(piece) },
    cause,
    next: 'delete the piece and fetch it again from another holder',
  })
}
