import { invariant } from '../errors.ts'
import { FR32_PAYLOAD_MAX, fr32Leaves } from './fr32.ts'
import {
  checkPayload,
  NODE_BYTES,
  type Piece,
  SUBTREE_HEIGHT,
  subtreeCount,
  subtreeHeight,
  treeHeight,
} from './piece.ts'
import { topOf } from './tree.ts'

/** Payload bytes hashed at once: those of a row of whole subtrees. */
export const BATCH_PAYLOAD = FR32_PAYLOAD_MAX

export interface HashedPiece {
  piece: Piece
  /** Roots of its 64 KiB subtrees, 32 bytes each: what a leaf is proven with, besides 64 KiB. */
  subtrees: Uint8Array
}

/**
 * The roots of a row of subtrees, 32 bytes each, from at most `BATCH_PAYLOAD` bytes. `height` is
 * that of the subtrees: lower than usual where a piece is a single small one.
 */
export function subtreeRoots(payload: Uint8Array, height: number): Uint8Array {
  return topOf(fr32Leaves(payload), 0, height)
}

/** Hashes a piece as its payload streams by; holds 1 MiB and the subtrees' roots (0.05 %). */
export class CommpHasher {
  /** The beginning of a row that is not whole yet. */
  #staging: Uint8Array | undefined
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
      if (part.length === BATCH_PAYLOAD) this.#hash(part, SUBTREE_HEIGHT)
      else this.#stage(part)
      at += part.length
    }
    return this
  }

  digest(): HashedPiece {
    invariant(!this.#digested, 'a piece is digested once')
    this.#digested = true
    const size = { payload: this.#payload }
    if (this.#staged > 0 || this.#roots.length === 0) {
      this.#hash(this.#staging?.subarray(0, this.#staged) ?? new Uint8Array(), subtreeHeight(size))
    }
    return pieceOfRows(this.#payload, this.#roots)
  }

  #stage(part: Uint8Array): void {
    this.#staging ??= new Uint8Array(BATCH_PAYLOAD)
    this.#staging.set(part, this.#staged)
    this.#staged += part.length
    if (this.#staged < BATCH_PAYLOAD) return
    this.#hash(this.#staging, SUBTREE_HEIGHT)
    this.#staged = 0
  }

  #hash(payload: Uint8Array, height: number): void {
    this.#roots.push(subtreeRoots(payload, height))
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
