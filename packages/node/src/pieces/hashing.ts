import { open } from 'node:fs/promises'
import { CommpHasher, type HashedPiece } from '@cairn/protocol'

/** Who hashes pieces: worker threads in a daemon, the caller's own thread where there is little. */
export interface Hashing {
  /** A piece whose payload streams by. */
  hasher(): StreamHasher
  /** The bytes of a file, from its beginning to its end. Rejects with `pieceSize`. */
  file(path: string, signal?: AbortSignal): Promise<HashedPiece>
}

export interface StreamHasher {
  /** Payload bytes so far. */
  readonly payload: number
  /**
   * Resolves when there is room for more; the bytes may be changed then. Rejects with `pieceSize`
   * beyond the largest piece.
   */
  update(bytes: Uint8Array): Promise<void>
  digest(): Promise<HashedPiece>
}

/** Read at once. */
const READ_BYTES = 1024 * 1024

/** Hashes in the caller's thread. */
export const ownThread: Hashing = {
  hasher() {
    const hasher = new CommpHasher()
    return {
      get payload() {
        return hasher.payload
      },
      async update(bytes) {
        hasher.update(bytes)
      },
      async digest() {
        return hasher.digest()
      },
    }
  },
  async file(path, signal) {
    const hasher = new CommpHasher()
    const file = await open(path, 'r')
    try {
      const buffer = new Uint8Array(READ_BYTES)
      for (;;) {
        signal?.throwIfAborted()
        const { bytesRead } = await file.read(buffer, 0, buffer.length)
        if (bytesRead === 0) return hasher.digest()
        hasher.update(buffer.subarray(0, bytesRead))
      }
    } finally {
      await file.close()
    }
  },
}
