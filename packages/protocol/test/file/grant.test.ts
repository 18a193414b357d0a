import { strict as assert } from 'node:assert'
import {
  CairnError,
  ed25519,
  encodeGrant,
  hex,
  isGrant,
  parseGrant,
  x25519KeyOf,
  x25519SecretOf,
} from '@cairn/protocol'
import { x25519 } from '@noble/curves/ed25519.js'
import fc from 'fast-check'

const grant = {
  encapsulated: new Uint8Array(32).fill(5),
  sealed: new Uint8Array(89).fill(9),
}
const GRANT = `cairn-grant:AQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUF${'CQkJ'.repeat(29)}CQk`

describe('grant', () => {
  it('has a known text', () => {
    assert.equal(encodeGrant(grant), GRANT)
    assert.deepEqual(parseGrant(GRANT), grant)
    assert.ok(isGrant(GRANT) && !isGrant('cairn:AgUF'))
  })

  it('reads what it wrote', () => {
    const anyBytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
    fc.assert(
      fc.property(anyBytes(32), anyBytes(89), (encapsulated, sealed) => {
        const value = { encapsulated, sealed }
        assert.deepEqual(parseGrant(encodeGrant(value)), value)
      }),
    )
  })

  it('refuses anything else with a code', () => {
    const encoded = GRANT.slice('cairn-grant:'.length)
    const bytes = Buffer.from(encoded, 'base64url')
    const versioned = (version: number) => {
      const copy = Uint8Array.from(bytes)
      copy[0] = version
      return `cairn-grant:${Buffer.from(copy).toString('base64url')}`
    }
    const cases = ['', 'cairn-grant:', encoded, `cairn:${encoded}`, GRANT.slice(0, -1), `${GRANT}A`]
    cases.push(`${GRANT} `, GRANT.replace('C', '+'), versioned(0), `${GRANT}${'A'.repeat(1_000)}`)
    for (const text of cases) assert.throws(() => parseGrant(text), { code: 'badGrant' }, text)
    assert.throws(() => parseGrant(versioned(2)), { code: 'newerGrant' })
    fc.assert(
      fc.property(fc.string(), text => {
        assert.throws(
          () => parseGrant(`cairn-grant:${text}`),
          error => error instanceof CairnError,
        )
      }),
    )
  })
})

describe('the X25519 image of an Ed25519 key', () => {
  it('is that of its secret', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), secret => {
        const image = x25519KeyOf(ed25519.publicKey(secret))
        assert.equal(hex(x25519.getPublicKey(x25519SecretOf(secret))), hex(image))
      }),
      { numRuns: 20 },
    )
  })

  it('does not exist for a point of small order, nor for what is none', () => {
    const cases = [new Uint8Array(32), Uint8Array.of(1, ...new Uint8Array(31))]
    cases.push(new Uint8Array(32).fill(0xff), new Uint8Array(31))
    for (const key of cases) assert.throws(() => x25519KeyOf(key), { code: 'badKey' })
  })
})
