import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { fr32Pad } from '../../src/piece/fr32.ts'

/** The definition, one bit at a time. */
function padByBits(payload: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil(payload.length / 127) * 128)
  for (let bit = 0; bit < payload.length * 8; bit++) {
    const value = ((payload[bit >> 3] as number) >> (bit & 7)) & 1
    const to = Math.floor(bit / 254) * 256 + (bit % 254)
    padded[to >> 3] = (padded[to >> 3] as number) | (value << (to & 7))
  }
  return padded
}

describe('fr32', () => {
  it('puts two zero bits after every 254', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1100 }), payload => {
        assert.deepEqual(fr32Pad(payload), padByBits(payload))
      }),
    )
  })

  it('keeps every bit of a payload of ones', () => {
    const ones = new Uint8Array(2032).fill(0xff)
    assert.deepEqual(fr32Pad(ones), padByBits(ones))
  })

  it('reads bytes that begin anywhere in their buffer', () => {
    const bytes = new Uint8Array(300).map((_, i) => i * 7)
    assert.deepEqual(fr32Pad(bytes.subarray(3, 257)), padByBits(bytes.slice(3, 257)))
  })
})
