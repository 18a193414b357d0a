/**
 * X25519 keys of Ed25519 ones: the birational map of RFC 7748, section 4.1. A signature and a key
 * agreement by the same secret do not help to break each other (Thormarker, eprint 2021/509).
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import { check } from '../errors.ts'
import { isPrimeOrderKey } from './points.ts'

/** The u-coordinate, 32 bytes. Throws `badKey` for what is no key of prime order. */
export function x25519KeyOf(publicKey: Uint8Array): Uint8Array {
  check(isPrimeOrderKey(publicKey), 'badKey', 'the Ed25519 key is not valid')
  return ed25519.utils.toMontgomery(publicKey)
}

/** The secret that belongs to it, of a 32-byte Ed25519 secret. */
export function x25519SecretOf(secret: Uint8Array): Uint8Array {
  return ed25519.utils.toMontgomerySecret(secret)
}
