/** `#crypto` in a browser: noble throughout. Slower by one to two orders, equal in every verdict. */
import { bls12_381 } from '@noble/curves/bls12-381.js'
import { ed25519 as nobleEd25519 } from '@noble/curves/ed25519.js'
import { bytesToNumberBE, bytesToNumberLE } from '@noble/curves/utils.js'
import { sha256 as nobleSha256, sha512 } from '@noble/hashes/sha2.js'
import { concatBytes } from '@noble/hashes/utils.js'
import { CairnError, check, invariant } from '../errors.ts'
import { equalBytes } from '../ssz.ts'
import type { Bls, Crypto, Ed25519 } from './crypto.ts'
import {
  BLS_KEY_BYTES,
  BLS_SIGNATURE_BYTES,
  ED25519_KEY_BYTES,
  ED25519_SIGNATURE_BYTES,
  isPrimeOrderKey,
  isSmallOrder,
} from './points.ts'

export { keccak256 } from './keccak.ts'

/** The tag of the proof-of-possession scheme (draft-irtf-cfrg-bls-signature, 4.2.3). */
const POSSESSION_TAG = 'BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_'

const { longSignatures } = bls12_381
const G1 = bls12_381.G1.Point
const G2 = bls12_381.G2.Point
type G1Point = InstanceType<typeof G1>
type G2Point = InstanceType<typeof G2>
const Ed = nobleEd25519.Point

export const sha256: Crypto['sha256'] = data => nobleSha256(data)

export const sha256Pairs: Crypto['sha256Pairs'] = (
  level,
  parents = new Uint8Array(level.length / 2),
) => {
  invariant(level.length % 64 === 0, 'a Merkle level consists of 64-byte nodes')
  invariant(parents.length === level.length / 2, 'a level has half the nodes of the one below')
  for (let at = 0; at < level.length; at += 64) {
    parents.set(nobleSha256(level.subarray(at, at + 64)), at / 2)
  }
  return parents
}

export const ed25519: Ed25519 = {
  publicKey: secret => nobleEd25519.getPublicKey(secret),

  sign: (message, secret) => nobleEd25519.sign(message, secret),

  // Not noble's own `verify`: it multiplies by the cofactor, which accepts torsion in R.
  verify(message, publicKey, signature) {
    if (publicKey.length !== ED25519_KEY_BYTES || isSmallOrder(publicKey)) return false
    if (signature.length !== ED25519_SIGNATURE_BYTES || isSmallOrder(signature)) return false
    const R = signature.subarray(0, 32)
    const S = bytesToNumberLE(signature.subarray(32))
    if (S >= Ed.Fn.ORDER) return false
    const A = decompress(publicKey)
    if (A === undefined) return false
    const k = bytesToNumberLE(sha512(concatBytes(R, publicKey, message))) % Ed.Fn.ORDER
    const expected = Ed.BASE.multiplyUnsafe(S).subtract(A.multiplyUnsafe(k))
    return equalBytes(expected.toBytes(), R)
  },

  isValidKey: isPrimeOrderKey,
}

export const bls: Bls = {
  publicKey: secret => G1.BASE.multiply(scalarOf(secret)).toBytes(),

  sign: (message, secret) => hashToG2(message).multiply(scalarOf(secret)).toBytes(),

  verify(message, publicKey, signature) {
    try {
      return longSignatures.verify(signatureOf(signature), hashToG2(message), keyOf(publicKey))
    } catch (error) {
      if (error instanceof CairnError) return false
      throw error
    }
  },

  isValidKey(publicKey) {
    try {
      keyOf(publicKey)
      return true
    } catch (error) {
      if (error instanceof CairnError) return false
      throw error
    }
  },

  aggregateSignatures(signatures) {
    check(signatures.length > 0, 'blsPoint', 'expected at least one signature, found none')
    const sum = signatures.map(signatureOf).reduce((total, next) => total.add(next))
    return sum.is0() ? infinity(BLS_SIGNATURE_BYTES) : sum.toBytes()
  },

  aggregateKeys(keys) {
    check(keys.length > 0, 'blsPoint', 'expected at least one key, found none')
    const sum = keys.map(keyOf).reduce((total, next) => total.add(next))
    return sum.is0() ? infinity(BLS_KEY_BYTES) : sum.toBytes()
  },

  keyToEvm(publicKey) {
    const { x, y } = keyOf(publicKey).toAffine()
    return toWords([x, y])
  },

  signatureToEvm(signature) {
    const { x, y } = signatureOf(signature).toAffine()
    return toWords([x.c0, x.c1, y.c0, y.c1])
  },
}

/** The library would take a secret modulo the order; a secret out of range is a broken key file. */
function scalarOf(secret: Uint8Array): bigint {
  invariant(secret.length === 32, 'a BLS secret has 32 bytes')
  const scalar = bytesToNumberBE(secret)
  invariant(scalar > 0n && scalar < G1.Fn.ORDER, 'a BLS secret is below the order and not zero')
  return scalar
}

/** The compressed encoding of infinity, which the library does not write. */
function infinity(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  bytes[0] = 0xc0
  return bytes
}

function hashToG2(message: Uint8Array): G2Point {
  return longSignatures.hash(message, POSSESSION_TAG)
}

/** As OpenSSL decodes: y is taken modulo p. Keys that are not canonical never get registered. */
function decompress(publicKey: Uint8Array): InstanceType<typeof Ed> | undefined {
  try {
    return Ed.fromBytes(publicKey, true)
  } catch {
    // The library throws for y that is on no point of the curve.
    return undefined
  }
}

function keyOf(publicKey: Uint8Array): G1Point {
  check(publicKey.length === BLS_KEY_BYTES, 'blsPoint', 'expected a BLS key of 48 bytes', {
    facts: { found: publicKey.length },
  })
  return point('key', () => G1.fromBytes(publicKey))
}

function signatureOf(signature: Uint8Array): G2Point {
  check(
    signature.length === BLS_SIGNATURE_BYTES,
    'blsPoint',
    'expected a BLS signature of 96 bytes',
    { facts: { found: signature.length } },
  )
  return point('signature', () => G2.fromBytes(signature))
}

/** `fromBytes` checks encoding, curve and group, but infinity is a point to it. */
function point<P extends { is0(): boolean }>(what: string, parse: () => P): P {
  let found: P
  try {
    found = parse()
  } catch (cause) {
    throw new CairnError('blsPoint', `BLS ${what}: not a point of the group`, { cause })
  }
  check(!found.is0(), 'blsPoint', `BLS ${what}: the point at infinity`)
  return found
}

/** Field elements, each as 64 bytes big-endian. */
function toWords(elements: readonly bigint[]): Uint8Array {
  const words = new Uint8Array(elements.length * 64)
  elements.forEach((element, i) => {
    let rest = element
    for (let at = i * 64 + 63; rest > 0n; at--, rest >>= 8n) words[at] = Number(rest & 0xffn)
  })
  return words
}
