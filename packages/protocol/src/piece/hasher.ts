import { check, invariant } from '../errors.ts'
import { Fr32 } from './fr32.ts'
import {
  NODE_BYTES,
  PIECE_PAYLOAD_MAX,
  type Piece,
  SUBTREE_HEIGHT,
  SUBTREE_PAYLOAD,
  subtreeCount,
  subtreeHeight,
  treeHeight,
} from './piece.ts'
import { topOf } from './tree.ts'

/** Subtrees hashed at once: the levels of 1 MiB are long enough for the batch hasher. */
const SUBTREES_PER_BATCH = 16
const BATCH_PAYLOAD = SUBTREES_PER_BATCH * SUBTREE_PAYLOAD

export interface HashedPiece {
  piece: Piece
  /** Roots of its 64 KiB subtrees, 32 bytes each: what a leaf is proven with, besides 64 KiB. */
  subtrees: Uint8Array
}

/** Hashes a piece as its payload streams by; holds 2 MiB and the subtrees' roots (0.05 %). */
export class CommpHasher {
  readonly #fr32 = new Fr32(BATCH_PAYLOAD)
  #stagedBytes = 0
  #payload = 0
  readonly #roots: Uint8Array[] = []
  #digested = false

  /** Payload bytes so far. */
  get payload(): number {
    return this.#payload
  }

  /** Throws `pieceSize` beyond the largest piece. */
  update(bytes: Uint8Array): this {
    invariant(!this.#digested, 'a digested hasher takes no more bytes')
    const payload = this.#payload + bytes.length
    check(
      payload <= PIECE_PAYLOAD_MAX,
      'pieceSize',
      `a piece has at most ${PIECE_PAYLOAD_MAX} bytes`,
      {
        facts: { payload, max: PIECE_PAYLOAD_MAX },
        next: 'split the data into smaller pieces',
      },
    )
    this.#payload = payload
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + BATCH_PAYLOAD - this.#stagedBytes)
      this.#fr32.payload.set(part, this.#stagedBytes)
      this.#stagedBytes += part.length
      at += part.length
      if (this.#stagedBytes === BATCH_PAYLOAD) this.#hashStaged(SUBTREE_HEIGHT)
    }
    return this
  }

  digest(): HashedPiece {
    invariant(!this.#digested, 'a piece is digested once')
    this.#digested = true
    const size = { payload: this.#payload }
    const height = subtreeHeight(size)
    if (this.#stagedBytes > 0 || this.#roots.length === 0) this.#hashStaged(height)
    const subtrees = new Uint8Array(NODE_BYTES * subtreeCount(size))
    let at = 0
    for (const roots of this.#roots) {
      subtrees.set(roots, at)
      at += roots.length
    }
    const root = topOf(subtrees, height, treeHeight(size))
    return { piece: { root: root.slice(), payload: this.#payload }, subtrees }
  }

  #hashStaged(height: number): void {
    this.#fr32.payload.fill(0, this.#stagedBytes)
    this.#roots.push(topOf(this.#fr32.pad(this.#stagedBytes), 0, height))
    this.#stagedBytes = 0
  }
}

/** Hashes a piece that is in memory. */
export function hashPiece(payload: Uint8Array): HashedPiece {
  return new CommpHasher().update(payload).digest()
}
