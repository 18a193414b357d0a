/**
 * Pieces on their way to providers. Each is given only to the peers that were asked to keep it, and
 * of several that race for one place only the first to come to its end gets its last range: whoever
 * loses never has the whole piece, and so never signs.
 */
import {
  CairnError,
  enclosingRange,
  type Piece,
  type PieceRange,
  pieceKey,
  type RangeProof,
} from '@cairn/protocol'
import type { Pieces } from '../pieces/pieces.ts'
import { pieceMissing } from '../pieces/refusals.ts'

/** A peer that may pull a piece, for one place of a group. */
export interface Offer {
  readonly piece: Piece
  readonly place: number
  readonly peer: string
  /** Called when the peer is given the end of the piece. */
  onEnd?(): void
}

interface Offered {
  /** By peer. */
  readonly peers: Map<string, Offer>
  /** Who comes first to the end, by place. */
  readonly first: Map<number, string>
}

export class Spool {
  readonly pieces: Pieces
  readonly #offered = new Map<string, Offered>()

  constructor(pieces: Pieces) {
    this.pieces = pieces
  }

  offer(offer: Offer): void {
    const key = pieceKey(offer.piece)
    const offered = this.#offered.get(key) ?? { peers: new Map(), first: new Map() }
    offered.peers.set(offer.peer, offer)
    this.#offered.set(key, offered)
  }

  withdraw({ piece, place, peer }: Offer): void {
    const key = pieceKey(piece)
    const offered = this.#offered.get(key)
    if (offered?.peers.get(peer)?.place !== place) return
    offered.peers.delete(peer)
    if (offered.first.get(place) === peer) offered.first.delete(place)
    if (offered.peers.size === 0) this.#offered.delete(key)
  }

  /** What `servePieces` asks: to others than those it is offered to a piece is not here. */
  has(piece: Piece, peer: string): boolean {
    return this.#offered.get(pieceKey(piece))?.peers.has(peer) === true && this.pieces.has(piece)
  }

  /** Throws `busy` while another peer of the place has come to the end first. */
  async readProven(range: PieceRange, peer: string): Promise<RangeProof> {
    const { piece } = range
    const offered = this.#offered.get(pieceKey(piece))
    const offer = offered?.peers.get(peer)
    if (offered === undefined || offer === undefined) throw pieceMissing(piece)
    const { offset, length } = enclosingRange(range)
    if (offset + length === piece.payload) {
      const { place } = offer
      const first = offered.first.get(place) ?? peer
      if (first !== peer) throw new CairnError('busy', 'another provider was faster')
      offered.first.set(place, first)
      offer.onEnd?.()
    }
    return await this.pieces.readProven(range)
  }
}
