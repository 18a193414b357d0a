import { strict as assert } from 'node:assert'
import { peerIdOf, publicKeyOf } from '@cairn/node'
import { ed25519 } from '@cairn/protocol'
import { generateKeyPair, generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import fc from 'fast-check'
import { freshSecret, node } from './world.ts'

describe('peer ids', () => {
  it('are those that libp2p gives the same key, and give the key back', async () => {
    const secret = fc.uint8Array({ minLength: 32, maxLength: 32 })
    await fc.assert(
      fc.asyncProperty(secret, async seed => {
        const publicKey = ed25519.publicKey(seed)
        const key = await generateKeyPairFromSeed('Ed25519', seed)
        assert.equal(peerIdOf(publicKey), peerIdFromPrivateKey(key).toString())
        assert.deepEqual(publicKeyOf(peerIdOf(publicKey)), publicKey)
      }),
      { numRuns: 30 },
    )
  })

  it('of a node follow from its secret', () => {
    const secret = freshSecret()
    assert.equal(node({ secret }).self, peerIdOf(ed25519.publicKey(secret)))
  })

  it('with another kind of key, or none, are refused', async () => {
    const other = peerIdFromPrivateKey(await generateKeyPair('secp256k1')).toString()
    for (const text of [other, '', 'peer', 'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N']) {
      assert.throws(() => publicKeyOf(text), { code: 'badPeerId' })
    }
  })
})
