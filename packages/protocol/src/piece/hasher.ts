import { invariant } from '../errors.ts'
import { Fr32 } from './fr32.ts'
import {
  checkPayload,
  NODE_BYTES,
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
/** Payload bytes hashed at once. */
export const BATCH_PAYLOAD = SUBTREES_PER_BATCH * SUBTREE_PAYLOAD

export interface HashedPiece {
  piece: Piece
  /** Roots of its 64 KiB subtrees, 32 bytes each: what a leaf is proven with, besides 64 KiB. */
  subtrees: Uint8Array
}

/** Hashes rows of subtrees, one after the other, in buffers of its own. */
export class BatchHasher {
  readonly #fr32 = new Fr32(BATCH_PAYLOAD)

  /** Where the payload of a row goes: room for `BATCH_PAYLOAD` bytes. */
  get payload(): Uint8Array {
    return this.#fr32.payload
  }

  /**
   * The roots of the first `length` bytes of `payload`, 32 bytes each. `height` is that of the
   * subtrees: lower than usual where a piece is a single small one.
   */
  roots(length: number, height: number): Uint8Array {
    this.payload.fill(0, length)
    return topOf(this.#fr32.pad(length), 0, height)
  }
}

/** Hashes a piece as its payload streams by; holds 2 MiB and the subtrees' roots (0.05 %). */
export class CommpHasher {
  readonly #batch = new BatchHasher()
  #staged = 0
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
    checkPayload(this.#payload + bytes.length)
    this.#payload += bytes.length
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + BATCH_PAYLOAD - this.#staged)
      this.#batch.payload.set(part, this.#staged)
      this.#staged += part.length
      at += part.length
      if (this.#staged === BATCH_PAYLOAD) this.#hashStaged(SUBTREE_HEIGHT)
    }
    return this
  }

  digest(): HashedPiece {
    invariant(!this.#digested, 'a piece is digested once')
    this.#digested = true
    const size = { payload: this.#payload }
    if (this.#staged > 0 || this.#roots.length === 0) this.#hashStaged(subtreeHeight(size))
    return pieceOfRows(this.#payload, this.#roots)
  }

  #hashStaged(height: number): void {
    this.#roots.push(this.#batch.roots(this.#staged, height))
    this.#staged = 0
  }
}

/** Hashes a piece that is in memory. */
export function hashPiece(payload: Uint8Array): HashedPiece {
  return new CommpHasher().update(payload).digest()
}

/** The piece over rows of subtrees' roots that were hashed apart, in order. */
export function pieceOfRows(payload: number, rows: readonly Uint8Array[]): HashedPiece {
  const size = { payload }
  const subtrees = new Uint8Array(NODE_BYTES * subtreeCount(size))
  let at = 0
  for (const roots of rows) {
    subtrees.set(roots, at)
    at += roots.length
  }
  invariant(at === subtrees.length, 'the rows are those of the payload')
  const root = topOf(subtrees, subtreeHeight(size), treeHeight(size))
  return { piece: { root: root.slice(), payload }, subtrees }
}
