/**
 * Which Ed25519 points count, the same for every implementation: libraries differ on keys and on R
 * with a component of small order, so their own checks are never what decides.
 *
 * The curve has eight points of small order with seven y coordinates below 2^255, two of them
 * (p and p + 1) not canonical; with either sign bit that makes fourteen encodings.
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import { hexToBytes } from '@noble/hashes/utils.js'
import { equalBytes } from '../ssz.ts'

export const ED25519_KEY_BYTES = 32
export const ED25519_SIGNATURE_BYTES = 64
export const BLS_KEY_BYTES = 48
export const BLS_SIGNATURE_BYTES = 96

/** y of the points of small order, sign bit cleared, little-endian: 0, 1, -1, p, p + 1, order 8. */
const SMALL_ORDER_Y = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
].map(hexToBytes)

/** True iff the first 32 bytes are an encoding, canonical or not, of a point of small order. */
export function isSmallOrder(encoding: Uint8Array): boolean {
  // `slice` of a Buffer would be a view, and clearing the sign would spoil the caller's bytes.
  const y = Uint8Array.from(encoding.subarray(0, ED25519_KEY_BYTES))
  y[31] = (y[31] as number) & 0x7f
  return SMALL_ORDER_Y.some(small => equalBytes(small, y))
}

/** True iff the bytes are the canonical encoding of a point of the prime-order subgroup, not 0. */
export function isPrimeOrderKey(publicKey: Uint8Array): boolean {
  if (publicKey.length !== ED25519_KEY_BYTES || isSmallOrder(publicKey)) return false
  try {
    return ed25519.Point.fromBytes(publicKey).isTorsionFree()
  } catch {
    // The library throws for every encoding that is not canonical or not on the curve.
    return false
  }
}
