import { strict as assert } from 'node:assert'
import { ed25519 as noble } from '@noble/curves/ed25519.js'
import fc from 'fast-check'
import * as native from '../../src/crypto/native.ts'
import * as portable from '../../src/crypto/portable.ts'
import { flipped, smallOrderEncodings, speccheckKey } from './conformance.ts'

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const message = fc.uint8Array({ maxLength: 300 })
/** Below the order of the BLS groups, never zero. */
const blsSecret = bytes(32).map(secret => Uint8Array.of(1, ...secret.subarray(1)))

describe('crypto: native and portable agree', () => {
  it('on hashes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), data => {
        assert.deepEqual(native.sha256(data), portable.sha256(data))
        assert.deepEqual(native.keccak256(data), portable.keccak256(data))
      }),
    )
  })

  it('on Merkle levels', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 40 }).chain(nodes => bytes(nodes * 64)),
        level => {
          assert.deepEqual(native.sha256Pairs(level), portable.sha256Pairs(level))
        },
      ),
    )
  })

  it('on Ed25519 keys and signatures, true and spoiled', () => {
    fc.assert(
      fc.property(bytes(32), message, fc.nat({ max: 511 }), (secret, data, bit) => {
        const key = native.ed25519.publicKey(secret)
        const signature = native.ed25519.sign(data, secret)
        assert.deepEqual(portable.ed25519.publicKey(secret), key)
        assert.deepEqual(portable.ed25519.sign(data, secret), signature)
        assert.ok(portable.ed25519.verify(data, key, signature))
        assert.ok(native.ed25519.verify(data, key, signature))
        const spoiled = flipped(signature, bit)
        assert.equal(native.ed25519.verify(data, key, spoiled), false)
        assert.equal(portable.ed25519.verify(data, key, spoiled), false)
      }),
      { numRuns: 25 },
    )
  })

  it('on arbitrary bytes as Ed25519 keys', () => {
    const small = fc.constantFrom(...smallOrderEncodings(), speccheckKey(2), speccheckKey(8))
    fc.assert(
      fc.property(fc.oneof(bytes(32), small), bytes(64), message, (key, signature, data) => {
        assert.equal(native.ed25519.isValidKey(key), portable.ed25519.isValidKey(key))
        assert.equal(
          native.ed25519.verify(data, key, signature),
          portable.ed25519.verify(data, key, signature),
        )
      }),
      { numRuns: 50 },
    )
  })

  it('on signatures made so that the equation holds for a key with torsion', () => {
    const torsion = fc.constantFrom(
      ...smallOrderEncodings().map(encoding => noble.Point.fromBytes(encoding, true)),
    )
    fc.assert(
      fc.property(bytes(32), torsion, message, (secret, point, data) => {
        const key = noble.Point.fromBytes(native.ed25519.publicKey(secret)).add(point).toBytes()
        const signature = native.ed25519.sign(data, secret)
        assert.equal(
          native.ed25519.verify(data, key, signature),
          portable.ed25519.verify(data, key, signature),
        )
        assert.equal(native.ed25519.isValidKey(key), point.is0())
        assert.equal(portable.ed25519.isValidKey(key), point.is0())
      }),
      { numRuns: 25 },
    )
  })

  it('on BLS keys, signatures, sums and layouts', () => {
    fc.assert(
      fc.property(blsSecret, blsSecret, message, (a, b, data) => {
        const keys = [a, b].map(native.bls.publicKey)
        const signatures = [a, b].map(secret => native.bls.sign(data, secret))
        assert.deepEqual([a, b].map(portable.bls.publicKey), keys)
        assert.deepEqual(
          [a, b].map(secret => portable.bls.sign(data, secret)),
          signatures,
        )
        const key = native.bls.aggregateKeys(keys)
        const signature = native.bls.aggregateSignatures(signatures)
        assert.deepEqual(portable.bls.aggregateKeys(keys), key)
        assert.deepEqual(portable.bls.aggregateSignatures(signatures), signature)
        assert.deepEqual(portable.bls.keyToEvm(key), native.bls.keyToEvm(key))
        assert.deepEqual(
          portable.bls.signatureToEvm(signature),
          native.bls.signatureToEvm(signature),
        )
        assert.ok(native.bls.verify(data, key, signature))
        assert.ok(portable.bls.verify(data, key, signature))
      }),
      { numRuns: 5 },
    )
  })

  it('on spoiled BLS keys', () => {
    const key = native.bls.publicKey(new Uint8Array(32).fill(1))
    fc.assert(
      fc.property(fc.nat({ max: 48 * 8 - 1 }), bit => {
        const spoiled = flipped(key, bit)
        assert.equal(native.bls.isValidKey(spoiled), portable.bls.isValidKey(spoiled))
      }),
      { numRuns: 60 },
    )
  })
})
