import { strict as assert } from 'node:assert'
import { ed25519, plainVerifier, sha256 } from '@cairn/protocol'
import { memoVerifier } from '../../src/sim/verifier.ts'

const secret = new Uint8Array(32).fill(7)
const publicKey = ed25519.publicKey(secret)
const message = sha256(Uint8Array.of(1))
const signature = ed25519.sign(message, secret)

function counting() {
  let checks = 0
  const verifier = memoVerifier({
    ...plainVerifier,
    ed25519(...parts) {
      checks++
      return plainVerifier.ed25519(...parts)
    },
  })
  return { verifier, checks: () => checks }
}

describe('verifier shared by simulated nodes', () => {
  it('checks a signature once, whoever holds a copy of its bytes', () => {
    const { verifier, checks } = counting()
    for (let i = 0; i < 3; i++) {
      assert.equal(verifier.ed25519(message, publicKey, signature), true)
      assert.equal(verifier.ed25519(message.slice(), publicKey, signature.slice()), true)
    }
    assert.equal(checks(), 1)
  })

  it('takes no signature for one of another message or key', () => {
    const { verifier, checks } = counting()
    assert.equal(verifier.ed25519(message, publicKey, signature), true)
    const otherKey = ed25519.publicKey(sha256(secret))
    for (let i = 0; i < 2; i++) {
      assert.equal(verifier.ed25519(sha256(message), publicKey, signature), false)
      assert.equal(verifier.ed25519(message, otherKey, signature), false)
      assert.equal(verifier.ed25519(message, publicKey, new Uint8Array(64)), false)
      assert.equal(verifier.ed25519(message, publicKey, signature), true)
    }
    assert.equal(checks(), 4)
  })
})
