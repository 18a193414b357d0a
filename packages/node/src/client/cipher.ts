/** AES-256 as files use it (`docs/storage.md`, From file to pieces). */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { CairnError, TAG_BYTES } from '@cairn/protocol'

const NONCE_BYTES = 12
const BLOCK_BYTES = 16

/**
 * AES-256-GCM, the tag at the end. The nonce is a number: a key seals one thing, or chunks that are
 * counted.
 */
export function seal(key: Uint8Array, number: number, plain: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(number))
  const sealed = new Uint8Array(plain.length + TAG_BYTES)
  sealed.set(cipher.update(plain))
  cipher.final()
  sealed.set(cipher.getAuthTag(), plain.length)
  return sealed
}

/** Throws `wrongKey` when it was not sealed by this key under this number. */
export function open(key: Uint8Array, number: number, sealed: Uint8Array): Uint8Array {
  const end = sealed.length - TAG_BYTES
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(number))
    decipher.setAuthTag(sealed.subarray(end))
    const plain = decipher.update(sealed.subarray(0, end))
    decipher.final()
    return plain
  } catch (cause) {
    throw new CairnError('wrongKey', 'the key does not open what was stored', {
      facts: { number, bytes: sealed.length },
      cause,
      next: 'check that the link is whole; if it is, the file was stored wrongly',
    })
  }
}

/**
 * A piece's mask, AES-256-CTR from byte `offset` of the piece on. Masking twice gives the bytes back.
 */
export class Mask {
  readonly #cipher: ReturnType<typeof createCipheriv>

  constructor(key: Uint8Array, offset = 0) {
    const counter = new Uint8Array(BLOCK_BYTES)
    new DataView(counter.buffer).setBigUint64(8, BigInt(Math.floor(offset / BLOCK_BYTES)))
    this.#cipher = createCipheriv('aes-256-ctr', key, counter)
    this.#cipher.update(new Uint8Array(offset % BLOCK_BYTES))
  }

  /** Continues where the bytes before ended. */
  apply(bytes: Uint8Array): Uint8Array {
    return this.#cipher.update(bytes)
  }
}

function nonceOf(number: number): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES)
  new DataView(nonce.buffer).setBigUint64(NONCE_BYTES - 8, BigInt(number))
  return nonce
}
