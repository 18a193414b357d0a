import { strict as assert } from 'node:assert'
import { hex, isNonce, NONCE_ROUNDS, NonceChain, nonceStep } from '@cairn/protocol'
import fc from 'fast-check'

const network = new Uint8Array(32).fill(7)
const identity = new Uint8Array(32).fill(2)
const secret = new Uint8Array(32).fill(1)
const init = { secret, network, identity }
// Computed with hashlib from the SSZ layout.
const GOLDEN = {
  step: 'c57d4f59c961b13e406cd991b0f342ec79e571dc2c1415ff72c6550645a3b198',
  end: '257bf25436a20897df4bb142248ccc181a00d4d70cd642141370fecad2b2c70c',
  first: 'e6949f8d69f68d199f116cbbb5c3fd9419af2128f7d65516a4644f33dbb22328',
}
const chain = new NonceChain(init)
const end = { round: 0, nonce: chain.end }

describe('nonce chain', () => {
  it('has the end and the first nonce of the golden vector', () => {
    assert.equal(hex(nonceStep(identity, secret)), GOLDEN.step)
    assert.equal(hex(chain.end), GOLDEN.end)
    assert.equal(hex(chain.nonce(1)), GOLDEN.first)
  })

  it('gives for each round the preimage of the round before', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: NONCE_ROUNDS }), round => {
        const before = { round: round - 1, nonce: chain.nonce(round - 1) }
        return isNonce(identity, before, { round, nonce: chain.nonce(round) })
      }),
    )
  })

  it('proves any round from the registered end, or from an earlier nonce', () => {
    const nonce = { round: 300, nonce: chain.nonce(300) }
    assert.ok(isNonce(identity, end, nonce))
    assert.ok(isNonce(identity, { round: 17, nonce: chain.nonce(17) }, nonce))
  })

  it('reaches its last round and no further', () => {
    assert.ok(isNonce(identity, end, { round: NONCE_ROUNDS, nonce: chain.nonce(NONCE_ROUNDS) }))
    assert.throws(() => chain.nonce(NONCE_ROUNDS + 1), /nonce of round/)
    assert.throws(() => chain.nonce(0), /nonce of round/)
  })

  it('refuses a nonce of another round, of another gateway, and a changed one', () => {
    const nonce = chain.nonce(5)
    assert.ok(!isNonce(identity, end, { round: 4, nonce }))
    assert.ok(!isNonce(identity, end, { round: 6, nonce }))
    assert.ok(
      !isNonce(
        identity.map(byte => byte + 1),
        end,
        { round: 5, nonce },
      ),
    )
    assert.ok(!isNonce(identity, end, { round: 5, nonce: nonce.map(byte => byte ^ 1) }))
  })

  it('refuses the registered end as a nonce', () => {
    assert.ok(!isNonce(identity, end, end))
  })

  it('shares no value with the chain of the same secret in another network', () => {
    const other = new NonceChain({ ...init, network: new Uint8Array(32).fill(8) })
    assert.notDeepEqual(other.end, chain.end)
    assert.ok(!isNonce(identity, end, { round: 1, nonce: other.nonce(1) }))
  })
})
