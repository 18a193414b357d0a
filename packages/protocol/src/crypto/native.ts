/** `#crypto` under Node: OpenSSL through node:crypto, blst, hashtree. */
import {
  createPrivateKey,
  createPublicKey,
  hash,
  type KeyObject,
  sign as opensslSign,
  verify as opensslVerify,
} from 'node:crypto'
import {
  aggregatePublicKeys as blstAddKeys,
  aggregateSignatures as blstAddSignatures,
  verify as blstVerify,
  PublicKey,
  SecretKey,
  Signature,
} from '@chainsafe/blst'
import { CairnError, check, invariant } from '../errors.ts'
import type { Bls, Crypto, Ed25519 } from './crypto.ts'
import { pairHasher } from './pairs.ts'
import {
  BLS_KEY_BYTES,
  BLS_SIGNATURE_BYTES,
  ED25519_KEY_BYTES,
  ED25519_SIGNATURE_BYTES,
  isPrimeOrderKey,
  isSmallOrder,
} from './points.ts'
import { Recent } from './recent.ts'

export { keccak256 } from './keccak.ts'

/**
 * Parsed keys kept per kind. Two shards of 4,096 nodes: parsing an Ed25519 key costs a third of a
 * verification, and checking a BLS key's group an eighth.
 */
export const PARSED_KEYS_MAX = 8192

/** DER before the 32 raw bytes (RFC 8410): SubjectPublicKeyInfo and PKCS #8. */
const SPKI = Buffer.from('302a300506032b6570032100', 'hex')
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

export const sha256: Crypto['sha256'] = data => plain(hash('sha256', data, 'buffer'))

export const sha256Pairs: Crypto['sha256Pairs'] = await pairHasher(
  () => import('@chainsafe/hashtree'),
)

const ed25519Public = new Recent<KeyObject>(PARSED_KEYS_MAX)
const ed25519Secret = new Recent<KeyObject>(PARSED_KEYS_MAX)
const blsPublic = new Recent<PublicKey>(PARSED_KEYS_MAX)

export const ed25519: Ed25519 = {
  publicKey(secret) {
    const der = createPublicKey(ed25519Secret.get(secret, parseSecret)).export({
      format: 'der',
      type: 'spki',
    })
    return Uint8Array.from(der.subarray(SPKI.length))
  },

  sign(message, secret) {
    return plain(opensslSign(null, message, ed25519Secret.get(secret, parseSecret)))
  },

  verify(message, publicKey, signature) {
    if (publicKey.length !== ED25519_KEY_BYTES || isSmallOrder(publicKey)) return false
    if (signature.length !== ED25519_SIGNATURE_BYTES || isSmallOrder(signature)) return false
    return opensslVerify(null, message, ed25519Public.get(publicKey, parsePublic), signature)
  },

  isValidKey: isPrimeOrderKey,
}

export const bls: Bls = {
  publicKey(secret) {
    return SecretKey.fromBytes(secret).toPublicKey().toBytes()
  },

  sign(message, secret) {
    return SecretKey.fromBytes(secret).sign(message).toBytes()
  },

  verify(message, publicKey, signature) {
    try {
      return blstVerify(message, keyOf(publicKey), signatureOf(signature))
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
    return blstAddSignatures(signatures.map(signatureOf)).toBytes()
  },

  aggregateKeys(keys) {
    check(keys.length > 0, 'blsPoint', 'expected at least one key, found none')
    return blstAddKeys(keys.map(keyOf)).toBytes()
  },

  keyToEvm(publicKey) {
    return toWords(keyOf(publicKey).toBytes(false), [0, 1])
  },

  // blst writes c1 before c0, EIP-2537 c0 before c1.
  signatureToEvm(signature) {
    return toWords(signatureOf(signature).toBytes(false), [1, 0, 3, 2])
  },
}

function parsePublic(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI, raw]), format: 'der', type: 'spki' })
}

function parseSecret(raw: Uint8Array): KeyObject {
  // OpenSSL ignores what follows the 32 bytes.
  invariant(raw.length === ED25519_KEY_BYTES, 'an Ed25519 secret has 32 bytes')
  return createPrivateKey({ key: Buffer.concat([PKCS8, raw]), format: 'der', type: 'pkcs8' })
}

function keyOf(publicKey: Uint8Array): PublicKey {
  // blst accepts the uncompressed form too; the project has one form.
  check(publicKey.length === BLS_KEY_BYTES, 'blsPoint', 'expected a BLS key of 48 bytes', {
    facts: { found: publicKey.length },
  })
  return blsPublic.get(publicKey, bytes => point('key', () => PublicKey.fromBytes(bytes, true)))
}

function signatureOf(signature: Uint8Array): Signature {
  check(
    signature.length === BLS_SIGNATURE_BYTES,
    'blsPoint',
    'expected a BLS signature of 96 bytes',
    { facts: { found: signature.length } },
  )
  return point('signature', () => Signature.fromBytes(signature, true))
}

function point<P>(what: string, parse: () => P): P {
  try {
    return parse()
  } catch (cause) {
    throw new CairnError('blsPoint', `BLS ${what}: not a point of the group`, { cause })
  }
}

/** The 48-byte field elements at `order`, each as 64 bytes big-endian. */
function toWords(elements: Uint8Array, order: readonly number[]): Uint8Array {
  const words = new Uint8Array(order.length * 64)
  order.forEach((from, to) => {
    words.set(elements.subarray(from * 48, (from + 1) * 48), to * 64 + 16)
  })
  return words
}

/** A Buffer's bytes as a Uint8Array: Buffer's own `slice` and equality differ in meaning. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
}
